// What servers do for the database beside answering: partitions, retention and summaries in turn, by one of several
// servers at a time (a session lock), each server's own heartbeat, and the totals of the fleet with it. On a thread of
// its own with a connection of its own: straight to PostgreSQL, not through a pooler in transaction mode.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "config/config.h"
#include "core/time.h"
#include "schema/pg.h"
#include "server/fleet_totals.h"

namespace runtail {

// How often; tests shorten these.
struct UpkeepTimes {
  std::chrono::milliseconds heartbeat{15'000}, summaries{60'000}, partitions{3'600'000}, retry{5'000};
};

class Upkeep {
 public:
  // `config_digest`: of the configuration in force. `clock` outlives this. The user needs the rights of the writer role
  // and of the retention role (schema/roles.h); what it lacks is said, and the rest is done.
  using Note = std::function<void(const std::string& message, bool is_fault)>;
  Upkeep(const Config& config, std::string config_digest, const Clock& clock, Note note, UpkeepTimes times = {});
  ~Upkeep();
  Upkeep(const Upkeep&) = delete;
  Upkeep& operator=(const Upkeep&) = delete;

  void start();
  // Says goodbye in the heartbeat, and ends. False: the database did not answer in time; the process had better
  // quick_exit().
  bool stop(std::chrono::milliseconds deadline);
  // Why the last round left something undone; "": it did not. Threads: any.
  std::string fault() const;
  // As of the last heartbeat; none before the first. Threads: any.
  std::vector<FleetTotal> fleet_totals() const;

 private:
  using Steady = std::chrono::steady_clock;
  void work();
  // Whatever is due. False: the connection was lost.
  bool round();
  Result<void> connect();
  Result<void> beat(std::string_view status);
  void maintain(bool with_partitions);
  Result<void> count_fleet();
  void say(const std::string& fault);

  const PostgresConfig postgres_;
  const RetentionConfig retention_;
  const std::string name_, environment_, config_digest_;
  const Clock& clock_;
  const Note note_;
  const UpkeepTimes times_;
  const TimePoint started_at_;
  std::optional<PgConnection> connection_;  // the thread's, as what follows
  Steady::time_point beat_due_{}, summaries_due_{}, partitions_due_{};
  std::string undone_;  // of the round under way

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::string fault_;
  std::vector<FleetTotal> fleet_totals_;
  bool is_stopping_ = false, has_ended_ = false;
  std::thread thread_;
};

}  // namespace runtail
