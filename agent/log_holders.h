// Whether a log is still in the hands of those who write it.
#pragma once

#include <string>
#include <vector>

#include "agent/file_names.h"
#include "core/result.h"
#include "core/time.h"

namespace runtail {

struct WrittenFile {
  std::string path;
  TimePoint written_at{};  // when it last changed
};

// Files of a source under their live and rotated names but for compressed ones, the last written first.
std::vector<WrittenFile> written_files(const FileNames& names);

// Asks the kernel for a read lease, which it refuses while any process, of any container, has the file open for
// writing; given back at once. kUnavailable: it does not say: the file is another user's, or its file system is not
// local.
Result<bool> is_open_for_writing(const std::string& path);

}  // namespace runtail
