// Waiting for what a test expects. The one place where tests let time pass.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace runtail::test {

using Deadline = std::chrono::milliseconds;
inline constexpr Deadline kPatience{60'000};  // far beyond what any wait needs on a busy machine

// Polls `condition` every few milliseconds. false: the deadline passed and it never held.
inline bool wait_until(const std::function<bool()>& condition, Deadline deadline = kPatience,
                       Deadline pause = Deadline(5)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return condition();
    std::this_thread::sleep_for(pause);
  }
  return true;
}

// Lets a random moment come, for tests that strike at random moments. Never to wait for something.
inline void let_pass(std::chrono::microseconds time) { std::this_thread::sleep_for(time); }

}  // namespace runtail::test
