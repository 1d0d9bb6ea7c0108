// What systemd/runtail.service forbids, held against a configuration: `check --as-service`.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace runtail {

// One line each: what will not work, and the drop-in that mends it. The service's user is asked for its groups; where
// it is not there, its rights on files are not judged, and the first line says so.
std::vector<std::string> sandbox_refusals(const Config& config, const std::string& user = "runtail");

}  // namespace runtail
