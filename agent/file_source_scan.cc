// Finding the files of a source, opening them in the order they were written, and letting them go.
#include "agent/file_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "agent/followed_file.h"
#include "agent/log.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// Some workers write on into a renamed file; after that long without growth nobody does.
constexpr std::chrono::seconds kRenamedGrace{30};
// A resting file is closed; its growth shows in a scan. Many open files rest sooner.
constexpr std::chrono::seconds kIdleGrace{300}, kIdleGraceMany{30};
constexpr std::size_t kOpenFilesMany = 128;
// Files rotated faster than names can be listed are taken as they are found.
constexpr int kLooksMax = 5;

std::int64_t mtime_ns(const struct stat& status) {
  return static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

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
  std::erase_if(newest_, [](const auto& each) { return each.second.expired(); });
  if (together_.empty()) std::erase_if(logs_, [](const auto& each) { return each.second.use_count() == 1; });

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
    if (!unlisted.contains(each.second.directory)) count_lost(each.second.at_stake, "deleted");
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
  const struct stat& status = name.status;
  const Inode inode = inode_of(status);
  if (const auto open = open_.find(inode); open != open_.end()) {
    File& file = *open->second;
    // One file under several names is live if one of them is.
    if (file.present && file.is_live) return;
    file.path = path;
    file.present = true;
    file.is_live = name.is_live;
    return;
  }
  const auto rested = rested_.find(inode);
  if (rested != rested_.end()) {
    Rested& file = rested->second;
    file.seen_in = scans_;
    // The unfinished last line of a file that was rotated is taken as it stands.
    const bool is_to_finish = file.at_stake > 0 && !name.is_live;
    if (file.size == static_cast<std::uint64_t>(status.st_size) && file.mtime_ns == mtime_ns(status) && !is_to_finish) {
      if (!file.fault.empty()) faults_[path] = file.fault;
      return;
    }
  } else if (is_too_old(name, now)) {
    return;
  }
  if (is_own(name)) return;
  // The files of one log are opened in the order they were written.
  if (logs_without_room_.contains(name.log) || !make_room(now)) {
    logs_without_room_.insert(name.log);
    const std::uint64_t read = rested == rested_.end() ? 0 : rested->second.size - rested->second.at_stake;
    const auto size = static_cast<std::uint64_t>(status.st_size);
    waiting_bytes_ += size > read ? size - read : 0;
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
  std::optional<Rested> before_it_rested;
  if (rested != rested_.end()) {
    before_it_rested = std::move(rested->second);
    rested_.erase(rested);
  }
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
  file->rested = std::move(before_it_rested);
  files_.push_back(file);
  open_[inode] = file.get();
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

// Our own output is never tailed, whatever it was renamed to.
bool FileSource::is_own(const FoundName& name) const {
  struct stat live {};
  if (own_.contains(inode_of(name.status))) return true;
  if (!name.is_live && stat(name.log.c_str(), &live) == 0 && own_.contains(inode_of(live))) return true;
  for (const std::string& each : {name.path, name.log}) {
    std::error_code ignored;
    const std::string path = fs::weakly_canonical(each, ignored);
    const auto is_in = [&](const fs::path& own) { return path == own || path.starts_with(own.string() + "/"); };
    if (std::any_of(never_.begin(), never_.end(), is_in)) return true;
  }
  return false;
}

// What lay there before a first start. What was written since the newest file was met is read, however long we were
// away.
bool FileSource::is_too_old(const FoundName& name, TimePoint now) {
  const TimePoint written_at = from_micros(mtime_ns(name.status) / 1000);
  if (now - written_at <= settings_.ignore_older) return false;
  const auto newest = known_.newest(log_of(name.log)->stream);
  return !newest || written_at <= *newest;
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
    // Where a name leads to it, it is met again when it grows. One that was moved out of sight is not: it is kept
    // longer.
    const auto facts = file->tail.bytes().facts();
    const bool is_deleted = !facts || facts->is_deleted;
    const auto patience = file->is_live ? idle : file->present || is_deleted ? kRenamedGrace : kIdleGrace;
    const bool is_quiet = now - file->grown_at > patience;
    if (file->handed_over || file->passed) continue;
    const bool is_finished = file->tail.is_read() && !file->tail.has_open();
    const bool is_unreadable = is_deleted && !file->fault.empty();
    if (is_given_up || ((is_finished || is_unreadable) && is_quiet)) let_go(file);
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
    rested_[file->inode] = {
        .size = file->tail.size_seen(),
        .mtime_ns = file->mtime_ns,
        .at_stake = at_stake,
        .born_ns = facts->born_ns,
        .identity = file->tail.is_known() ? std::optional(file->tail.position().file) : std::nullopt,
        .directory = fs::path(file->path).parent_path(),
        .fault = file->fault,
        .seen_in = scans_};
  }
  forget(file);
}

// The one after it comes after the one before it now.
void FileSource::forget(std::shared_ptr<File>& file) {
  const std::shared_ptr<File> gone = std::move(file);
  open_.erase(gone->inode);
  const auto before = gone->before.lock(), after = gone->after.lock();
  if (after) after->before = before;
  if (before) before->after = after;
  std::weak_ptr<File>& newest = newest_[gone->log_path];
  if (newest.lock() == gone) newest = before;
}

bool FileSource::changed(const std::string& path, bool only_grown) {
  if (!names_.may_be_ours(path)) return false;
  if (!only_grown) return true;
  const auto found = by_path_.find(path);
  const auto file = found == by_path_.end() ? nullptr : found->second.lock();
  if (!file) return true;
  file->dirty = true;
  return false;
}

}  // namespace runtail
