#include "server/loop.h"

namespace runtail {

Loop::~Loop() {
  end();
  if (thread_.joinable()) thread_.join();
}

void Loop::start() {
  thread_ = std::thread([this] { run(); });
}

void Loop::wake() {
  const std::lock_guard lock(mutex_);
  is_woken_ = true;
  changed_.notify_all();
}

void Loop::end() {
  const std::lock_guard lock(mutex_);
  is_ending_ = true;
  changed_.notify_all();
}

bool Loop::wait(std::chrono::milliseconds deadline) {
  if (!thread_.joinable()) return true;
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, deadline, [this] { return has_ended_; });
}

bool Loop::is_ending() const {
  const std::lock_guard lock(mutex_);
  return is_ending_;
}

void Loop::run() {
  std::unique_lock lock(mutex_);
  while (!is_ending_) {
    is_woken_ = false;
    lock.unlock();
    const std::chrono::milliseconds pause = work_();
    lock.lock();
    changed_.wait_for(lock, pause, [this] { return is_ending_ || is_woken_; });
  }
  has_ended_ = true;
  changed_.notify_all();
}

}  // namespace runtail
