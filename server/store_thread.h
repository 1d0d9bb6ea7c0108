// Asks a history that lies in this process: one question at a time, in the order they came. Every question ends by
// itself (rows and time are limited), so there is no need for more.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "server/store_pool.h"

namespace runtail {

// Threads: any.
class StoreThread {
 public:
  // Calls `use` with the history as it is at hand now, and keeps it there so long. False: there is none. On the thread
  // of this.
  using WithStore = std::function<bool(const std::function<void(HistoryStore& store)>& use)>;

  explicit StoreThread(WithStore with_store) : with_store_(std::move(with_store)) {}
  ~StoreThread() { stop(); }
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  void start();
  // Refuses what waits; ends when what is under way has ended.
  void stop();

  // kAway, kFull: none of the task's functions is called.
  StorePool::Taken submit(StoreTask task);

 private:
  void work();

  const WithStore with_store_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable has_work_;
  std::deque<StoreTask> waiting_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace runtail
