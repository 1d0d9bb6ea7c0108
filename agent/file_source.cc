#include "agent/file_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/followed_file.h"
#include "agent/log.h"
#include "agent/pod_path.h"
#include "agent/source_framing.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// An unfinished last line of a file that was renamed or deleted is taken as it stands after that long.
constexpr std::chrono::seconds kOverAfter{15};
// A copy or an archive written to within so long may still be in the making.
constexpr std::chrono::seconds kGrowing{5};
// An archive that ends inside and does not grow was cut.
constexpr std::chrono::seconds kArchiveCutAfter{60};
// An archive that waits for its original is asked again in every so many scans.
constexpr std::uint64_t kScansPerAsk = 5;

std::vector<fs::path> roots_of(const SourceConfig& source) {
  std::vector<fs::path> roots(source.roots.begin(), source.roots.end());
  if (!roots.empty()) return roots;
  for (const std::string& pattern : source.include) roots.push_back(root_of_pattern(pattern));
  return roots;
}

TailSettings tail_settings(const FileSourceSettings& settings) {
  TailSettings tail{settings.key, settings.line_bytes_max, {}};
  tail.framing = framing_of(settings.source, settings.line_bytes_max);
  return tail;
}

}  // namespace

FileSource::FileSource(FileSourceSettings settings, std::vector<Position> positions, std::shared_ptr<ReadBuffer> buffer,
                       MetricTable& metrics)
    : settings_(std::move(settings)),
      tail_settings_(tail_settings(settings_)),
      names_(settings_.source.include, settings_.source.exclude),
      opener_(roots_of(settings_.source)),
      buffer_(std::move(buffer)),
      metrics_(metrics),
      known_(settings_.key, std::move(positions)) {
  std::error_code ignored;
  for (const fs::path& each : settings_.never) never_.push_back(fs::weakly_canonical(each, ignored));
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status {};
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) own_.insert(inode_of(status));
  }
}

FileSource::~FileSource() = default;

std::shared_ptr<FileSource::Log> FileSource::log_of(const std::string& path) {
  const SourceConfig& source = settings_.source;
  const auto pod = source.type == "kubernetes" ? parse_pod_path(path) : std::nullopt;
  std::shared_ptr<Log>& log = logs_[pod ? path : ""];
  if (log) return log;
  log = std::make_shared<Log>();
  log->stream = source.stream;
  log->default_job = source.stream;
  log->defaults = settings_.defaults;
  if (pod) name_pod(*pod, log->stream, log->default_job, log->defaults);
  if (!source.job_id.empty()) {
    log->default_job = source.job_id;
    log->default_job_rank = 3;
  }
  log->was_known = known_.knows(log->stream);
  return log;
}

// The one before `file` that has something in it and is open; null: none.
std::shared_ptr<FileSource::File> FileSource::before(const File& file, TimePoint now) {
  auto before = file.before.lock();
  while (before && !before->tail.is_known() && !identify(*before, now)) before = before->before.lock();
  return before;
}

// The one after `file` that has something in it and is open; null: none.
std::shared_ptr<FileSource::File> FileSource::after(const File& file, TimePoint now) {
  auto after = file.after.lock();
  while (after && !after->tail.is_known() && !identify(*after, now)) after = after->after.lock();
  return after;
}

bool FileSource::is_over(File& file, TimePoint now) const {
  if (file.is_live) return false;
  const auto quiet = file.tail.bytes().is_packed() ? kArchiveCutAfter : kOverAfter;
  return now - file.grown_at > quiet;
}

FileBytes* FileSource::open_as(const FileIdentity& identity) const {
  const auto found = std::find_if(files_.begin(), files_.end(), [&](const auto& file) {
    return file->tail.is_known() && file->tail.position().file == identity;
  });
  return found == files_.end() ? nullptr : &(*found)->tail.bytes();
}

