#include "agent/journal_source.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "agent/log.h"
#include "core/json_text.h"

extern char** environ;

namespace runtail {
namespace {

constexpr std::size_t kReceiveBytes = 256 << 10;
// With so much of it waiting the pipe is not read on; a single larger frame is.
constexpr std::size_t kWaitingBytesMax = 1 << 20;
constexpr std::chrono::milliseconds kFirstPause{100}, kPauseMax{30'000};
// A reader whose output has ended is gone a moment later.
constexpr std::chrono::milliseconds kLookForEnd{10};
constexpr std::size_t kUnitsMax = 1000;
constexpr std::uint64_t kEntryLength = 2;

std::uint64_t offset_of(std::uint64_t number) { return number * kEntryLength; }
// Of the first entry that begins at the offset or behind it.
std::uint64_t number_at(std::uint64_t offset) { return (offset + kEntryLength - 1) / kEntryLength; }

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    return "was ended by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  }
  return "ended with code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

JournalSource::JournalSource(JournalSettings settings, const DurableBuffer& buffer, MetricTable& metrics)
    : settings_(std::move(settings)), cursor_key_("j/" + settings_.source.name), metrics_(metrics) {
  for (Position& position : buffer.positions()) {
    if (position.file.stream != settings_.source.stream) continue;
    Journal& journal = journals_[position.file.file_key];
    journal.position = std::move(position);
    journal.position.source = settings_.source.name;
    journal.has_begun = true;
    // The database knows only what is covered. A trace that was open then lies behind it.
    if (journal.position.resume == 0) journal.position.resume = journal.position.emitted;
  }
  cursor_ = safe_cursor_ = buffer.get(cursor_key_).value_or("");
  found_ = journal_ranges(settings_.source.journal_directory.string());
}

JournalSource::~JournalSource() { end_reader(true); }

// ---- the reader ----

// What goes before the reader first looks was there to be read.
void JournalSource::note_beginnings(TimePoint now) {
  if (found_.empty()) found_ = journal_ranges(settings_.source.journal_directory.string());
  for (const JournalRange& file : std::exchange(found_, {})) {
    if (file.last_at < now - settings_.ignore_older) continue;
    Journal& journal = journal_of(file.numbering, file.first, now);
    if (journal.has_begun) continue;
    Position& position = journal.position;
    position.emitted = position.resume = std::min(position.resume, offset_of(file.first));
  }
}

void JournalSource::start_reader(TimePoint now) {
  const auto clock = std::chrono::steady_clock::now();
  if (clock < start_after_) return;
  start_after_ = clock + std::min(kPauseMax, kFirstPause * (1 << std::min(starts_++, 10u)));

  note_beginnings(now);
  // What was open is read again.
  JournalRequest request;
  for (auto& [numbering, journal] : journals_) {
    journal.framing.reset();
    journal.next = journal.behind_missing = number_at(journal.position.resume);
    request.known.push_back({numbering, journal.next, journal.has_begun});
  }
  current_ = nullptr;
  times_.clear();
  cursor_ = safe_cursor_;
  request.directory = settings_.source.journal_directory.string();
  request.units = settings_.source.units;
  request.line_bytes_max = settings_.line_bytes_max;
  request.oldest = now - settings_.ignore_older;
  request.cursor = cursor_;
  request.deaths = deaths_;

  int control[2] = {-1, -1}, output[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0 || pipe2(output, O_CLOEXEC) != 0) {
    fault_ = std::string("start the journal reader: ") + std::strerror(errno);
    for (const int fd : control) {
      if (fd >= 0) close(fd);
    }
    return;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, control[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  char name[] = "runtail", verb[] = "journal-reader";
  char* arguments[] = {name, verb, nullptr};
  const int failure = posix_spawn(&pid_of_reader_, settings_.reader.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(control[1]);
  close(output[1]);
  if (failure != 0) {
    fault_ = "start the journal reader " + settings_.reader + ": " + std::strerror(failure);
    pid_of_reader_ = -1;
    close(control[0]);
    close(output[0]);
    return;
  }
  to_reader_ = control[0];
  from_reader_ = output[0];
  fcntl(from_reader_, F_SETFL, O_NONBLOCK);
  is_caught_up_ = false;
  const std::string bytes = encode_request(request);
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t sent = send(to_reader_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return;  // it ended: so does its output
    rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
  }
}

// Its output has ended, or nobody wants it any more.
void JournalSource::end_reader(bool by_us) {
  for (int* fd : {&to_reader_, &from_reader_}) {
    if (*fd >= 0) close(std::exchange(*fd, -1));
  }
  if (pid_of_reader_ < 0) return;
  int status = 0;
  if (by_us) kill(pid_of_reader_, SIGKILL);
  // Without output it is on its way out; its end comes a moment later.
  const pid_t ended = waitpid(pid_of_reader_, &status, by_us ? 0 : WNOHANG);
  if (ended == 0) return;
  pid_of_reader_ = -1;
  if (by_us || ended < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return;
  ++deaths_;
  fault_ = "the journal reader " + how_it_ended(status) + " and is started again";
  log_warn("source " + settings_.source.name + ": " + fault_ + "; that often in a row: " + std::to_string(deaths_));
}

void JournalSource::receive() {
  in_.erase(0, std::exchange(taken_, 0));
  const auto has_whole = [this] {
    JournalFrame frame;
    std::size_t size = 0;
    return read_frame(in_, frame, size) != FrameRead::kPartial;
  };
  while (from_reader_ >= 0 && (in_.size() < kWaitingBytesMax || !has_whole())) {
    const std::size_t have = in_.size();
    in_.resize(have + kReceiveBytes);
    const ssize_t got = ::read(from_reader_, in_.data() + have, kReceiveBytes);
    in_.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) close(std::exchange(from_reader_, -1));
  }
}

void JournalSource::fill(std::vector<pollfd>& fds) const {
  if (from_reader_ >= 0 && waiting().size() < kWaitingBytesMax) fds.push_back({from_reader_, POLLIN, 0});
}

void JournalSource::on_ready(std::span<const pollfd> fds) {
  if (std::any_of(fds.begin(), fds.end(), [](const pollfd& each) { return each.revents != 0; })) receive();
}

void JournalSource::clock_stepped(std::chrono::microseconds by) {
  for (auto& [numbering, journal] : journals_) {
    if (journal.framing) journal.framing->clock_stepped(by);
  }
}

std::optional<TimePoint> JournalSource::due() const {
  if (from_reader_ < 0) {
    const auto left = std::chrono::ceil<std::chrono::microseconds>(start_after_ - std::chrono::steady_clock::now());
    return read_at_ + std::max<std::chrono::microseconds>(left, kLookForEnd);
  }
  return current_ && current_->framing ? current_->framing->due() : std::nullopt;
}

SourceStatus JournalSource::status() const {
  SourceStatus status;
  status.name = settings_.source.name;
  if (!is_caught_up_ && last_at_ != TimePoint{}) status.oldest_unread = last_at_;
  if (!fault_.empty()) status.faults.push_back(fault_);
  return status;
}

// ---- blocks ----

std::optional<LineBlock> JournalSource::read(TimePoint now) {
  read_at_ = now;
  auto block = next_block(now);
  if (block) return block;
  receive();
  block = next_block(now);
  if (block || from_reader_ >= 0) return block;
  // All it wrote is taken.
  in_.clear();
  taken_ = 0;
  end_reader(false);
  if (pid_of_reader_ < 0) start_reader(now);
  return std::nullopt;
}

std::optional<LineBlock> JournalSource::next_block(TimePoint now) {
  units_.clear();
  ends_.clear();
  if (current_ && current_->framing) current_->framing->begin_block();
  JournalFrame frame;
  for (std::size_t size = 0;; taken_ += size) {
    const FrameRead read = read_frame(waiting(), frame, size);
    if (read == FrameRead::kBroken) {
      fault_ = "the journal reader sent what is no frame; it is started again";
      log_error("source " + settings_.source.name + ": " + fault_);
      in_.clear();
      taken_ = 0;
      end_reader(true);
      break;
    }
    if (read == FrameRead::kPartial || !take(frame, now)) break;
  }
  if (!current_) return std::nullopt;
  if (current_->framing) current_->framing->flush_due(now, units_);
  return give();
}

// False: the frame belongs to the next block.
bool JournalSource::take(const JournalFrame& frame, TimePoint now) {
  if (frame.type == JournalFrameType::kFault) {
    if (fault_ != frame.text) log_warn("source " + settings_.source.name + ": " + std::string(frame.text));
    fault_ = frame.text;
    return true;
  }
  fault_.clear();
  deaths_ = starts_ = 0;
  if (frame.type == JournalFrameType::kCaughtUp) {
    is_caught_up_ = true;
    return true;
  }
  const bool is_entry = frame.type == JournalFrameType::kEntry;
  Journal& journal = journal_of(frame.numbering, frame.number, now);
  const bool is_other = &journal != current_ || (is_entry && (frame.unit != unit_ || frame.pid != pid_));
  if (is_other || frame.type == JournalFrameType::kMissing) {
    // Neighbours in the journal that another process wrote belong to no trace of this one.
    finish_units();
    const bool has_block = current_ && (&journal != current_ || frame.unit != unit_);
    if (has_block && (!units_.empty() || offset_of(current_->next) > current_->position.emitted)) return false;
    current_ = &journal;
    if (is_entry) {
      unit_ = frame.unit;
      pid_ = frame.pid;
    }
  }
  if (!journal.framing) {
    journal.framing.emplace(settings_.framing);
    // A unit was open, so `emitted` stands within the last entry that was looked at: see give().
    const Position& position = journal.position;
    if (position.resume != position.emitted) journal.framing->skip_to(position.emitted + 1);
  }
  journal.has_begun = true;
  if (!journal.framing->has_open()) safe_cursor_ = cursor_;
  switch (frame.type) {
    case JournalFrameType::kMissing:
      count_missing(frame);
      journal.next = journal.behind_missing = frame.until;
      return true;
    case JournalFrameType::kEntry:
      is_caught_up_ = false;
      last_at_ = frame.at;
      times_.emplace_back(frame.number, frame.at);
      if (frame.too_long) {
        journal.framing->add_too_long(offset_of(frame.number), kEntryLength, now, units_);
      } else {
        journal.framing->add(offset_of(frame.number), kEntryLength, frame.text, now, units_);
      }
      ends_.resize(units_.size(), offset_of(frame.number + 1));
      break;
    default:
      break;
  }
  journal.next = std::max(journal.next, frame.number + 1);
  cursor_ = frame.cursor;
  return true;
}

void JournalSource::count_missing(const JournalFrame& frame) {
  metrics_.add(Metric::kLostEntriesTotal, {settings_.source.name, frame.unreadable ? "unreadable" : "vacuumed"},
               static_cast<double>(frame.until - frame.number));
  log_error("source " + settings_.source.name + ": journal entries " + std::to_string(frame.number) + " to " +
            std::to_string(frame.until - 1) + " of " + to_hex(frame.numbering) +
            (frame.unreadable ? " are damaged and cannot be read"
                              : " were vacuumed before they were read; give the journal more room (SystemMaxUse)"));
}

// Nothing of what comes now belongs to what is open.
void JournalSource::finish_units() {
  if (!current_ || !current_->framing) return;
  current_->framing->finish(units_);
  ends_.resize(units_.size(), offset_of(current_->next));
}

// Units become a block that covers all up to where the last of them became whole, or all that was looked at if none is
// open. What is missing is covered with the count of it, so that it is counted once.
std::optional<LineBlock> JournalSource::give() {
  Position& position = current_->position;
  const Position before = position;
  const bool has_open = current_->framing && current_->framing->has_open();
  ends_.resize(units_.size(), offset_of(current_->next));
  std::uint64_t to = std::max(before.emitted, offset_of(has_open ? current_->behind_missing : current_->next));
  LineBlock block;
  block.has_many_processes = true;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const Unit& unit = units_[i];
    to = std::max(to, ends_[i]);
    Line& line = block.lines.emplace_back();
    line.offset = unit.offset;
    // Its last byte but one lies in what this block covers.
    line.length = std::max(ends_[i], before.emitted + kEntryLength) - unit.offset;
    line.bytes = unit.bytes;
    line.too_long = unit.too_long;
    line.orphan = unit.orphan;
    line.lines = unit.lines;
    line.output = unit.output;
    line.envelope_time = unit.envelope_time;
    const std::uint64_t number = number_at(unit.offset);
    const auto at = std::lower_bound(times_.begin(), times_.end(), std::pair(number, TimePoint::min()));
    if (!line.envelope_time && at != times_.end() && at->first == number) line.envelope_time = at->second;
  }
  // What is open there may become whole without a further entry, and needs a place of its own to be covered.
  if (has_open && current_->framing->oldest_open() < to && to > before.emitted) --to;
  position.emitted = to;
  position.resume = has_open ? std::min(current_->framing->oldest_open(), to) : to;
  if (!has_open) {
    times_.clear();
    safe_cursor_ = cursor_;
  }
  if (block.lines.empty() && position.emitted == before.emitted && position.resume == before.resume) {
    return std::nullopt;
  }
  block.covers = {before.emitted, to};
  block.position = position;
  block.last_ts = &position.last_ts;
  block.default_job_id = settings_.source.job_id.empty() ? settings_.source.stream : settings_.source.job_id;
  block.default_job_rank = settings_.source.job_id.empty() ? 4 : 3;
  block.defaults = &defaults_of(unit_);
  block.state.push_back({cursor_key_, safe_cursor_});
  return block;
}

JournalSource::Journal& JournalSource::journal_of(const Numbering& numbering, std::uint64_t first, TimePoint now) {
  const auto [at, is_new] = journals_.try_emplace(numbering);
  Journal& journal = at->second;
  if (is_new) {
    journal.position.file = {settings_.source.stream, numbering, 0};
    journal.position.source = settings_.source.name;
    journal.position.first_seen = now;
    journal.position.emitted = journal.position.resume = offset_of(first);
  }
  return journal;
}

const LineDefaults& JournalSource::defaults_of(const std::string& unit) {
  if (unit.empty()) return settings_.defaults;
  if (defaults_.size() >= kUnitsMax) defaults_.clear();
  const auto [at, is_new] = defaults_.try_emplace(unit, settings_.defaults);
  if (is_new) {
    std::string& context = at->second.context;
    if (!context.empty()) context += ',';
    context += "\"journal.unit\":";
    append_json_string(context, std::string_view(unit).substr(0, 256));
  }
  return at->second;
}

}  // namespace runtail
