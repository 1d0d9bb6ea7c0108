#include "agent/file_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "agent/log.h"
#include "agent/pod_path.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// Some workers write on into a renamed file; after that long without growth nobody does.
constexpr std::chrono::seconds kRenamedGrace{30};
// An unfinished last line of a file that was renamed or deleted is taken as it stands after that long.
constexpr std::chrono::seconds kOverAfter{15};
// A resting file is closed; its growth shows in a scan. Many open files rest sooner.
constexpr std::chrono::seconds kIdleGrace{300}, kIdleGraceMany{30};
constexpr std::size_t kOpenFilesMany = 128;
// A copy or an archive written to within so long may still be in the making.
constexpr std::chrono::seconds kGrowing{5};
// An archive that ends inside and does not grow was cut.
constexpr std::chrono::seconds kArchiveCutAfter{60};
// An archive that waits for its original is asked again in every so many scans.
constexpr std::uint64_t kScansPerAsk = 5;
// Files rotated faster than names can be listed are taken as they are found.
constexpr int kLooksMax = 5;

std::int64_t mtime_ns(const struct stat& status) {
  return static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

std::pair<dev_t, ino_t> inode_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

FramingSettings::Envelope envelope_of(const SourceConfig& source) {
  using Envelope = FramingSettings::Envelope;
  if (source.envelope == "none") return Envelope::kNone;
  if (source.envelope == "docker") return Envelope::kDocker;
  if (source.envelope == "cri") return Envelope::kCri;
  if (source.envelope == "journald") return Envelope::kJournald;
  if (source.envelope == "fluent") return Envelope::kFluent;
  return source.type == "kubernetes" ? Envelope::kCri : Envelope::kAuto;
}

std::vector<fs::path> roots_of(const SourceConfig& source) {
  std::vector<fs::path> roots(source.roots.begin(), source.roots.end());
  if (!roots.empty()) return roots;
  for (const std::string& pattern : source.include) roots.push_back(root_of_pattern(pattern));
  return roots;
}

TailSettings tail_settings(const FileSourceSettings& settings) {
  TailSettings tail{settings.key, settings.line_bytes_max, {}};
  tail.framing.envelope = envelope_of(settings.source);
  tail.framing.join_traces = settings.source.join_traces;
  tail.framing.unit_bytes_max = settings.line_bytes_max;
  return tail;
}

}  // namespace

struct FileSource::File {
  File(FileBytes bytes, const TailSettings& settings, ReadBuffer& buffer) : tail(std::move(bytes), settings, buffer) {}
  TailedFile tail;
  Inode inode{};
  std::string path;
  std::shared_ptr<Log> log;
  std::string log_path;        // the live name of its log
  bool is_live = true;         // found under the live name
  bool present = true;         // seen by this scan
  bool was_present = true;     // seen by the scan before
  bool dirty = true;           // worth a look
  bool waits = false;          // for the file before it to be read
  bool is_never = false;       // an archive with nothing in it
  std::uint64_t asked_in = 0;  // scan in which it was last asked which file it is; 0: not since it grew
  std::string fault;
  std::optional<LineBlock> passed;  // what of it was read in the file it is a copy of
  TimePoint grown_at{};             // when it last changed
  std::int64_t mtime_ns = 0;
  std::optional<TimePoint> unread_since;
  std::weak_ptr<File> before;       // the one of its log that was written before it
  std::weak_ptr<File> after;        // and the one after it
  std::shared_ptr<File> took_from;  // what that one left open goes on here
  bool handed_over = false;         // what it left open is whole in its successor, or will be
};

FileSource::FileSource(FileSourceSettings settings, std::vector<Position> positions, std::shared_ptr<ReadBuffer> buffer,
                       MetricTable& metrics)
    : settings_(std::move(settings)),
      tail_settings_(tail_settings(settings_)),
      names_(settings_.source.include, settings_.source.exclude),
      opener_(roots_of(settings_.source)),
      buffer_(std::move(buffer)),
      metrics_(metrics),
      known_(settings_.key, std::move(positions)) {
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
  if (pod) {
    log->stream = pod->pod_namespace + "/" + pod->uid + "/" + pod->container;
    log->default_job = pod->pod_namespace + "/" + pod->container;
    std::string& context = log->defaults.context;
    if (!context.empty()) context += ',';
    context += "\"k8s.namespace\":\"" + pod->pod_namespace + "\",\"k8s.pod\":\"" + pod->pod +
               "\",\"k8s.container\":\"" + pod->container + "\",\"k8s.restarts\":" + std::to_string(pod->restarts);
  }
  if (!source.job_id.empty()) {
    log->default_job = source.job_id;
    log->default_job_rank = 3;
  }
  log->was_known = known_.knows(log->stream);
  return log;
}

