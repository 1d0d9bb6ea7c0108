// Opens files to be tailed: regular files below the directories a source may read, and nothing else.
//
// Whoever writes below such a directory may put symbolic links there. A link is followed as long as it leads to a file
// below one of the directories (/var/log/containers/x.log -> /var/log/pods/x/0.log); the open that counts never follows
// one, so swapping a file or directory for a link while it is opened leads nowhere. The directories themselves are the
// operator's word: whoever can replace one decides what is in it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"

namespace runtail {

// A file open for reading, never blocking. Owns the descriptor. The facts are those of the moment it was opened.
class OpenedFile {
 public:
  explicit OpenedFile(int fd = -1) : fd_(fd) {}  // takes `fd`; -1: none
  ~OpenedFile();
  OpenedFile(OpenedFile&& other) noexcept;
  OpenedFile& operator=(OpenedFile&& other) noexcept;

  int fd() const { return fd_; }  // -1: none

  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;  // since 1970

 private:
  int fd_ = -1;
};

// Threads: any. Keeps no descriptor: a root that is replaced or appears later is met as it then is.
class FileOpener {
 public:
  // `roots`: directories as the operator wrote them; they may themselves be reached by links and need not exist yet.
  explicit FileOpener(const std::vector<std::filesystem::path>& roots);

  // kNotFound: no such file, or a link to none. kUnavailable: try later (no permission, no descriptors left).
  // kInvalidInput: leads outside of the roots, or is not a regular file.
  Result<OpenedFile> open(const std::filesystem::path& path) const;

 private:
  std::vector<std::filesystem::path> roots_;  // absolute
};

// The directory before the first component with a wildcard: "/var/log" of "/var/log/*/etl.log" and of
// "/var/log/etl.log"; "." of "*.log".
std::filesystem::path root_of_pattern(const std::string& pattern);

}  // namespace runtail
