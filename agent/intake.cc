#include "agent/intake.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>

#include "agent/read_place.h"

namespace runtail {
namespace {

// One round's commit: large enough that the sync is a small part of it, small enough for little memory.
constexpr std::uint64_t kRoundBytes = 1 << 20;
// Polling is the truth; inotify only shortens the wait.
constexpr std::chrono::milliseconds kScanEvery{1000}, kFullBufferWait{50};
// Less is the clock being slewed.
constexpr std::chrono::seconds kClockStep{1};
// However fast files come and go.
constexpr std::chrono::milliseconds kScanGap{10};
constexpr std::chrono::hours kRetainEvery{1};

}  // namespace

Intake::Intake(const Config& config, std::vector<std::unique_ptr<Source>> sources, DurableBuffer& buffer,
               Pipeline& pipeline, const Clock& clock, PublishedMetrics& published, std::function<void()> on_commit,
               std::function<Sequence()> delivered)
    : buffer_(buffer),
      pipeline_(pipeline),
      clock_(clock),
      published_(published),
      on_commit_(std::move(on_commit)),
      delivered_(std::move(delivered)),
      history_is_local_(config.postgres.url.empty()),
      kept_(buffer),
      retention_(kept_),
      buffer_config_(config.buffer),
      sources_(std::move(sources)),
      inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      progress_at_(to_micros(clock.now())) {}

Intake::~Intake() {
  if (inotify_ >= 0) close(inotify_);
  if (wake_ >= 0) close(wake_);
}

Result<void> Intake::run(std::stop_token stop) {
  const std::stop_callback on_stop(stop, [this] {
    const std::uint64_t one = 1;
    (void)!write(wake_, &one, sizeof one);
  });
  // However it ends, nobody waits for it any more.
  struct EndPast {
    Intake& intake;
    ~EndPast() {
      const std::lock_guard lock(intake.past_mutex_);
      intake.takes_no_more_ = true;
      intake.past_done_.notify_all();
    }
  } end_past{*this};
  for (const auto& source : sources_) {
    if (const auto started = source->start(); !started) return started.error();
  }
  while (!stop.stop_requested()) {
    turned_at_ = std::chrono::steady_clock::now();
    if (const auto served = serve_past(); !served) return served.error();
    if (std::chrono::steady_clock::now() - scanned_at_ >= (scan_due_ ? kScanGap : kScanEvery)) scan();
    const auto read = round();
    if (!read) return read.error();
    if (!*read) {
      if (buffer_.has_room() && pipeline_.let_go_of_old_runs(clock_.now())) {
        if (const auto committed = pipeline_.commit(); !committed) return committed.error();
      }
      show();
      wait(buffer_.has_room() ? kScanEvery : kFullBufferWait);
    }
  }
  return say_last_words();
}

PastAnswer Intake::take_past(const PastBatch& batch) {
  std::unique_lock lock(past_mutex_);
  past_ = &batch;
  past_answer_.reset();
  const std::uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);
  past_done_.wait(lock, [this] { return past_answer_ || takes_no_more_; });
  past_ = nullptr;
  return past_answer_ ? *past_answer_ : PastAnswer{false, "the agent is about to stop", {}, {}, {}};
}

Result<void> Intake::serve_past() {
  const std::lock_guard lock(past_mutex_);
  if (!past_ || past_answer_) return {};
  std::uint64_t woken = 0;
  (void)!::read(wake_, &woken, sizeof woken);
  const auto answer = take_past_now(*past_);
  if (!answer) return answer.error();
  past_answer_ = *answer;
  past_done_.notify_all();
  return {};
}

