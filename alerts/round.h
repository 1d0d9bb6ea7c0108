// The one thing a server's loop calls: data quality judged, then alerts. Delivery is the outbox's (outbox.h).
#pragma once

#include <string>

#include "alerts/alert_evaluation.h"
#include "alerts/quality_evaluation.h"
#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

// What of a round is switched on.
struct RoundParts {
  bool quality = true, alerts = true;
  AlertPolicy policy;
};

struct RoundReport {
  QualityRound quality;
  AlertRound alerts;
};

// Whatever is new, and what became due, in transactions of its own each; what is left over after kPartsMax of them (a
// history that is replayed) is for the next round. May be called by several servers at once, and again after any error.
// How far lines are read is taken from the heartbeats of agents: while one is behind, silence proves nothing. One that
// was not heard of for kAgentGone no longer holds anything back.
// A part that is switched off is left out, and catches up when it is switched on.
Result<RoundReport> evaluate_round(PgConnection& connection, const std::string& schema, TimePoint now,
                                   const RoundParts& parts = {});

inline constexpr int kPartsMax = 20;
inline constexpr std::chrono::hours kAgentGone{1};

}  // namespace runtail
