// What becomes of an alert when a rule has spoken: opened, seen again, resolved, recorded without a word. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "alerts/rules.h"
#include "core/time.h"

namespace runtail {

struct AlertPolicy {
  // Facts older than this are recorded as stale, and nobody is told.
  std::chrono::milliseconds max_age = std::chrono::hours(1);
  // How long it must hold before it is an alert.
  std::chrono::milliseconds hold{0};
  // An alert that fired `flaps_max` times within `flap_window` is told of only once it has fired for `flap_calm`.
  int flaps_max = 3;
  std::chrono::milliseconds flap_window = std::chrono::hours(1);
  std::chrono::milliseconds flap_calm = std::chrono::minutes(10);
};

// What is stored of a dedupe key.
struct AlertPast {
  bool firing = false;
  // When each of its events fired, of the facts' time; at least the latest and those within flap_window.
  std::vector<TimePoint> fired;
};

struct AlertStep {
  enum class Action : std::uint8_t { kNone, kOpen, kOpenStale, kSeen, kResolve };
  Action action = Action::kNone;
  // kOpen: when somebody is told, if it fires still.
  TimePoint notify_at{};
  // A finding that has to hold longer: when to look again.
  std::optional<TimePoint> look_again;
};

// `quiet_until`: the end of the maintenance that goes on, if one does. A fact that fired once never fires again: not
// after it was acknowledged, not when history is replayed.
AlertStep next_step(const RuleFinding& finding, const AlertPast& past, const AlertPolicy& policy, TimePoint now,
                    std::optional<TimePoint> quiet_until);

}  // namespace runtail
