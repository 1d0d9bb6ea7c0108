// One measured stretch of work, and how it is printed: every figure with its CPU cost beside it.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace runtail::bench {

inline double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Figure {
  std::string name;
  double lines = 0, bytes = 0, wall_s = 0, cpu_s = 0;
  double server_cpu_s = 0;  // where a server works for it
  double lines_per_s() const { return lines / wall_s; }
  double cpu_per_million() const { return cpu_s / lines * 1e6; }
};

template <typename Work>
Figure measure(std::string name, double lines, double bytes, Work&& work) {
  const double cpu = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  work();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {std::move(name), lines, bytes, wall, cpu_seconds() - cpu, 0};
}

inline void print(const Figure& figure, const std::string& note = {}) {
  std::printf("%-38s %8.0f klines/s %7.0f MB/s %7.3f cpu-s/1M lines  %s\n", figure.name.c_str(),
              figure.lines_per_s() / 1e3, figure.bytes / figure.wall_s / 1e6, figure.cpu_per_million(), note.c_str());
  std::fflush(stdout);
}

// Figures of the same name over several rounds: the one with the median rate.
inline Figure median(std::vector<Figure> rounds) {
  std::sort(rounds.begin(), rounds.end(),
            [](const Figure& a, const Figure& b) { return a.lines_per_s() < b.lines_per_s(); });
  return rounds[rounds.size() / 2];
}

}  // namespace runtail::bench
