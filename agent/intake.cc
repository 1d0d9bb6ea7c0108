#include "agent/intake.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>

namespace runtail {
namespace {

// One round's commit: large enough that the sync is a small part of it, small enough for little memory.
constexpr std::uint64_t kRoundBytes = 1 << 20;
// Polling is the truth; inotify only shortens the wait.
constexpr std::chrono::milliseconds kScanEvery{1000}, kFullBufferWait{50};

}  // namespace

Intake::Intake(const Config& config, const HashKey& key, DurableBuffer& buffer, Pipeline& pipeline, const Clock& clock,
               PublishedMetrics& published, std::function<void()> on_commit)
    : buffer_(buffer),
      pipeline_(pipeline),
      clock_(clock),
      published_(published),
      on_commit_(std::move(on_commit)),
      history_is_local_(config.postgres.url.empty()),
      buffer_config_(config.buffer),
      read_buffer_(config.line_bytes_max),
      inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      progress_at_(to_micros(clock.now())) {
  const std::vector<Position> positions = buffer_.positions();
  for (const SourceConfig& source : config.sources) {
    FileSourceSettings settings{source, key, config.line_bytes_max, config.ignore_older, {config.buffer.directory}};
    files_.push_back(std::make_unique<FileSource>(std::move(settings), positions, read_buffer_, pipeline_.metrics()));
  }
  pipes_ = std::make_unique<PipeSource>(config.buffer.directory, config.name, positions, pipeline_.metrics(),
                                        config.line_bytes_max);
}

Intake::~Intake() {
  if (inotify_ >= 0) close(inotify_);
  if (wake_ >= 0) close(wake_);
}

Result<void> Intake::run(std::stop_token stop) {
  const std::stop_callback on_stop(stop, [this] {
    const std::uint64_t one = 1;
    (void)!write(wake_, &one, sizeof one);
  });
  if (const auto listening = pipes_->listen(); !listening) return listening.error();
  while (!stop.stop_requested()) {
    if (scan_due_ || std::chrono::steady_clock::now() - scanned_at_ >= kScanEvery) scan();
    const auto read = round();
    if (!read) return read.error();
    if (!*read) {
      show();
      wait(buffer_.has_room() ? kScanEvery : kFullBufferWait);
    }
  }
  return {};
}

// A full buffer pauses sources before they are read: files are the overflow, and no half-done round exists.
Result<bool> Intake::round() {
  if (history_is_local_) trim_history();
  if (!buffer_.has_room()) return false;
  const std::size_t sources = files_.size() + 1;
  bool any = false;
  for (std::size_t idle = 0; idle < sources && pipeline_.pending_bytes() < kRoundBytes;) {
    const std::size_t at = turn_++ % sources;
    const TimePoint now = clock_.now();
    const auto block = at < files_.size() ? files_[at]->read(now) : pipes_->read(now);
    if (block) {
      pipeline_.add(*block);
      any = true;
      idle = 0;
    } else {
      ++idle;
    }
  }
  if (!any) return false;
  if (const auto committed = pipeline_.commit(); !committed) return committed.error();
  pipes_->committed();
  progress_at_ = to_micros(clock_.now());
  on_commit_();
  return true;
}

void Intake::scan() {
  scan_due_ = false;
  scanned_at_ = std::chrono::steady_clock::now();
  const TimePoint now = clock_.now();
  for (auto& source : files_) {
    source->scan(now);
    if (inotify_ < 0) continue;
    // Watching a directory twice gives the same watch.
    for (const std::string& directory : source->directories()) {
      inotify_add_watch(inotify_, directory.c_str(),
                        IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR);
    }
  }
  show();
}

void Intake::wait(std::chrono::milliseconds timeout) {
  std::vector<pollfd> fds;
  if (inotify_ >= 0 && buffer_.has_room()) fds.push_back({inotify_, POLLIN, 0});
  fds.push_back({wake_, POLLIN, 0});
  const std::size_t own = fds.size();
  pipes_->fill(fds);
  if (poll(fds.data(), fds.size(), static_cast<int>(timeout.count())) <= 0) return;
  if (own == 2 && (fds[0].revents & POLLIN) != 0) {
    alignas(inotify_event) char events[16 << 10];
    for (ssize_t got; (got = ::read(inotify_, events, sizeof events)) > 0;) {
      for (ssize_t at = 0; at < got;) {
        const auto* event = reinterpret_cast<const inotify_event*>(events + at);
        // Growth of an open file needs no look around; all else does.
        const bool resting =
            std::any_of(files_.begin(), files_.end(), [](const auto& source) { return source->has_resting(); });
        if (resting || (event->mask & ~static_cast<std::uint32_t>(IN_MODIFY)) != 0) scan_due_ = true;
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      }
    }
  }
  pipes_->on_ready(std::span(fds).subspan(own));
}

// Without another sink the chunks are the history: kept by size and age.
void Intake::trim_history() {
  const auto now = std::chrono::steady_clock::now();
  if (now - trimmed_at_ < std::chrono::seconds(10)) return;
  trimmed_at_ = now;
  const std::uint64_t bytes_max = std::min(buffer_config_.history_bytes_max, buffer_.bytes_max() / 10 * 9);
  const auto oldest_at = buffer_.oldest_read_at();
  const bool too_old = oldest_at && clock_.now() - *oldest_at > buffer_config_.history_age_max;
  if (!too_old && buffer_.bytes_on_disk() < bytes_max) return;
  const Sequence oldest = buffer_.oldest(), last = buffer_.appended().sequence;
  // A tenth at a time: dropping works in whole files.
  if (oldest > 0) buffer_.release(oldest + (last - oldest) / 10);
}

void Intake::show() {
  std::vector<SourceStatus> now;
  for (const auto& source : files_) now.push_back({source->config().name, source->lag_bytes(), source->faults()});
  for (const SourceStatus& each : now) {
    published_.set(Metric::kSourceLagBytes, {each.name}, static_cast<double>(each.lag_bytes));
  }
  const std::lock_guard lock(mutex_);
  status_ = std::move(now);
}

std::vector<SourceStatus> Intake::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace runtail
