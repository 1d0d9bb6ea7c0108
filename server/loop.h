// Work that is done again and again on a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace runtail {

class Loop {
 public:
  // One turn of the work; gives how long to wait until the next. Called on the loop's thread only.
  using Work = std::function<std::chrono::milliseconds()>;
  explicit Loop(Work work) : work_(std::move(work)) {}
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void start();
  // The next turn comes now, or right after the one under way. Threads: any.
  void wake();
  // No turn begins after it. Threads: any.
  void end();
  // After end(). False: the turn under way is not over.
  bool wait(std::chrono::milliseconds deadline);
  bool is_ending() const;

 private:
  void run();

  const Work work_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool is_woken_ = false, is_ending_ = false, has_ended_ = false;
  std::thread thread_;
};

}  // namespace runtail