bool FileSource::identify(File& file, TimePoint now) {
  // A copy looks like what it was copied from: the original is recognised first.
  for (const auto& other : files_) {
    const bool is_original = other->is_live && !other->tail.is_known() && other->log_path == file.log_path;
    if (!file.is_live && is_original) identify(*other, now);
  }
  const bool is_growing = now - from_micros(file.mtime_ns / 1000) < kGrowing;
  auto who = known_.identify(file.tail.bytes(), *buffer_, file.log->stream, settings_.line_bytes_max,
                             {file.is_live, is_over(file, now), is_growing},
                             [&](const FileIdentity& each) { return open_as(each); });
  using Answer = KnownFiles::Identified::Answer;
  file.asked_in = scans_;
  file.is_never = who.answer == Answer::kNever;
  file.fault = who.fault.empty() ? "" : "read " + file.path + ": " + who.fault;
  if (who.answer != Answer::kKnown) file.tail.bytes().let_go_of_memory();
  if (who.answer == Answer::kNotYet || who.answer == Answer::kNever) return false;
  const bool is_new = who.answer == Answer::kNew;
  if (is_new) who.position.first_seen = now;
  who.position.source = settings_.source.name;
  known_.remember(who.position);
  // Nobody can tell whether a line that was cut in pieces went on here; only a log that is new begins with a beginning.
  auto last = file.before.lock();
  while (last && last->tail.size_seen() == 0) last = last->before.lock();
  const bool has_before = last != nullptr;
  const bool begins_the_log = !file.log->was_known && file.is_live;
  const bool in_the_dark = who.position.resume > 0 || (!has_before && !begins_the_log);
  file.tail.begin(std::move(who.position), in_the_dark);
  if (who.read_elsewhere > 0) file.passed = file.tail.pass_over(who.read_elsewhere);
  if (const auto rested = std::exchange(file.rested, std::nullopt); rested && rested->identity) {
    const auto facts = file.tail.bytes().facts();
    const bool is_same_inode_anew = facts && facts->born_ns != rested->born_ns;
    if (is_same_inode_anew) {
      count_lost(rested->at_stake, "deleted");
    } else if (*rested->identity != file.tail.position().file) {
      was_truncated(file, rested->at_stake);
    }
  }
  return true;
}

std::optional<LineBlock> FileSource::read(TimePoint now) {
  if (!together_.empty()) {
    LineBlock block = std::move(together_.front());
    together_.pop_front();
    return block;
  }
  for (std::size_t tried = 0; tried < files_.size(); ++tried) {
    const std::shared_ptr<File> file = files_[turn_++ % files_.size()];
    const auto due = file->tail.due();
    if (!file->dirty && (!due || *due > now)) continue;
    if (auto block = read_file(file, now)) return block;
    file->dirty = file->waits;
  }
  return std::nullopt;
}

std::optional<LineBlock> FileSource::read_file(const std::shared_ptr<File>& file, TimePoint now) {
  if (file->handed_over) return std::nullopt;
  if (!file->tail.is_known()) {
    if (const std::uint64_t unread = file->tail.cut_before_known(); unread > 0) was_cut(*file, unread, now);
    // Asking costs: an archive is unpacked as far as files that begin alike were read.
    const bool was_asked = file->asked_in > 0 && scans_ < file->asked_in + kScansPerAsk;
    if ((was_asked && file->tail.bytes().is_packed()) || !identify(*file, now)) return std::nullopt;
  }
  if (file->passed) {
    LineBlock passed = std::move(*file->passed);
    file->passed.reset();
    known_.remember(passed.position);
    return of_this_source(*file, std::move(passed));
  }
  // Archives take turns as wholes: each needs memory of its own to unpack.
  if (file->tail.bytes().is_packed()) {
    const auto other = unpacking_.lock();
    file->waits = other && other != file && !other->tail.is_done() && open_.contains(other->inode);
    if (file->waits) return std::nullopt;
  }
  file->waits = false;
  const auto last = file->tail.may_carry_over() ? before(*file, now) : nullptr;
  if (last && !last->handed_over) {
    // What that one left open goes on here, once it is read to its end.
    file->waits = !last->tail.is_drained();
    if (file->waits) return std::nullopt;
    if (last->tail.has_open()) {
      if (auto traces = last->tail.finish_traces().block) {
        known_.remember(traces->position);
        return of_this_source(*last, std::move(*traces));
      }
    }
    const bool goes_on_here = last->tail.has_open();
    file->tail.carry_over(last->tail);
    if (goes_on_here) {
      file->took_from = last;
      last->handed_over = true;
    }
  }
  const bool had_carried = file->tail.has_carried();
  const auto next = after(*file, now);
  const bool goes_on = next && next->tail.may_carry_over();
  TailStep step = file->tail.read(now, is_over(*file, now) && !goes_on, goes_on);
  if (step.block) file->fault.clear();
  if (!step.fault.empty()) faults_[file->path] = file->fault = "read " + file->path + ": " + step.fault;
  if (step.was_cut) {
    was_cut(*file, step.unread, now);
    return std::nullopt;
  }
  if (step.shorter_by > 0) was_truncated(*file, step.shorter_by);
  if (file->tail.is_read()) file->unread_since.reset();
  if (file->tail.bytes().is_packed()) unpacking_ = step.block ? file : std::shared_ptr<File>();
  if (!step.block) return std::nullopt;
  file->grown_at = now;
  known_.remember(step.block->position);
  LineBlock block = of_this_source(*file, std::move(*step.block));
  if (had_carried && !file->tail.has_carried()) return with_those_before(*file, std::move(block));
  return block;
}

