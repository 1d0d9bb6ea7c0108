// What the configuration says to whoever derives facts: the agent and a replay derive the same.
#pragma once

#include <string>

#include "config/config.h"
#include "derive/deriver.h"

namespace runtail {

// `ruleset` as Redactor::ruleset().
DeriverSettings deriver_settings(const Config& config, const std::string& ruleset);

}  // namespace runtail
