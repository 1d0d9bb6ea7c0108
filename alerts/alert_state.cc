#include "alerts/alert_state.h"

#include <algorithm>

namespace runtail {
namespace {

// A state that goes on is told so late: servers may have been away, or an agent behind.
constexpr std::chrono::hours kStateAge{24};

}  // namespace

AlertStep next_step(const RuleFinding& finding, const AlertPast& past, const AlertPolicy& policy, TimePoint now,
                    std::optional<TimePoint> quiet_until) {
  using Action = AlertStep::Action;
  AlertStep step;
  if (finding.state == RuleFinding::State::kUnchanged) return step;
  if (finding.state == RuleFinding::State::kCleared) {
    if (past.firing) step.action = Action::kResolve;
    return step;
  }
  if (past.firing) {
    step.action = Action::kSeen;
    return step;
  }
  const bool known = std::ranges::any_of(past.fired, [&](TimePoint at) { return at >= finding.since; });
  if (known) return step;
  // What must hold for long is not old before it may be told.
  const auto age_max =
      finding.goes_on ? std::max<std::chrono::microseconds>(policy.max_age, kStateAge) : policy.max_age;
  if (now - finding.since > age_max + policy.hold) {
    step.action = Action::kOpenStale;
    return step;
  }
  if (const TimePoint held = finding.began.value_or(finding.since) + policy.hold; now < held) {
    step.look_again = held;
    return step;
  }
  step.action = Action::kOpen;
  step.notify_at = now;
  const auto recent = std::ranges::count_if(past.fired, [&](TimePoint at) { return at > now - policy.flap_window; });
  if (recent >= policy.flaps_max) step.notify_at = now + policy.flap_calm;
  if (quiet_until) step.notify_at = std::max(step.notify_at, *quiet_until);
  return step;
}

}  // namespace runtail
