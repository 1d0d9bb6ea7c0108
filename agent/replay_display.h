// How far a replay is, on stderr while it runs.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "agent/replay.h"

namespace runtail {

enum class ReplayDisplay { kNone, kBar, kJson };

// The line of a moment: for people, without a newline, or as JSON.
// "[#####-----] 52 % of 1.2 GiB, 3 of 8 files, 210000 lines/s, 0:42 left"
std::string progress_line(ReplayDisplay kind, const ReplayProgress& progress, double seconds);

// Shows it once a second, and once more at the end, from a thread of its own.
class ReplayShow {
 public:
  // `progress` outlives this.
  ReplayShow(ReplayDisplay kind, const ReplayProgress& progress);
  ~ReplayShow();
  ReplayShow(const ReplayShow&) = delete;
  ReplayShow& operator=(const ReplayShow&) = delete;

 private:
  void show(bool is_last);

  const ReplayDisplay kind_;
  const ReplayProgress& progress_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable_any woken_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace runtail
