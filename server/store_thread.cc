#include "server/store_thread.h"

#include <utility>

namespace runtail {
namespace {

// Beyond it a request is refused: it would wait longer than anybody does.
constexpr std::size_t kWaitingMax = 256;

}  // namespace

void StoreThread::start() {
  thread_ = std::thread([this] { work(); });
}

void StoreThread::stop() {
  std::deque<StoreTask> left;
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    left.swap(waiting_);
  }
  has_work_.notify_all();
  for (StoreTask& task : left) task.refuse({ErrorCode::kUnavailable, "the agent ends"});
  if (thread_.joinable()) thread_.join();
}

StorePool::Taken StoreThread::submit(StoreTask task) {
  {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return StorePool::Taken::kAway;
    if (waiting_.size() >= kWaitingMax) return StorePool::Taken::kFull;
    waiting_.push_back(std::move(task));
  }
  has_work_.notify_one();
  return StorePool::Taken::kYes;
}

void StoreThread::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    has_work_.wait(lock, [this] { return is_stopping_ || !waiting_.empty(); });
    if (is_stopping_) return;
    StoreTask task = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const bool is_there = with_store_([&task](HistoryStore& store) { static_cast<void>(task.ask(store)); });
    if (is_there) {
      task.done();
    } else {
      task.refuse({ErrorCode::kUnavailable, "the agent's buffer is not open; see its log"});
    }
    task = {};
    lock.lock();
  }
}

}  // namespace runtail
