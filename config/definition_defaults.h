// What definitions say that do not say it themselves: thresholds, channels, and the rules of whoever only names
// channels.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/config.h"

namespace runtail {

inline constexpr const char* kSlackVariable = "ALERT_SLACK_WEBHOOK";
inline constexpr const char* kMailVariable = "ALERT_EMAILS";

// The channels of ALERT_SLACK_WEBHOOK ("slack") and ALERT_EMAILS ("email") beside those of the file; the standard rules
// where there are channels and no rule; thresholds of the sections for checks and rules that state none; for a rule
// without channels those that take its severity. Repeating it changes nothing.
void complete_definitions(Config& config,
                          const std::function<std::optional<std::string>(const std::string&)>& environment);

}  // namespace runtail
