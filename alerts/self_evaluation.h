// Rules about runtail itself: of the ways to tell somebody, and of agents that are not heard of.
//   RuntailDeliveryFailing   a delivery failed kFailuresTold times and is still wanted; cleared when none is. Told on
//                            the other channels. Label: channel
//   RuntailAgentDown         an agent gave no sign of life for kAgentSilent and did not say goodbye; cleared by the
//   next,
//                            and given up after kAgentForgotten. Label: agent
#pragma once

#include <string>

#include "alerts/alert_events.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

inline constexpr int kFailuresTold = 3;
inline constexpr std::chrono::minutes kAgentSilent{2};
inline constexpr std::chrono::hours kAgentForgotten{24};

// In the transaction of a round.
PgOutcome<void> judge_self(PgConnection& connection, const std::string& schema, TimePoint now, AlertEvents& events);

}  // namespace runtail
