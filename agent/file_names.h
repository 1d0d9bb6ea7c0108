// Which names of the file system belong to a source: those its patterns match, and what log rotation made of them.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/packed_file.h"

namespace runtail {

struct FoundName {
  std::string path;
  std::string log;  // the live name it has or once had: etl.log for etl.log.1, etl.log-20260301.gz and etl-1.log
  bool is_live = true;
  Packing packing = Packing::kNone;
  struct stat status {};  // as it was when it was found, of what a link leads to
};

// The names a rotated file may have had while it was written, as far as its name tells, the likeliest first.
//   etl.log.1, etl.log-20260301, etl.log.2026-03-01_10, etl.log.1.gz, 0.log.20260301-101112  -> etl.log, 0.log
//   etl-20260301.log, etl.1.log                                                              -> etl.log
//   etl-7-20260301.log                                                                       -> etl.log, etl-7.log
std::vector<std::string> names_before_rotation(std::string_view name);

// Rotated files, the oldest first. The kernel's times are coarse (4 ms): where they are the same, names tell, by the
// direction that the times of their log show. Without any, etl.log.1 is younger than etl.log.2.
void sort_oldest_first(std::vector<FoundName>& rotated);

class FileNames {
 public:
  // Glob patterns of whole paths. A '*' does not match '/' in what is included, and does in what is excluded.
  FileNames(std::vector<std::string> include, std::vector<std::string> exclude);

  // All of them, in no order, but no archive beside the rotated file it is made from; .xz, .bz2 and .lz4 are left
  // alone. A file is not live if its name tells which log it was rotated from, a pattern matches that name, and the log
  // is there or the patterns match the file by nothing else. `faults`: what could not be listed, by directory.
  std::vector<FoundName> look(std::map<std::string, std::string>& faults) const;
  // Those that exist, to watch.
  std::vector<std::string> directories() const;
  // Whether look() might find it, by its name alone.
  bool may_be_ours(const std::string& path) const;

 private:
  bool is_excluded(const std::string& path) const;
  bool is_included(const std::string& path) const;
  const std::vector<std::string> include_, exclude_;
};

}  // namespace runtail
