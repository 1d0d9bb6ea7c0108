#include "server/store_pool.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "history/postgres_store.h"

namespace runtail {
namespace {

// Beyond it a request is refused: it would wait longer than anybody does.
constexpr std::size_t kWaitersMax = 1024;
constexpr std::chrono::seconds kWaitMax{10}, kAskEvery{1};
constexpr std::chrono::milliseconds kRetryFirst{200}, kRetryLast{2000};
// The server keeps statement_timeout unless it is frozen.
constexpr std::chrono::seconds kAnswerSlack{2};

// What PgBouncer answers to PgOptions::settings.
constexpr std::string_view kRefusedSettings = "08P01";

// A pooler in transaction mode lost a prepared statement, or has it twice.
bool met_pooler(const std::string& fault) {
  return fault.find("SQLSTATE 26000") != std::string::npos || fault.find("SQLSTATE 42P05") != std::string::npos;
}

}  // namespace

struct StorePool::Link {
  std::optional<PgConnection> connection;
  std::optional<PostgresStore> store;
  bool is_direct = true;  // until a pooler is seen: statements are prepared, and settings are the session's

  bool is_alive() const { return connection && connection->is_alive(); }
};

StorePool::StorePool(PostgresConfig postgres, std::uint32_t connections_max,
                     std::chrono::milliseconds statement_timeout, Note note)
    : postgres_(std::move(postgres)),
      connections_max_(std::max<std::uint32_t>(connections_max, 1)),
      statement_timeout_(statement_timeout),
      note_(std::move(note)) {}

StorePool::~StorePool() {
  static_cast<void>(stop());
  for (std::thread& thread : threads_) thread.join();
}

void StorePool::start() {
  working_ = connections_max_;
  for (std::size_t number = 0; number < connections_max_; ++number) {
    threads_.emplace_back([this, number] { work(number); });
  }
}

bool StorePool::stop(std::chrono::milliseconds deadline) {
  std::vector<Waiting> left;
  {
    const std::lock_guard lock(mutex_);
    has_stopped_ = true;
    left = take_all();
  }
  has_work_.notify_all();
  retry_.notify_all();
  for (Waiting& waiting : left) waiting.task.refuse({ErrorCode::kUnavailable, "the server ends"});
  std::unique_lock lock(mutex_);
  return has_ended_.wait_for(lock, deadline, [this] { return working_ == 0; });
}

StorePool::Taken StorePool::submit(const std::string& who, StoreTask task) {
  {
    const std::lock_guard lock(mutex_);
    if (!fault_.empty() || has_stopped_) return Taken::kAway;
    if (waiters_ >= kWaitersMax) return Taken::kFull;
    auto& queue = queues_[who];
    if (queue.empty()) turns_.push_back(who);
    queue.push_back({who, std::move(task), Clock::now()});
    ++waiters_;
  }
  has_work_.notify_one();
  return Taken::kYes;
}

StorePoolState StorePool::state() const {
  const std::lock_guard lock(mutex_);
  return {in_use_, size_, waiters_, wait_seconds_, fault_};
}

std::optional<StorePool::Waiting> StorePool::take() {
  if (turns_.empty()) return std::nullopt;
  const std::string who = std::move(turns_.front());
  turns_.pop_front();
  const auto queue = queues_.find(who);
  Waiting waiting = std::move(queue->second.front());
  queue->second.pop_front();
  if (queue->second.empty()) {
    queues_.erase(queue);
  } else {
    turns_.push_back(who);
  }
  --waiters_;
  wait_seconds_ = std::chrono::duration<double>(Clock::now() - waiting.since).count();
  return waiting;
}

void StorePool::give_back(Waiting waiting) {
  {
    const std::lock_guard lock(mutex_);
    if (!has_stopped_) {
      auto& queue = queues_[waiting.who];
      if (queue.empty()) turns_.push_front(waiting.who);
      queue.push_front(std::move(waiting));
      ++waiters_;
      has_work_.notify_one();
      return;
    }
  }
  waiting.task.refuse({ErrorCode::kUnavailable, "the server ends"});
}

std::vector<StorePool::Waiting> StorePool::take_all() {
  std::vector<Waiting> all;
  while (auto waiting = take()) all.push_back(std::move(*waiting));
  return all;
}

bool StorePool::set_away(const Error& error) {
  std::vector<Waiting> left;
  bool is_news = false;
  {
    const std::lock_guard lock(mutex_);
    if (size_ > 0) return false;
    is_news = fault_.empty();
    fault_ = error.message;
    left = take_all();
  }
  if (is_news) note_("the database is away: " + error.message);
  for (Waiting& waiting : left) waiting.task.refuse(error);
  return true;
}

void StorePool::set_back() {
  {
    const std::lock_guard lock(mutex_);
    if (fault_.empty()) return;
    fault_.clear();
  }
  note_("the database is back");
}

void StorePool::disconnect(Link& link) {
  if (!link.connection) return;
  link.store.reset();
  link.connection.reset();
  const std::lock_guard lock(mutex_);
  --size_;
}

Result<void> StorePool::connect(Link& link) {
  disconnect(link);
  PgOptions options;
  options.connect_timeout = postgres_.connect_timeout;
  options.answer_timeout = statement_timeout_ + kAnswerSlack;
  options.password_file = postgres_.password_file;
  options.prepare = link.is_direct;
  // Settings of one's own in the connection string or the environment stay what they are.
  const bool has_own = postgres_.url.find("options") != std::string::npos || std::getenv("PGOPTIONS");
  if (link.is_direct && !has_own) options.settings = History::settings(statement_timeout_);
  auto connection = PgConnection::connect(postgres_.url, options);
  if (!connection && connection.error().sqlstate == kRefusedSettings && link.is_direct) {
    link.is_direct = options.prepare = false;
    options.settings.clear();
    connection = PgConnection::connect(postgres_.url, options);
  }
  if (!connection) return to_error(connection.error(), "connect to PostgreSQL");
  link.connection = std::move(*connection);
  const bool is_set = !options.settings.empty() && History::has_settings(*link.connection);
  link.store.emplace(*link.connection, postgres_.schema, statement_timeout_, is_set);
  const std::lock_guard lock(mutex_);
  ++size_;
  return {};
}

bool StorePool::run(Link& link, Waiting waiting) {
  if (Clock::now() - waiting.since > kWaitMax) {
    waiting.task.refuse({ErrorCode::kUnavailable, "waited too long for a connection"});
    return true;
  }
  // A connection that stood idle may have been lost without a word: one that fails is tried anew, once.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!link.is_alive()) {
      if (const auto connected = connect(link); !connected) {
        if (set_away(connected.error())) {
          waiting.task.refuse(connected.error());
        } else {
          give_back(std::move(waiting));
        }
        return false;
      }
    }
    const std::string fault = waiting.task.ask(*link.store);
    if (link.is_direct && met_pooler(fault)) {
      link.is_direct = false;
      link.connection->close();
    }
    if (link.is_alive()) {
      waiting.task.done();
      return true;
    }
  }
  disconnect(link);
  const Error lost{ErrorCode::kUnavailable, "the connection was lost twice"};
  static_cast<void>(set_away(lost));
  waiting.task.refuse(lost);
  return false;
}