void FileSource::scan(TimePoint now) {
  ++scans_;
  for (const auto& file : files_) file->was_present = std::exchange(file->present, false);
  faults_.clear();
  waiting_bytes_ = 0;
  logs_without_room_.clear();
  std::vector<FoundName> live = look();
  const std::map<std::string, std::string> unlisted = faults_;
  std::vector<FoundName> rotated;
  const auto first =
      std::stable_partition(live.begin(), live.end(), [](const FoundName& name) { return name.is_live; });
  std::move(first, live.end(), std::back_inserter(rotated));
  live.erase(first, live.end());
  sort_oldest_first(rotated);
  for (const FoundName& name : rotated) look_at(name, now);
  for (const FoundName& name : live) look_at(name, now);
  if (waiting_bytes_ == 0) waiting_since_.reset();

  by_path_.clear();
  for (const auto& file : files_) {
    file->grown_at = std::min(file->grown_at, now);  // a clock set back must not hold files
    // A directory that could not be listed says nothing about its files.
    if (!file->present && !unlisted.contains(fs::path(file->path).parent_path())) file->is_live = false;
    if (file->present) by_path_[file->path] = file;
    if (file->present && !file->fault.empty()) faults_[file->path] = file->fault;
    const auto facts = file->tail.bytes().facts();
    if (!facts) continue;
    if (facts->size != file->tail.size_seen() || facts->mtime_ns != file->mtime_ns) {
      file->grown_at = now;
      file->dirty = true;
      file->asked_in = 0;
      file->is_never = false;
    }
    file->mtime_ns = facts->mtime_ns;
    file->tail.saw_size(facts->size);
    if (!file->tail.is_read() || is_over(*file, now)) file->dirty = true;
    if (!file->tail.is_read() && !file->unread_since) file->unread_since = now;
  }
  limit_deleted();
  let_rest(now);
  std::erase_if(rested_, [&](const auto& each) {
    if (each.second.seen_in == scans_) return false;
    if (unlisted.empty()) count_lost(each.second.at_stake, "deleted");
    return true;
  });
}

// While files are renamed, a look may miss some: they would be opened in another order than they were written in. So
// where there is anything new, only what two looks find alike is believed.
std::vector<FoundName> FileSource::look() {
  std::vector<FoundName> found = names_.look(faults_);
  const auto is_new = [&](const FoundName& name) { return !seen_.contains(inode_of(name.status)); };
  const auto is_same = [](const FoundName& a, const FoundName& b) {
    return a.path == b.path && inode_of(a.status) == inode_of(b.status);
  };
  for (int looks = 1; looks < kLooksMax && std::any_of(found.begin(), found.end(), is_new); ++looks) {
    faults_.clear();
    const std::vector<FoundName> before = std::exchange(found, names_.look(faults_));
    if (std::equal(found.begin(), found.end(), before.begin(), before.end(), is_same)) break;
  }
  seen_.clear();
  for (const FoundName& name : found) seen_.insert(inode_of(name.status));
  return found;
}

