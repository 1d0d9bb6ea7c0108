// Who read what: a row of access_log for each answer of the API, written in batches by a thread of its own. Nobody
// waits for it; what does not fit while the database is away is counted as lost.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "config/config.h"
#include "core/digest.h"
#include "schema/pg.h"
#include "server/api_server.h"

namespace runtail {

// Threads: add() and lost() any.
class AccessLog {
 public:
  using Note =
      std::function<void(const std::string& message)>;  // for the log: why it cannot be written, and that it can

  // The user needs the rights of the writer role (schema/roles.h): without the identity key hashes stay null.
  AccessLog(PostgresConfig postgres, Note note);
  ~AccessLog();  // stop(0)
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  void start();
  void add(const ApiRecord& record);
  // Writes what waits, and ends. False: the database did not answer in time; the process had better quick_exit().
  bool stop(std::chrono::milliseconds deadline);
  std::uint64_t lost() const;

 private:
  struct Entry {
    Uuid id;  // made once, so that a row whose COMMIT was not heard of does not come twice
    ApiRecord record;
  };
  void work();
  Result<void> write(const std::deque<Entry>& batch);
  Result<void> connect();

  const PostgresConfig postgres_;
  const Note note_;
  std::optional<PgConnection> connection_;  // the thread's, as the two below
  std::optional<HashKey> key_;
  std::string fault_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Entry> waiting_;
  std::uint64_t lost_ = 0;
  bool is_stopping_ = false, has_ended_ = false;
  std::thread thread_;
};

}  // namespace runtail