// Everything read before is committed, so what the buffer says of the file is how far it is read.
Result<PastAnswer> Intake::take_past_now(const PastBatch& batch) {
  PastAnswer answer;
  const FileIdentity& file = batch.step.after.file;
  ReadPlace place = read_place(buffer_, file);
  answer.place.emitted = place.position.emitted;
  answer.place.confirm = place.position.confirm;
  answer.place.is_all_there = answer.place.is_as_known = true;
  bool is_beyond = false;  // behind what the agent has come to
  std::vector<const Chunk*> chunks;
  for (const Chunk& each : batch.chunks) {
    const CoveredRanges missing = place.covered.missing_of(each.covers);
    answer.place.is_all_there = answer.place.is_all_there && missing.empty();
    answer.place.is_as_known =
        answer.place.is_as_known && missing.ranges() == batch.step.before.missing_of(each.covers).ranges();
    is_beyond = is_beyond || each.covers.to > place.position.emitted;
    chunks.push_back(&each);
  }
  answer.place.is_followed =
      std::any_of(sources_.begin(), sources_.end(), [&](const auto& source) { return source->follows(file); });
  if (!buffer_.has_room()) answer.not_now = "the agent's store is full, until the oldest of it is let go";
  const bool is_others = is_beyond && answer.place.is_followed;
  if (!answer.not_now.empty() || is_others || !answer.place.is_as_known) return answer;
  move_on(place, chunks, batch.step.after);
  std::map<Uuid, std::optional<std::string>> before;
  const Pipeline::Past past = pipeline_.add_past(batch.chunks, place);
  for (const Uuid& run : past.runs) before[run] = buffer_.get(run_key(run));
  if (const auto committed = pipeline_.commit(); !committed) return committed.error();
  for (const auto& source : sources_) source->was_replayed(place.position);
  on_commit_();
  for (const auto& [run, was] : before) {
    const auto now = buffer_.get(run_key(run));
    answer.runs[run] = !was ? RunChange::kCreated : was == now ? RunChange::kUnchanged : RunChange::kUpdated;
  }
  answer.expired = past.expired;
  answer.is_taken = true;
  return answer;
}

Result<void> Intake::say_last_words() {
  if (!buffer_.has_room()) return {};
  bool any = false;
  for (const auto& source : sources_) {
    const auto block = source->last_words(now());
    if (!block) continue;
    any = true;
    pipeline_.add(*block);
  }
  if (!any) return {};
  if (const auto committed = pipeline_.commit(); !committed) return committed.error();
  on_commit_();
  return {};
}

// A full buffer pauses sources before they are read: files are the overflow, and no half-done round exists.
Result<bool> Intake::round() {
  if (history_is_local_) trim_history();
  if (!buffer_.has_room()) return false;
  bool any = false, only_own = true;
  for (std::size_t idle = 0; idle < sources_.size() && pipeline_.pending_bytes() < kRoundBytes;) {
    Source& source = *sources_[turn_++ % sources_.size()];
    auto block = source.read(now());
    if (!block) {
      ++idle;
      continue;
    }
    any = true;
    idle = 0;
    while (block) {
      only_own = only_own && block->agent_note;
      pipeline_.add(*block);
      block = block->with_next ? source.read(now()) : std::nullopt;
    }
  }
  // What a source counted without a line to go with it, a loss for example, is shown as soon.
  if (!any && !pipeline_.has_counted()) return false;
  if (const auto committed = pipeline_.commit(); !committed) return committed.error();
  for (const auto& source : sources_) source->committed();
  // That the agent lives is no progress with what it reads.
  if (!any || !only_own) progress_at_ = to_micros(clock_.now());
  on_commit_();
  return true;
}

void Intake::scan() {
  scan_due_ = false;
  scanned_at_ = std::chrono::steady_clock::now();
  const TimePoint now = this->now();
  for (const auto& source : sources_) {
    source->scan(now);
    if (inotify_ < 0) continue;
    // Watching a directory twice gives the same watch.
    for (const std::string& directory : source->directories()) {
      const int watch = inotify_add_watch(inotify_, directory.c_str(),
                                          IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR);
      if (watch >= 0) watched_[watch] = directory == "/" ? directory : directory + "/";
    }
  }
  show();
}

