#include "agent/log_holders.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

namespace runtail {

std::vector<WrittenFile> written_files(const FileNames& names) {
  std::vector<WrittenFile> files;
  std::map<std::string, std::string> faults;  // the source that reads the files reports the same
  for (FoundName& name : names.look(faults)) {
    struct stat status {};
    if (name.packing != Packing::kNone || stat(name.path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    const std::chrono::microseconds micros(status.st_mtim.tv_nsec / 1000);
    files.push_back({std::move(name.path), TimePoint(std::chrono::seconds(status.st_mtim.tv_sec) + micros)});
  }
  std::sort(files.begin(), files.end(),
            [](const WrittenFile& a, const WrittenFile& b) { return a.written_at > b.written_at; });
  return files;
}

Result<bool> is_open_for_writing(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  // Whoever opens the file for writing while the lease stands makes the kernel signal us: with one that is ignored.
  const bool leased = fd >= 0 && fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
  const int error = errno;
  if (leased) fcntl(fd, F_SETLEASE, F_UNLCK);
  if (fd >= 0) close(fd);
  if (leased) return false;
  if (fd >= 0 && error == EAGAIN) return true;
  return Error{ErrorCode::kUnavailable, "who has " + path + " open: " + std::strerror(error) +
                                            "; run the agent as the owner of the log, on a local file system"};
}

}  // namespace runtail
