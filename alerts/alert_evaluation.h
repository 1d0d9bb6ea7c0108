// Alert rules evaluated over PostgreSQL: alert_events, and in the same transaction the deliveries that are wanted.
#pragma once

#include <cstdint>
#include <string>

#include "alerts/alert_state.h"
#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

struct AlertRound {
  std::int64_t jobs = 0;  // looked at
  std::int64_t opened = 0, resolved = 0, stale = 0;
  std::int64_t queued = 0;  // deliveries
  bool taken = false;       // another server is at it: nothing was done
  bool more = false;        // there is more that is new: call again
};

// Runs of a job that a round looks at: the latest by schedule.
inline constexpr int kRunsLookedAt = 100;

// One transaction. Looks at the jobs of which there is news since the last round (run states and observations that were
// stored; a definition that changed), and at those for which time alone may have changed something (alert_watch).
// `after_quality`: results of evaluate_quality() are facts here, so what it has not judged yet, here or on another
// server, stays new. False only where it is switched off.
// `read_until`: all that workers wrote before is stored; what is held back while the intake lags.
// An alert of a key fires once at a time (a unique index), and a delivery is queued once for each of its channels, so
// neither a server that dies nor a second one doubles anything.
// Rights: SELECT on runs, results and definitions, all on alert_events, alert_deliveries, alert_watch and
// evaluation_progress. Errors: kUnavailable (again next round), kInvalidInput.
Result<AlertRound> evaluate_alerts(PgConnection& connection, const std::string& schema, TimePoint now,
                                   TimePoint read_until, const AlertPolicy& policy = {}, bool after_quality = false,
                                   int news_max = 5000);

// Resolves the alert that fires for this key, and says who did it; its fact never fires again. False: none fires.
Result<bool> acknowledge_alert(PgConnection& connection, const std::string& schema, const std::string& dedupe_key,
                               const std::string& who, TimePoint now);

}  // namespace runtail
