#include "agent/own_process.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace runtail {
namespace {

// The words of /proc/self/stat behind the name, which may hold blanks: state is the first (proc(5) calls it the third).
constexpr int kThreads = 20 - 3, kStartTicks = 22 - 3, kResidentPages = 24 - 3;

std::int64_t open_descriptors() {
  std::error_code error;
  std::int64_t count = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end; at.increment(error)) {
    ++count;
  }
  return std::max<std::int64_t>(count - 1, 0);  // without the one that reads the directory
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

OwnProcess read_own_process(TimePoint now) {
  OwnProcess own;
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) == 0) own.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
    own.max_fds = static_cast<std::int64_t>(files.rlim_cur);
  }
  own.open_fds = open_descriptors();

  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return own;
  std::istringstream words(text.substr(name_end + 1));
  std::string word;
  double start_seconds = 0;
  for (int at = 0; words >> word; ++at) {
    if (at == kThreads) own.threads = std::stoll(word);
    if (at == kStartTicks) start_seconds = std::stod(word) / static_cast<double>(sysconf(_SC_CLK_TCK));
    if (at == kResidentPages) own.resident_bytes = std::stoll(word) * sysconf(_SC_PAGESIZE);
  }
  timespec up{};
  clock_gettime(CLOCK_BOOTTIME, &up);
  const double age = static_cast<double>(up.tv_sec) + static_cast<double>(up.tv_nsec) / 1e9 - start_seconds;
  own.started_at = now - std::chrono::microseconds(static_cast<std::int64_t>(age * 1e6));
  return own;
}

}  // namespace runtail
