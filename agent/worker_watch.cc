#include "agent/worker_watch.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "agent/log_holders.h"
#include "agent/open_runs.h"
#include "core/bytes.h"

namespace runtail {
namespace {

// What a worker wrote last may come by way of a second process, as in `worker | tee -a etl.log`.
constexpr std::chrono::seconds kSettle{1};
// A source that stands still with something unread (a last line without newline, a file it may not open) holds no
// verdict back.
constexpr std::chrono::seconds kReadPatience{10};
// Weak evidence counts only while the log rests.
constexpr std::chrono::seconds kLogRest{10};
// A count of the kernel's kills explains a death this close to it.
constexpr std::chrono::seconds kOomNear{10};
// A worker writes its pid file after it started. A process that started later has its number by chance, or it is the
// worker and the clock was set forward since: nobody can tell.
constexpr std::chrono::seconds kPidFileSlack{2};
constexpr std::uint64_t kNoteSpan = 4096;
static_assert(OpenRuns::kMax < kNoteSpan);
constexpr std::uint8_t kStateFormat = 1;

struct PidFile {
  pid_t pid = 0;  // 0: none in it yet
  TimePoint written_at{};
};

// kNotFound: there is none. kInvalidInput: not a process id.
Result<PidFile> read_pid_file(const std::filesystem::path& path) {
  const auto failure = [&path](ErrorCode code, std::string_view why) {
    return Error{code, "pid file " + path.string() + ": " + std::string(why)};
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return failure(ErrorCode::kNotFound, "there is none");
  if (fd < 0) {
    return failure(ErrorCode::kUnavailable,
                   std::string(std::strerror(errno)) + "; give the user of runtail the right to read it");
  }
  char text[64];
  struct stat status {};
  const ssize_t got = ::read(fd, text, sizeof text);
  const bool known = fstat(fd, &status) == 0;
  close(fd);
  if (got < 0 || !known) return failure(ErrorCode::kUnavailable, "cannot be read");
  PidFile file;
  file.written_at =
      TimePoint(std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::microseconds(status.st_mtim.tv_nsec / 1000));
  const char* first = std::find_if(text, text + got, [](char each) { return each != ' '; });
  if (first == text + got) return file;
  const auto [last, error] = std::from_chars(first, static_cast<const char*>(text + got), file.pid);
  const bool at_line_end = last == text + got || *last == '\n' || *last == '\r' || *last == ' ';
  if (error != std::errc() || file.pid <= 0 || !at_line_end) {
    return failure(ErrorCode::kInvalidInput, "it does not begin with a process id; let the worker write its own");
  }
  return file;
}

template <typename Range, typename Value>
bool contains(const Range& range, const Value& value) {
  return std::find(range.begin(), range.end(), value) != range.end();
}

void put_lives(ByteWriter& writer, const std::vector<ProcessLife>& lives) {
  writer.varint(lives.size());
  for (const ProcessLife& life : lives) {
    writer.varint(static_cast<std::uint64_t>(life.pid));
    writer.varint(life.start_ticks);
  }
}

std::vector<ProcessLife> get_lives(ByteReader& reader) {
  std::vector<ProcessLife> lives;
  for (std::uint64_t left = reader.varint(); left > 0 && !reader.failed(); --left) {
    const auto pid = static_cast<pid_t>(reader.varint());
    lives.push_back({pid, reader.varint()});
  }
  return lives;
}

}  // namespace

bool names_worker(const WorkerConfig& worker) {
  return !worker.pid_file.empty() || !worker.unit.empty() || !worker.cgroup.empty() || worker.holds_file;
}

std::string WorkerWatch::state_key(const std::string& source) { return "k/" + source; }

WorkerWatch::WorkerWatch(const SourceConfig& source, const Source& watched, const std::vector<Position>& positions,
                         const std::optional<std::string>& known, const std::filesystem::path& cgroup_root)
    : source_(source), names_(source.include, source.exclude), watched_(watched) {
  position_.file.stream = source.stream + "/worker";
  const auto before = std::find_if(positions.begin(), positions.end(),
                                   [this](const Position& each) { return each.file.stream == position_.file.stream; });
  if (before != positions.end()) {
    position_ = *before;
  } else {
    (void)!getrandom(position_.file.file_key.data(), position_.file.file_key.size(), 0);
  }
  position_.source = source.name;
  if (!source.worker.cgroup.empty()) {
    group_.emplace(ControlGroup::of_directory(source.worker.cgroup, cgroup_root));
  } else if (!source.worker.unit.empty()) {
    group_.emplace(ControlGroup::of_unit(source.worker.unit, cgroup_root));
  }
  if (known) restore(*known);
}

void WorkerWatch::scan(TimePoint now) {
  look(now);
  for (Death& death : deaths_) {
    const bool before_us = death.noted_at == TimePoint{};
    if (before_us || death.noted_at > now) death.noted_at = now;  // the second: the clock was set back
    if (before_us || now - death.noted_at >= kSettle) death.settled = true;
  }
}

void WorkerWatch::look(TimePoint now) {
  look_due_ = false;
  faults_.clear();
  if (group_) look_at_group(now);
  if (!source_.worker.pid_file.empty()) look_at_pid_file(now);
  if (source_.worker.holds_file) look_at_log(now);
}

void WorkerWatch::look_at_pid_file(TimePoint now) {
  for (WorkerProcess& process : processes_) {
    if (!process.has_ended()) continue;
    const ProcessLife life = process.life();
    deaths_.push_back({Sign::kPidFile, life, std::move(process), {.evidence = "its process ended", .at = now}, now});
  }
  std::erase_if(processes_, [this](const WorkerProcess& process) {
    return std::any_of(deaths_.begin(), deaths_.end(), [&](const Death& death) {
      return death.sign == Sign::kPidFile && death.life == process.life();
    });
  });

  const auto file = read_pid_file(source_.worker.pid_file);
  if (!file && file.error().code != ErrorCode::kNotFound) faults_.push_back(file.error().message);
  if (!file || file->pid == 0) return;
  const std::pair named(file->pid, file->written_at);
  const std::optional<ProcessLife> life = life_of(file->pid);
  const auto is_known = [&](const WorkerProcess& process) { return life && process.life() == *life; };
  if (std::any_of(processes_.begin(), processes_.end(), is_known)) {
    known_file_ = named;
  } else if (life && started_at(*life) <= file->written_at + kPidFileSlack) {
    processes_.emplace_back(*life);
    known_file_ = named;
    changed_ = true;
  } else if (life && named != known_file_) {
    faults_.push_back("pid file " + source_.worker.pid_file.string() +
                      ": its process started after it was written, or the clock was set; nothing is concluded until "
                      "that process ends or the worker writes the file anew");
  } else if (named != known_file_ && log_rests(now)) {
    // Its process is gone, or it is one of another PID namespace: then the log would not rest for long.
    known_file_ = named;
    deaths_.push_back({Sign::kPidFile, {}, {}, {.evidence = "its pid file names no process that runs"}, now});
  }
}

void WorkerWatch::look_at_group(TimePoint now) {
  ControlGroup::Seen seen = group_->look();
  if (const auto kills = group_->oom_kills()) {
    const bool is_first = !oom_kills_.has_value();
    const bool is_same = !is_first && oom_kills_->group == kills->group;
    const std::uint64_t before = is_same ? oom_kills_->count : 0;
    if (!is_first && kills->count > before) oom_at_ = now;
    changed_ |= !is_same || kills->count != before;
    oom_kills_ = kills;
  }
  if (seen.members.empty() && seen.populated) seen.members.push_back({});
  constexpr std::string_view kEmpty = "its control group has no process left";
  for (const ProcessLife& life : std::exchange(members_then_, {})) {
    if (!contains(seen.members, life)) deaths_.push_back({Sign::kControlGroup, life, {}, {.evidence = kEmpty}});
  }
  const auto stays = [&](const ProcessLife& life) { return contains(seen.members, life); };
  if (!members_.empty() && std::none_of(members_.begin(), members_.end(), stays)) {
    deaths_.push_back({Sign::kControlGroup, members_.front(), {}, {.evidence = kEmpty, .at = now}, now});
  }
  const auto oldest = [](const auto& lives) { return lives.empty() ? std::nullopt : std::optional(lives.front()); };
  changed_ |= oldest(members_) != oldest(seen.members) && !seen.members.empty();
  members_ = std::move(seen.members);
}

void WorkerWatch::look_at_log(TimePoint now) {
  const std::vector<WrittenFile> files = written_files(names_);
  if (files.empty()) return;
  const TimePoint written_at = files.front().written_at;
  if (written_at == log_told_ || now - written_at < kLogRest) return;
  for (const WrittenFile& file : files) {
    const auto open = is_open_for_writing(file.path);
    if (!open) faults_.push_back(open.error().message);
    if (!open || *open) return;
  }
  log_told_ = written_at;
  deaths_.push_back({Sign::kLog, {}, {}, {.evidence = "nobody has its log open any more"}, now});
}

bool WorkerWatch::log_rests(TimePoint now) const {
  const std::vector<WrittenFile> files = written_files(names_);
  return files.empty() || now - files.front().written_at >= kLogRest;
}

// Since when another worker runs in the place of the dead one.
std::optional<TimePoint> WorkerWatch::next_at(const Death& death) const {
  std::optional<TimePoint> first;
  if (death.sign == Sign::kPidFile) {
    for (const WorkerProcess& process : processes_) {
      const TimePoint started = started_at(process.life());
      first = std::min(first.value_or(started), started);
    }
  } else if (death.sign == Sign::kControlGroup && !members_.empty()) {
    first = members_.front().pid == 0 ? death.noted_at : started_at(members_.front());
  }
  return first;
}

std::vector<WorkerGone> WorkerWatch::take_told(TimePoint now) {
  std::vector<WorkerGone> told;
  if (std::none_of(deaths_.begin(), deaths_.end(), [](const Death& death) { return death.settled; })) {
    lag_.reset();
    return told;
  }
  const std::uint64_t lag = watched_.status().lag_bytes;
  if (lag_ != lag || now < lag_since_) {
    lag_ = lag;
    lag_since_ = now;
  }
  if (lag > 0 && now - lag_since_ < kReadPatience) return told;
  for (Death& death : deaths_) {
    if (!death.settled) continue;
    WorkerGone& gone = told.emplace_back(death.gone);
    gone.next_at = next_at(death);
    if (death.process) gone.exit_signal = death.process->exit_signal().value_or(0);
    const bool oom = oom_at_ && std::chrono::abs(death.noted_at - *oom_at_) <= kOomNear;
    gone.reason = oom ? EndReason::kOom : gone.exit_signal != 0 ? EndReason::kSignal : EndReason::kLost;
  }
  std::erase_if(deaths_, [](const Death& death) { return death.settled; });
  return told;
}

std::optional<LineBlock> WorkerWatch::read(TimePoint now) {
  if (look_due_) look(now);
  const std::vector<WorkerGone> told = take_told(now);
  if (told.empty() && !changed_) return std::nullopt;
  changed_ = false;
  if (position_.first_seen == TimePoint{}) position_.first_seen = now;
  LineBlock block;
  block.covers.from = block.covers.to = position_.emitted;
  for (const WorkerGone& gone : told) {
    block.notes.push_back({.kind = WorkerNote::Kind::kGone, .offset = block.covers.to, .at = now, .gone = gone});
    block.covers.to += kNoteSpan;
  }
  // Without a note there is only the state entry, but no range is empty.
  if (told.empty()) block.covers.to += kNoteSpan;
  position_.emitted = position_.resume = block.covers.to;
  block.position = position_;
  block.last_ts = &last_ts_;
  block.default_job_id = source_.job_id.empty() ? source_.stream : source_.job_id;
  block.default_job_rank = source_.job_id.empty() ? 4 : 3;
  block.state.push_back({state_key(source_.name), encode()});
  return block;
}

void WorkerWatch::fill(std::vector<pollfd>& fds) const {
  for (const WorkerProcess& process : processes_) {
    if (process.descriptor() >= 0) fds.push_back({process.descriptor(), POLLIN, 0});
  }
  if (!group_) return;
  for (const int fd : group_->descriptors()) fds.push_back({fd, POLLPRI, 0});
}

void WorkerWatch::on_ready(std::span<const pollfd> fds) {
  look_due_ |= std::any_of(fds.begin(), fds.end(), [](const pollfd& each) { return each.revents != 0; });
}

SourceStatus WorkerWatch::status() const {
  std::vector<pollfd> open;
  fill(open);
  return {source_.name + "/worker", 0, {}, open.size(), faults_};
}

// What is alive, and what died and is not told.
std::string WorkerWatch::encode() const {
  std::vector<ProcessLife> processes, groups;
  for (const WorkerProcess& process : processes_) processes.push_back(process.life());
  if (!members_.empty()) groups.push_back(members_.front());
  for (const Death& death : deaths_) {
    if (death.sign == Sign::kPidFile) processes.push_back(death.life);
    if (death.sign == Sign::kControlGroup) groups.push_back(death.life);
  }
  std::string bytes;
  ByteWriter writer(bytes);
  writer.u8(kStateFormat);
  writer.text(boot_id());
  put_lives(writer, processes);
  writer.varint(static_cast<std::uint64_t>(known_file_.first));
  writer.fixed(to_micros(known_file_.second));
  put_lives(writer, groups);
  writer.u8(oom_kills_.has_value());
  writer.varint(oom_kills_ ? oom_kills_->group : 0);
  writer.varint(oom_kills_ ? oom_kills_->count : 0);
  writer.fixed(to_micros(log_told_));
  return bytes;
}

void WorkerWatch::restore(std::string_view known) {
  ByteReader reader(known);
  if (reader.u8() != kStateFormat) return;
  const bool is_this_boot = reader.text() == boot_id();
  const std::vector<ProcessLife> processes = get_lives(reader);
  const auto file_pid = static_cast<pid_t>(reader.varint());
  const TimePoint file_at = from_micros(reader.fixed<std::int64_t>());
  std::vector<ProcessLife> groups = get_lives(reader);
  const bool has_oom_kills = reader.u8() != 0;
  const std::uint64_t group = reader.varint();
  const ControlGroup::OomKills oom_kills{group, reader.varint()};
  const TimePoint log_told = from_micros(reader.fixed<std::int64_t>());
  if (reader.failed()) return;
  known_file_ = {file_pid, file_at};
  log_told_ = log_told;
  if (has_oom_kills && is_this_boot) oom_kills_ = oom_kills;
  // A sign that is no longer configured says nothing.
  for (const ProcessLife& life : processes) {
    if (source_.worker.pid_file.empty()) break;
    if (is_this_boot && life_of(life.pid) == life) {
      processes_.emplace_back(life);
    } else {
      deaths_.push_back({Sign::kPidFile, life, {}, {.evidence = "its process is gone"}});
    }
  }
  if (!group_) return;
  if (is_this_boot) {
    members_then_ = std::move(groups);
  } else {
    for (const ProcessLife& life : groups) {
      deaths_.push_back({Sign::kControlGroup, life, {}, {.evidence = "its control group is of an earlier boot"}});
    }
  }
}

}  // namespace runtail
