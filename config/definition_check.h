// What jobs, checks, channels and rules say together: no name twice, and nothing refers to what is not defined.
#pragma once

#include <vector>

#include "config/config.h"
#include "config/source_check.h"

namespace runtail {

// Appends what is wrong. Keys `problems` already names are passed over.
void check_definitions(const Config& config, const KeyPlaces& places, std::vector<ConfigProblem>& problems);

}  // namespace runtail
