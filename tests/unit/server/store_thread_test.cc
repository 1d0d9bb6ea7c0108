// Questions to a history in the same process: in order, one at a time, and each is ended once, whatever happens.
#include "server/store_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "tests/unit/server/fake_store.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;

class StoreThreadTest : public testing::Test {
 protected:
  StoreTask task(const std::string& name, std::shared_future<void> until = {}) {
    StoreTask task;
    task.ask = [this, name, until](HistoryStore&) {
      note("ask " + name);
      if (until.valid()) until.wait();
      return std::string();
    };
    task.done = [this, name] { note("done " + name); };
    task.refuse = [this, name](const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::kUnavailable);
      note("refuse " + name);
    };
    return task;
  }
  void note(const std::string& what) {
    const std::lock_guard lock(mutex_);
    said_.push_back(what);
  }
  std::vector<std::string> said() {
    const std::lock_guard lock(mutex_);
    return said_;
  }
  // Returns when all that was submitted before is over.
  void wait_for_all(StoreThread& thread) {
    std::promise<void> over;
    StoreTask last;
    last.ask = [](HistoryStore&) { return std::string(); };
    last.done = [&over] { over.set_value(); };
    last.refuse = [&over](const Error&) { over.set_value(); };
    ASSERT_EQ(thread.submit(std::move(last)), StorePool::Taken::kYes);
    over.get_future().wait();
  }

  FakeStore store_;
  std::mutex mutex_;  // guards said_
  std::vector<std::string> said_;
};

TEST_F(StoreThreadTest, AsksInOrderAndRefusesWhileThereIsNoHistory) {
  std::atomic<bool> is_there = true;
  StoreThread thread([&](const auto& use) {
    if (is_there) use(store_);
    return is_there.load();
  });
  thread.start();
  EXPECT_EQ(thread.submit(task("a")), StorePool::Taken::kYes);
  EXPECT_EQ(thread.submit(task("b")), StorePool::Taken::kYes);
  wait_for_all(thread);
  is_there = false;
  EXPECT_EQ(thread.submit(task("c")), StorePool::Taken::kYes);
  wait_for_all(thread);
  is_there = true;
  EXPECT_EQ(thread.submit(task("d")), StorePool::Taken::kYes);
  wait_for_all(thread);
  EXPECT_THAT(said(), ElementsAre("ask a", "done a", "ask b", "done b", "refuse c", "ask d", "done d"));
}

TEST_F(StoreThreadTest, EndsWithWhatIsUnderWayAndRefusesTheRest) {
  StoreThread thread([&](const auto& use) {
    use(store_);
    return true;
  });
  thread.start();
  std::promise<void> go_on;
  const std::shared_future<void> until = go_on.get_future().share();
  EXPECT_EQ(thread.submit(task("a", until)), StorePool::Taken::kYes);
  while (said().empty()) std::this_thread::yield();
  std::size_t waiting = 0;
  while (thread.submit(task("b")) == StorePool::Taken::kYes) ++waiting;
  EXPECT_EQ(waiting, 256u);
  auto stopped = std::async(std::launch::async, [&] { thread.stop(); });
  while (said().size() < 1 + waiting) std::this_thread::yield();
  EXPECT_EQ(thread.submit(task("c")), StorePool::Taken::kAway);
  go_on.set_value();
  stopped.wait();
  EXPECT_EQ(said().at(1), "refuse b");
  EXPECT_EQ(said().back(), "done a");
}

}  // namespace
}  // namespace runtail::test
