// One open file of a FileSource, and where it stands in the row of its log. For file_source.cc and file_source_scan.cc.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/file_source.h"

namespace runtail {

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
  std::optional<Rested> rested;  // as it was when it was closed, until it is known again
  std::optional<TimePoint> unread_since;
  std::weak_ptr<File> before;       // the one of its log that was written before it
  std::weak_ptr<File> after;        // and the one after it
  std::shared_ptr<File> took_from;  // what that one left open goes on here
  bool handed_over = false;         // what it left open is whole in its successor, or will be
};

inline std::pair<dev_t, ino_t> inode_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

}  // namespace runtail