void FileSource::look_at(const FoundName& name, TimePoint now) {
  const std::string& path = name.path;
  for (const fs::path& own : settings_.never) {
    if (path == own || path.starts_with(own.string() + "/")) return;
  }
  const struct stat& status = name.status;
  const Inode inode = inode_of(status);
  if (own_.contains(inode)) return;
  const auto same = [&](const auto& file) { return file->inode == inode; };
  if (const auto open = std::find_if(files_.begin(), files_.end(), same); open != files_.end()) {
    // One file under several names is live if one of them is.
    if ((*open)->present && (*open)->is_live) return;
    (*open)->path = path;
    (*open)->present = true;
    (*open)->is_live = name.is_live;
    return;
  }
  if (const auto rested = rested_.find(inode); rested != rested_.end()) {
    Rested& file = rested->second;
    file.seen_in = scans_;
    // The unfinished last line of a file that was rotated is taken as it stands.
    const bool is_to_finish = file.at_stake > 0 && !name.is_live;
    if (file.size == static_cast<std::uint64_t>(status.st_size) && file.mtime_ns == mtime_ns(status) && !is_to_finish) {
      if (!file.fault.empty()) faults_[path] = file.fault;
      return;
    }
  } else if (now - from_micros(mtime_ns(status) / 1000) > settings_.ignore_older) {
    return;
  }
  // The files of one log are opened in the order they were written.
  if (logs_without_room_.contains(name.log) || !make_room(now)) {
    logs_without_room_.insert(name.log);
    waiting_bytes_ += static_cast<std::uint64_t>(status.st_size);
    if (!waiting_since_) waiting_since_ = now;
    return;
  }
  auto opened = opener_.open(path);
  if (!opened) {
    if (opened.error().code != ErrorCode::kNotFound) faults_[path] = opened.error().message;
    return;
  }
  struct stat now_there {};
  if (stat(path.c_str(), &now_there) != 0 || inode_of(now_there) != inode) return;  // it has another name by now
  rested_.erase(inode);
  if (!name.is_live) wake(name.log);
  const std::int64_t written_ns = opened->mtime_ns;
  auto file = std::make_shared<File>(FileBytes(std::move(*opened), name.packing), tail_settings_, *buffer_);
  file->inode = inode;
  file->path = path;
  file->log_path = name.log;
  file->log = log_of(name.log);
  file->is_live = name.is_live;
  file->mtime_ns = written_ns;
  file->grown_at = now;
  files_.push_back(file);
  if (file->tail.bytes().is_packed()) return;
  // Who came after whom. What appears beside a live file that is still the same is a copy, and has no place in the row.
  std::weak_ptr<File>& newest = newest_[name.log];
  const auto before = newest.lock();
  struct stat live {};
  const bool is_copy = !name.is_live && before && stat(name.log.c_str(), &live) == 0 && before->inode == inode_of(live);
  if (is_copy) return;
  file->before = before;
  if (before) before->after = file;
  newest = file;
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

// A copy is told from its original by a look at both: that is opened too, if it rests.
void FileSource::wake(const std::string& live) {
  struct stat status {};
  if (stat(live.c_str(), &status) == 0) rested_.erase(inode_of(status));
}

// One more may be opened; if need be a file that gives nothing until it grows makes room.
bool FileSource::make_room(TimePoint now) {
  if (files_.size() < settings_.open_files_max) return true;
  const auto may_go = [&](const auto& file) {
    const TailedFile& tail = file->tail;
    const bool is_drained = tail.is_read() || (file->is_live && (!tail.is_known() || tail.is_drained()));
    const auto facts = file->tail.bytes().facts();  // it may have grown since it was looked at
    return (file->present || file->was_present) && is_drained && !tail.has_open() && !file->handed_over &&
           !file->passed && !file->dirty && file->grown_at < now && facts && facts->size == tail.size_seen();
  };
  const auto resting = std::find_if(files_.begin(), files_.end(), may_go);
  if (resting == files_.end()) return false;
  let_go(*resting);
  files_.erase(resting);
  return true;
}

// Deleted files hold disk space nobody sees. What is beyond the limit goes, the oldest first, and is counted.
void FileSource::limit_deleted() {
  std::uint64_t held = 0;
  for (auto at = files_.rbegin(); at != files_.rend(); ++at) {
    File& file = **at;
    const auto facts = file.tail.bytes().facts();
    if (!facts || !facts->is_deleted || file.tail.unread() == 0 || file.handed_over) continue;
    held += file.tail.unread();
    if (held <= settings_.source.max_unread_deleted_bytes) continue;
    log_warn("source " + settings_.source.name + ": " + file.path + " was deleted with " +
             std::to_string(file.tail.unread()) +
             " bytes unread, more than max_unread_deleted_bytes allows to hold; they are lost");
    count_lost(file.tail.at_stake(), "deleted");
    held -= file.tail.unread();
    take_back_before(file);
    forget(*at);
  }
  std::erase(files_, nullptr);
}

// Nobody waits for a file that rests: it is opened again when it grows.
void FileSource::let_rest(TimePoint now) {
  const auto idle = files_.size() > kOpenFilesMany ? kIdleGraceMany : kIdleGrace;
  for (auto& file : files_) {
    const bool is_given_up = file->is_never || file->tail.is_done();
    const bool is_quiet = now - file->grown_at > (file->is_live ? idle : kRenamedGrace);
    if (file->handed_over || file->passed) continue;
    if (is_given_up || (file->tail.is_read() && !file->tail.has_open() && is_quiet)) let_go(file);
  }
  std::erase(files_, nullptr);
}

// Leaves a gap in files_.
void FileSource::let_go(std::shared_ptr<File>& file) {
  const auto facts = file->tail.bytes().facts();
  const std::uint64_t at_stake = file->tail.is_read() ? 0 : file->tail.at_stake();
  if (!facts || facts->is_deleted) {
    count_lost(at_stake, "deleted");
  } else {
    // As it was when it was last looked at: what came since makes it worth another look.
    rested_[file->inode] = {file->tail.size_seen(), file->mtime_ns, at_stake, file->fault, scans_};
  }
  forget(file);
}

// The one after it comes after the one before it now.
void FileSource::forget(std::shared_ptr<File>& file) {
  const std::shared_ptr<File> gone = std::move(file);
  const auto before = gone->before.lock(), after = gone->after.lock();
  if (after) after->before = before;
  if (before) before->after = after;
  std::weak_ptr<File>& newest = newest_[gone->log_path];
  if (newest.lock() == gone) newest = before;
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
  const FileIdentity cut = file.tail.position().file;
  const auto facts = file.tail.bytes().facts();
  if (facts) known_.remember_cut(cut, file.tail.checkpoints(), *facts);
  file.tail.forget();
  file.grown_at = now;
  std::uint64_t lost = unread;
  if (unread > 0) {
    // copytruncate makes its copy first: if it is there, it is the file now, and what was not read is read from it.
    scan(now);
    for (const auto& copy : files_) {
      if (copy->is_live || copy->tail.is_known() || !identify(*copy, now)) continue;
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

bool FileSource::changed(const std::string& path, bool only_grown) {
  if (!only_grown) return true;
  const auto found = by_path_.find(path);
  const auto file = found == by_path_.end() ? nullptr : found->second.lock();
  if (!file) return true;
  file->dirty = true;
  return false;
}

std::optional<TimePoint> FileSource::due() const {
  std::optional<TimePoint> due;
  for (const auto& file : files_) {
    const auto each = file->tail.due();
    if (each && (!due || *each < *due)) due = each;
  }
  return due;
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
