#include "agent/state_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "config/config.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// Could this user write into `directory`, once it is made?
bool is_writable(fs::path directory) {
  std::error_code ignored;
  while (!fs::exists(directory, ignored) && directory.has_relative_path()) directory = directory.parent_path();
  return faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

}  // namespace

fs::path state_directory(const std::string& option, const fs::path& configured) {
  if (!option.empty()) return fs::absolute(option);
  if (configured != BufferConfig{}.directory || is_writable(configured)) return configured;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state) return fs::path(state) / "runtail";
  if (const char* home = std::getenv("HOME"); home && *home) return fs::path(home) / ".local/state/runtail";
  return configured;
}

}  // namespace runtail
