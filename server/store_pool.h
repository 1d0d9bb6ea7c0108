// Connections to the history's database, few and shared by all requests: bounded, with a queue that is fair to who
// asks.
//   Away     When no connection is left and none can be made, everything that waits is answered, and from then on
//            everything is refused at once; one thread goes on trying, and its success ends it. While others are
//            connected, a thread that cannot connect leaves the work to them.
//   Fair     Those who ask take turns, so that whoever asks for much waits behind himself only.
//   Idle     Connections but one are closed after postgres.idle_timeout. That one is asked every second.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "config/config.h"
#include "history/history_store.h"
#include "schema/pg.h"

namespace runtail {

// What is asked of the database. Called on threads of the pool; exactly one of done() and refuse() ends it.
struct StoreTask {
  // Gives what went wrong, "" for nothing. A second time if the connection was lost, or a pooler was met, on the first.
  std::function<std::string(HistoryStore& store)> ask;
  std::function<void()> done;
  std::function<void(const Error& error)> refuse;
};

struct StorePoolState {
  std::size_t in_use = 0, size = 0, waiters = 0;
  double wait_seconds = 0;  // of the task begun last
  std::string fault;        // why the database is away; "": it is not
};

// Threads: any.
class StorePool {
 public:
  using Note = std::function<void(const std::string& message)>;  // for the log: away and back

  StorePool(PostgresConfig postgres, std::uint32_t connections_max, std::chrono::milliseconds statement_timeout,
            Note note);
  ~StorePool();  // stop()
  StorePool(const StorePool&) = delete;
  StorePool& operator=(const StorePool&) = delete;

  void start();
  // Refuses what waits, and waits for what is under way, `deadline` at most. False: a thread did not come back, and the
  // process had better quick_exit(): the destructor waits for it.
  bool stop(std::chrono::milliseconds deadline = std::chrono::hours(1));

  enum class Taken { kYes, kAway, kFull };
  // kAway, kFull: none of the task's functions is called.
  Taken submit(const std::string& who, StoreTask task);
  StorePoolState state() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    std::string who;
    StoreTask task;
    Clock::time_point since;
  };
  struct Link;

  void work(std::size_t number);
  // Both: false if it could not connect. The task is answered, or given back for others to do.
  bool watch(Link& link);
  bool run(Link& link, Waiting waiting);
  Result<void> connect(Link& link);
  void disconnect(Link& link);
  void give_back(Waiting waiting);
  std::optional<Waiting> take();    // mutex_ is held
  std::vector<Waiting> take_all();  // mutex_ is held
  // Refuses what waits. False: others are connected, so the database is not away.
  bool set_away(const Error& error);
  void set_back();

  const PostgresConfig postgres_;
  const std::size_t connections_max_;
  const std::chrono::milliseconds statement_timeout_;
  const Note note_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable has_work_, has_ended_;
  std::condition_variable retry_;                      // of threads that could not connect: work is not for them
  std::map<std::string, std::deque<Waiting>> queues_;  // by who asks; none is empty
  std::deque<std::string> turns_;                      // each of them once
  std::size_t waiters_ = 0, in_use_ = 0, size_ = 0, working_ = 0;
  double wait_seconds_ = 0;
  std::string fault_;
  bool has_stopped_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace runtail
