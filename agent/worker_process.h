// One process of a worker, watched without being its parent.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "core/time.h"

namespace runtail {

// One life of a process id: the same number may name another process tomorrow.
struct ProcessLife {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // since boot, as in /proc/<pid>/stat
  auto operator<=>(const ProcessLife&) const = default;
};

// Nothing: no such process in this PID namespace, or one that ended and only waits for its parent.
std::optional<ProcessLife> life_of(pid_t pid);
// When it started, by the wall clock as it is set now; good to 10 ms.
TimePoint started_at(const ProcessLife& life);
// Differs after each boot: start_ticks of another boot say nothing. "" where the kernel does not tell.
std::string boot_id();

// Watches one life. Threads: one.
class WorkerProcess {
 public:
  explicit WorkerProcess(const ProcessLife& life);
  ~WorkerProcess();
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&& other) noexcept;

  const ProcessLife& life() const { return life_; }
  // A pidfd, readable once the process has ended; -1 where the kernel gives none: ask has_ended().
  int descriptor() const { return fd_; }
  bool has_ended() const;
  // After has_ended() and once its parent has reaped it: the signal that ended it. Linux 6.15 and later tell; nothing
  // means it exited by itself or that nobody knows.
  std::optional<int> exit_signal() const;

 private:
  ProcessLife life_;
  int fd_ = -1;
};

}  // namespace runtail
