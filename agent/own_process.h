// What the system says of this process.
#pragma once

#include <cstdint>

#include "core/time.h"

namespace runtail {

struct OwnProcess {
  TimePoint started_at{};  // as the system knows it; a clock set since moves it
  double cpu_seconds = 0;  // user and system, of all threads, ended ones included
  std::int64_t resident_bytes = 0, open_fds = 0, max_fds = 0, threads = 0;
};

// What cannot be read is 0. `now`: the time of day.
OwnProcess read_own_process(TimePoint now);

}  // namespace runtail
