// Data judged, alerts raised and sent, on two threads with a connection each. Several servers may do it: a round is one
// server's at a time (a row lock), a delivery is leased; when a server goes the others go on with what it had. Straight
// to PostgreSQL or through a pooler: nothing of it needs a session.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "alerts/outbox.h"
#include "alerts/round.h"
#include "alerts/sender.h"
#include "config/config.h"
#include "core/time.h"
#include "schema/pg.h"
#include "server/loop.h"

namespace runtail {

// How often; tests shorten these.
struct AlertingTimes {
  std::chrono::milliseconds round{2'000}, delivery{1'000}, retry{5'000};
};

struct AlertingState {
  std::uint64_t rounds = 0, failed_rounds = 0;
  double seconds = 0;                     // of the last round
  std::optional<TimePoint> last_success;  // of a round
  std::int64_t pending = 0;               // deliveries, of all servers
  struct Channel {
    std::uint64_t sent = 0, failed = 0;
    bool up = true;
  };
  std::map<std::string, Channel> channels;  // that something was sent to
  std::string fault;                        // why the last round was not done; "": it was
};

class Alerting {
 public:
  using Note = std::function<void(const std::string& message, bool is_fault)>;
  // `clock` outlives this. What `config` switches off is not done; if that is all, no thread is started.
  Alerting(const Config& config, Sender::Environment environment, const Clock& clock, Note note,
           AlertingTimes times = {});

  void start();
  // What is being sent is broken off and left to the next server. False: the database did not answer in time; the
  // process had better quick_exit().
  bool stop(std::chrono::milliseconds deadline);
  // Threads: any.
  AlertingState state() const;

 private:
  // Of a channel, on the delivery thread.
  struct Pace {
    int failures = 0;  // in a row
    TimePoint closed_until{};
    std::deque<TimePoint> sent;  // within the last minute
  };
  struct Outcome {
    AlertDelivery delivery;
    std::string error;
  };
  std::chrono::milliseconds judge();
  std::chrono::milliseconds deliver();
  Result<void> connect(std::optional<PgConnection>& connection) const;
  // What comes of one that was leased until `leased_until`; nothing where it was given back.
  Result<void> handle(const AlertDelivery& delivery, TimePoint leased_until);
  // When the channel takes the next one; not later than now: at once.
  TimePoint free_at(const AlertDelivery& delivery);
  void count(const Outcome& outcome);
  void say(const std::string& fault);

  const PostgresConfig postgres_;
  const AlertsConfig alerts_;
  const RoundParts parts_;
  const Clock& clock_;
  const Note note_;
  const AlertingTimes times_;
  Sender sender_;
  std::optional<PgConnection> judging_, delivering_;  // each its thread's
  std::map<std::string, Pace> paces_;
  std::vector<Outcome> unsettled_;  // sent or failed, and not yet stored

  mutable std::mutex mutex_;  // guards state_
  AlertingState state_;
  Loop delivery_, rounds_;  // end first
};

}  // namespace runtail
