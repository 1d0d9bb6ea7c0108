#include "agent/file_opener.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace runtail {
namespace {

namespace fs = std::filesystem;

constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr int kLookFlags = O_PATH | O_CLOEXEC;
// Whoever swaps files for links as fast as they can makes an open start over; not for ever.
constexpr int kTries = 16;

// Absolute and without "." and empty components, so that paths compare component by component. ".." stays: what it
// means depends on links.
fs::path plain(const fs::path& path) {
  fs::path out;
  for (const fs::path& part : fs::absolute(path)) {
    if (!part.empty() && part != ".") out /= part;
  }
  return out;
}

// `path` as seen from `root`: "./deep/etl.log"; std::nullopt: not below it.
std::optional<fs::path> below(const fs::path& root, const fs::path& path) {
  const auto [in_root, in_path] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  if (in_root != root.end()) return std::nullopt;
  fs::path out = ".";
  for (auto part = in_path; part != path.end(); ++part) out /= *part;
  return out;
}

// What openat2 does below, one component after the other.
OpenedFile walk_beneath(const OpenedFile& root, const fs::path& relative, int flags) {
  OpenedFile at;
  for (auto part = relative.begin(); part != relative.end(); ++part) {
    if (*part == "..") {  // allowed would have to be those that do not leave the root: none is simpler
      errno = EXDEV;
      return OpenedFile();
    }
    const bool last = std::next(part) == relative.end();
    const int from = at.fd() >= 0 ? at.fd() : root.fd();
    OpenedFile next(openat(from, part->c_str(), (last ? flags : kLookFlags) | O_NOFOLLOW));
    struct stat status {};
    if (next.fd() < 0 || fstat(next.fd(), &status) != 0) return OpenedFile();
    if (S_ISLNK(status.st_mode)) {
      errno = ELOOP;
      return OpenedFile();
    }
    at = std::move(next);
  }
  return at;
}

// No descriptor and errno ELOOP: a link is on the way; EXDEV: ".." leaves the root.
OpenedFile open_beneath(const OpenedFile& root, const fs::path& relative, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = syscall(SYS_openat2, root.fd(), relative.c_str(), &how, sizeof how);
  // Kernels before 5.6 do not know it, and sandboxes that do not know it forbid it.
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return walk_beneath(root, relative, flags);
  return OpenedFile(static_cast<int>(fd));
}

struct Attempt {
  OpenedFile file;
  int error = 0;    // errno; 0: opened, or
  mode_t type = 0;  // what it is instead of a regular file
};

Attempt attempt(const fs::path& root, const fs::path& relative) {
  const OpenedFile directory(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd() < 0) return {OpenedFile(), errno};
  // First a look that opens nothing: opening a pipe or a device is already felt by whoever is at its other end.
  const OpenedFile seen = open_beneath(directory, relative, kLookFlags);
  struct stat status {};
  if (seen.fd() < 0 || fstat(seen.fd(), &status) != 0) return {OpenedFile(), errno};
  if (!S_ISREG(status.st_mode)) return {OpenedFile(), 0, status.st_mode};
  OpenedFile file = open_beneath(directory, relative, kReadFlags);
  if (file.fd() < 0 || fstat(file.fd(), &status) != 0) return {OpenedFile(), errno};
  if (!S_ISREG(status.st_mode)) return {OpenedFile(), 0, status.st_mode};
  file.size = static_cast<std::uint64_t>(status.st_size);
  file.mtime_ns = static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
  return {std::move(file)};
}

const char* type_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

Error not_a_file(const fs::path& path, mode_t mode) {
  return {ErrorCode::kInvalidInput, "open " + path.string() + ": it is " + type_of(mode) +
                                        ", and only regular files are tailed; let sources[].exclude match it"};
}

Error error_of(const fs::path& path, int number) {
  const std::string open = "open " + path.string() + ": " + std::strerror(number);
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return {ErrorCode::kNotFound, open};
    case EACCES:
    case EPERM:
      return {ErrorCode::kUnavailable, open + "; give the user of runtail the right to read it"};
    case EMFILE:
      return {ErrorCode::kUnavailable, open + "; raise the limit of open files of runtail (LimitNOFILE=)"};
    case ENFILE:
      return {ErrorCode::kUnavailable, open + "; raise the limit of open files of the host (sysctl fs.file-max)"};
    case ELOOP:
      return {ErrorCode::kInvalidInput, open + "; mend the links that lead to each other"};
    default:
      return {ErrorCode::kUnavailable, open};
  }
}

// `real`: `path` free of links.
Error outside(const fs::path& path, const fs::path& real, const std::vector<fs::path>& roots) {
  std::string message = "open " + path.string() + ": it leads to " + real.string() +
                        ", outside of the directories this source may read (";
  for (const fs::path& root : roots) message += (&root == roots.data() ? "" : ", ") + root.string();
  return {ErrorCode::kInvalidInput, message + "); add its directory to sources[].roots"};
}

}  // namespace

OpenedFile::~OpenedFile() {
  if (fd_ >= 0) close(fd_);
}

OpenedFile::OpenedFile(OpenedFile&& other) noexcept { *this = std::move(other); }

OpenedFile& OpenedFile::operator=(OpenedFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  size = other.size;
  mtime_ns = other.mtime_ns;
  return *this;
}

FileOpener::FileOpener(const std::vector<fs::path>& roots) {
  for (const fs::path& root : roots) roots_.push_back(plain(root));
}

Result<OpenedFile> FileOpener::open(const fs::path& path) const {
  fs::path target = plain(path);
  bool resolved = false;  // `target` was free of links when it was last looked at
  for (int tries = 0; tries < kTries; ++tries) {
    bool inside = false;
    for (const fs::path& root : roots_) {
      std::error_code missing;
      const auto relative = below(resolved ? fs::canonical(root, missing) : root, target);
      if (missing || !relative) continue;
      inside = true;
      Attempt opened = attempt(root, *relative);
      if (opened.file.fd() >= 0) return std::move(opened.file);
      if (opened.error == 0) return not_a_file(path, opened.type);
      if (opened.error != ELOOP && opened.error != EXDEV && opened.error != EAGAIN) return error_of(path, opened.error);
      break;
    }
    if (!inside && resolved) return outside(path, target, roots_);
    std::error_code error;
    target = fs::canonical(path, error);
    // A link to what runtail may not see is no reason to ask for the right to see it.
    if (error.value() == EACCES)
      return Error{ErrorCode::kUnavailable,
                   "open " + path.string() + ": it leads through a directory that the user of runtail may not search"};
    if (error) return error_of(path, error.value());
    resolved = true;
  }
  return Error{ErrorCode::kUnavailable, "open " + path.string() + ": the links on the way to it keep changing"};
}

fs::path root_of_pattern(const std::string& pattern) {
  const std::size_t wildcard = std::min(pattern.find_first_of("*?[\\"), pattern.size());
  const std::size_t slash = pattern.rfind('/', wildcard);
  if (slash == std::string::npos) return ".";
  return pattern.substr(0, std::max<std::size_t>(slash, 1));
}

}  // namespace runtail