// The last of what `file` took over is whole: the files it began in have given all, in one commit with `block`.
LineBlock FileSource::with_those_before(File& file, LineBlock block) {
  together_.push_front(std::move(block));
  for (auto from = std::exchange(file.took_from, nullptr); from; from = std::exchange(from->took_from, nullptr)) {
    from->handed_over = false;
    LineBlock last = from->tail.finish_for_successor();
    known_.remember(last.position);
    together_.push_front(of_this_source(*from, std::move(last)));
  }
  block = std::move(together_.front());
  together_.pop_front();
  return block;
}

// `file` goes before what it took over is whole: that is read again where it began.
void FileSource::take_back_before(File& file) {
  for (auto from = std::exchange(file.took_from, nullptr); from; from = std::exchange(from->took_from, nullptr)) {
    from->handed_over = false;
    from->tail.begin(from->tail.position(), from->tail.position().resume > 0);
    from->dirty = true;
  }
}

LineBlock FileSource::of_this_source(File& file, LineBlock block) {
  block.default_job_id = file.log->default_job;
  block.default_job_rank = file.log->default_job_rank;
  block.defaults = &file.log->defaults;
  return block;
}

// What it holds is another file. What was seen and not read is lost, unless a copy has it.
void FileSource::was_cut(File& file, std::uint64_t unread, TimePoint now) {
  const bool was_known = file.tail.is_known();
  const FileIdentity cut = file.tail.position().file;
  const auto facts = file.tail.bytes().facts();
  if (facts && was_known) known_.remember_cut(cut, file.tail.checkpoints(), *facts);
  file.tail.forget();
  file.grown_at = now;
  std::uint64_t lost = unread;
  if (unread > 0) {
    // copytruncate makes its copy first: if it is there, it is the file now, and what was not read is read from it.
    scan(now);
    for (const auto& copy : files_) {
      // Of one that nobody had looked into, a copy that is as long is all there is to tell by.
      if (!was_known && !copy->is_live && copy->log_path == file.log_path && copy->tail.size_seen() >= unread) lost = 0;
      if (!was_known || copy->is_live || copy->tail.is_known() || !identify(*copy, now)) continue;
      copy->dirty = true;
      if (copy->tail.position().file != cut) continue;
      lost = unread > copy->tail.unread() ? unread - copy->tail.unread() : 0;
      if (copy->tail.bytes().is_packed()) lost = 0;
    }
  }
  was_truncated(file, lost);
}

void FileSource::was_truncated(const File& file, std::uint64_t lost) {
  metrics_.add(Metric::kTruncationsUnaccountedTotal, {settings_.source.name}, 1);
  count_lost(lost, "truncated");
  log_warn("source " + settings_.source.name + ": " + file.path + " was truncated; " +
           (lost > 0 ? std::to_string(lost) + " bytes were seen and not read and are lost"
                     : "what was seen of it had been read or is in a copy") +
           "; what was written between the last look and the cut cannot be known. Rotate by rename to lose nothing");
}

void FileSource::count_lost(std::uint64_t bytes, std::string_view reason) {
  if (bytes > 0) metrics_.add(Metric::kLostBytesTotal, {settings_.source.name, reason}, static_cast<double>(bytes));
}

std::optional<TimePoint> FileSource::due() const {
  std::optional<TimePoint> due;
  for (const auto& file : files_) {
    const auto each = file->tail.due();
    if (each && (!due || *each < *due)) due = each;
  }
  return due;
}

void FileSource::clock_stepped(std::chrono::microseconds by) {
  for (const auto& file : files_) {
    file->grown_at += by;
    file->tail.clock_stepped(by);
  }
}

SourceStatus FileSource::status() const {
  SourceStatus now{settings_.source.name, waiting_bytes_, waiting_since_, files_.size(), {}};
  for (const auto& file : files_) {
    now.lag_bytes += file->tail.unread();
    const auto since = file->tail.unread() > 0 ? file->unread_since : std::nullopt;
    if (since && (!now.oldest_unread || *since < *now.oldest_unread)) now.oldest_unread = since;
  }
  for (const auto& [path, fault] : faults_) now.faults.push_back(fault);
  return now;
}

}  // namespace runtail