// Looks whether the database answers: of the first thread, when it has nothing else to do.
bool StorePool::watch(Link& link) {
  const bool answers = link.is_alive() && link.connection->exec("SELECT 1");
  if (!answers) {
    if (const auto connected = connect(link); !connected) {
      static_cast<void>(set_away(connected.error()));
      return false;
    }
  }
  set_back();
  return true;
}

void StorePool::work(std::size_t number) {
  Link link;
  const bool is_first = number == 0;
  std::chrono::milliseconds retry = kRetryFirst;
  bool is_connected = !is_first || watch(link);  // as far as it has tried
  std::unique_lock lock(mutex_);
  while (!has_stopped_) {
    if (!is_connected) {
      retry_.wait_for(lock, retry, [this] { return has_stopped_; });
      retry = std::min(retry * 2, kRetryLast);
    } else {
      retry = kRetryFirst;
      const auto patience = is_first ? std::chrono::milliseconds(kAskEvery) : postgres_.idle_timeout;
      has_work_.wait_for(lock, patience, [this] { return has_stopped_ || !turns_.empty(); });
    }
    if (has_stopped_) break;
    if (auto waiting = take()) {
      ++in_use_;
      lock.unlock();
      is_connected = run(link, std::move(*waiting));
      lock.lock();
      --in_use_;
    } else {
      lock.unlock();
      if (is_first) {
        is_connected = watch(link);
      } else {
        is_connected = true;  // nothing to do: it is tried with the next
        disconnect(link);
      }
      lock.lock();
    }
  }
  --working_;
  has_ended_.notify_all();
}

}  // namespace runtail