void Intake::wait(std::chrono::milliseconds timeout) {
  if (scan_due_) timeout = std::min(timeout, kScanGap);
  std::vector<pollfd> fds;
  const bool has_room = buffer_.has_room();
  if (inotify_ >= 0 && has_room) fds.push_back({inotify_, POLLIN, 0});
  fds.push_back({wake_, POLLIN, 0});
  const std::size_t own = fds.size();
  std::vector<std::size_t> shares;  // how many of them belong to each source
  for (const auto& source : sources_) {
    const std::size_t before = fds.size();
    source->fill(fds);
    shares.push_back(fds.size() - before);
    if (const auto due = source->due(); due && has_room) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - clock_.now());
      timeout = std::clamp(left, std::chrono::milliseconds(0), timeout);
    }
  }
  if (poll(fds.data(), fds.size(), static_cast<int>(timeout.count())) <= 0) return;
  if (own == 2 && (fds[0].revents & POLLIN) != 0) {
    alignas(inotify_event) char events[16 << 10];
    for (ssize_t got; (got = ::read(inotify_, events, sizeof events)) > 0;) {
      for (ssize_t at = 0; at < got;) {
        const auto* event = reinterpret_cast<const inotify_event*>(events + at);
        const auto directory = watched_.find(event->wd);
        if (directory == watched_.end() || event->len == 0) {
          scan_due_ = true;  // a queue that ran over, a directory that went
        } else {
          const std::string path = directory->second + event->name;
          for (const auto& source : sources_) scan_due_ |= source->changed(path, event->mask == IN_MODIFY);
        }
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      }
    }
  }
  std::size_t at = own;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    sources_[i]->on_ready(std::span(fds).subspan(at, shares[i]));
    at += shares[i];
  }
}

// The time of day, which lines without a time get. Waits must not end because somebody set the clock.
TimePoint Intake::now() {
  const auto at = std::chrono::steady_clock::now();
  const TimePoint now = clock_.now();
  const auto step = std::chrono::duration_cast<std::chrono::microseconds>((now - told_) - (at - told_at_));
  if (told_ != TimePoint{} && step > kClockStep) {
    for (const auto& source : sources_) source->clock_stepped(step);
  }
  told_ = now;
  told_at_ = at;
  return now;
}

// Without Postgres the chunks are the history, kept by size and age, and so are the entries beside them, by age.
void Intake::trim_history() {
  const auto now = std::chrono::steady_clock::now();
  if (now - trimmed_at_ < std::chrono::seconds(10)) return;
  trimmed_at_ = now;
  if (now >= retain_at_) {
    const std::vector<std::string> expired = retention_.expired(clock_.now(), buffer_.oldest());
    buffer_.forget(expired);
    retain_at_ = now + (expired.empty() ? kRetainEvery : std::chrono::seconds(0));
  }
  const std::uint64_t bytes_max = std::min(buffer_config_.history_bytes_max, buffer_.bytes_max() / 10 * 9);
  const auto oldest_at = buffer_.oldest_read_at();
  const bool too_old = oldest_at && clock_.now() - *oldest_at > buffer_config_.history_age_max;
  if (!too_old && buffer_.bytes_on_disk() < bytes_max) return;
  const Sequence oldest = buffer_.oldest(), last = buffer_.appended().sequence;
  // A tenth at a time: dropping works in whole files.
  if (oldest > 0) buffer_.release(std::min(oldest + (last - oldest) / 10, delivered_()));
}

void Intake::show() {
  std::vector<SourceStatus> now;
  for (const auto& source : sources_) {
    if (SourceStatus status = source->status(); !status.name.empty()) now.push_back(std::move(status));
  }
  for (const SourceStatus& each : now) {
    published_.set(Metric::kSourceLagBytes, {each.name}, static_cast<double>(each.lag_bytes));
    published_.set(Metric::kSourceOldestUnread, {each.name},
                   each.oldest_unread ? static_cast<double>(to_micros(*each.oldest_unread)) / 1e6 : 0);
    published_.set(Metric::kSourceOpenFiles, {each.name}, static_cast<double>(each.open_files));
  }
  has_ended_ = std::all_of(sources_.begin(), sources_.end(), [](const auto& source) { return source->has_ended(); });
  const std::lock_guard lock(mutex_);
  status_ = std::move(now);
}

std::vector<SourceStatus> Intake::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace runtail
