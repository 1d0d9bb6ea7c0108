#include "agent/worker_process.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

namespace runtail {
namespace {

// linux/pidfd.h of Linux 6.15, which Debian 12's headers do not have yet.
struct PidfdInfo {
  std::uint64_t mask = 0;
  std::uint64_t cgroup_id = 0;
  std::uint32_t ids[11] = {};  // pid, tgid, ppid, then real, effective, saved and file system user and group
  std::int32_t exit_code = 0;
};
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);
constexpr std::uint64_t kPidfdInfoExit = 1u << 3;

std::string read_whole(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::chrono::microseconds clock_now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::microseconds(now.tv_nsec / 1000);
}

}  // namespace

std::optional<ProcessLife> life_of(pid_t pid) {
  const std::string stat = read_whole("/proc/" + std::to_string(pid) + "/stat");
  // "pid (name) state ppid ...": the name may hold anything, so the count begins behind its last ')'.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat.size()) return std::nullopt;
  std::string_view rest = std::string_view(stat).substr(name_end + 2);
  if (rest.starts_with('Z') || rest.starts_with('X')) return std::nullopt;
  for (int field = 3; field < 22; ++field) {
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(space + 1);
  }
  ProcessLife life{pid, 0};
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), life.start_ticks);
  return error == std::errc() ? std::optional(life) : std::nullopt;
}

TimePoint started_at(const ProcessLife& life) {
  const auto booted = clock_now(CLOCK_REALTIME) - clock_now(CLOCK_BOOTTIME);
  const auto per_second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  return TimePoint(booted + std::chrono::microseconds(life.start_ticks * 1'000'000 / per_second));
}

std::string boot_id() {
  std::string id = read_whole("/proc/sys/kernel/random/boot_id");
  if (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

WorkerProcess::WorkerProcess(const ProcessLife& life)
    : life_(life), fd_(static_cast<int>(syscall(SYS_pidfd_open, life.pid, 0))) {
  // The id may have changed hands before the descriptor was there.
  if (fd_ >= 0 && life_of(life.pid) != life) close(std::exchange(fd_, -1));
}

WorkerProcess::~WorkerProcess() {
  if (fd_ >= 0) close(fd_);
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept : life_(other.life_), fd_(std::exchange(other.fd_, -1)) {}

WorkerProcess& WorkerProcess::operator=(WorkerProcess&& other) noexcept {
  std::swap(life_, other.life_);
  std::swap(fd_, other.fd_);
  return *this;
}

bool WorkerProcess::has_ended() const {
  if (fd_ < 0) return life_of(life_.pid) != life_;
  pollfd ended{fd_, POLLIN, 0};
  return poll(&ended, 1, 0) > 0;
}

std::optional<int> WorkerProcess::exit_signal() const {
  PidfdInfo info;
  info.mask = kPidfdInfoExit;
  if (fd_ < 0 || ioctl(fd_, kPidfdGetInfo, &info) != 0 || (info.mask & kPidfdInfoExit) == 0) return std::nullopt;
  return WIFSIGNALED(info.exit_code) ? std::optional(WTERMSIG(info.exit_code)) : std::nullopt;
}

}  // namespace runtail
