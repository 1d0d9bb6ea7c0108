#include "tests/support/process_facts.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/child_process.h"

namespace runtail::test {

namespace fs = std::filesystem;

std::vector<std::string> open_paths(pid_t pid) {
  std::vector<std::string> out;
  std::error_code gone;
  for (fs::directory_iterator at("/proc/" + std::to_string(pid) + "/fd", gone), end; !gone && at != end;
       at.increment(gone)) {
    std::error_code closed;
    const fs::path target = fs::read_symlink(at->path(), closed);
    if (!closed) out.push_back(target);
  }
  return out;
}

std::vector<std::string> open_below(pid_t pid, const std::string& prefix) {
  std::vector<std::string> out = open_paths(pid);
  std::erase_if(out, [&](const std::string& path) { return !path.starts_with(prefix); });
  return out;
}

double cpu_seconds(pid_t pid) {
  // Behind the name in parentheses: state, 10 numbers, then utime and stime in clock ticks.
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double cpu_seconds_with_children(pid_t pid) {
  const auto ticks_of = [](const std::string& id, bool with_ended) {
    std::ifstream in("/proc/" + id + "/stat");
    const std::string stat((std::istreambuf_iterator<char>(in)), {});
    // After the name in brackets: state is field 3; utime, stime, cutime, cstime are 14 to 17 (proc(5)).
    std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 2, stat.size())));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    double user = 0, system = 0, ended_user = 0, ended_system = 0;
    fields >> user >> system >> ended_user >> ended_system;
    return user + system + (with_ended ? ended_user + ended_system : 0);
  };
  const std::string root = std::to_string(pid);
  double ticks = ticks_of(root, true);
  std::ifstream children("/proc/" + root + "/task/" + root + "/children");
  for (std::string child; children >> child;) ticks += ticks_of(child, false);
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace runtail::test
