// Environment variables that look like settings and are none.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace runtail {

// Of `variables`, names of the environment: one text for each that begins with RUNTAIL_ and is neither the name of a
// setting of `config` nor another that runtail knows, with "did you mean". What Kubernetes sets for a service of that
// name (RUNTAIL_PORT, RUNTAIL_SERVICE_HOST ...) is passed over.
std::vector<std::string> unknown_variables(const Config& config, const std::vector<std::string>& variables);

}  // namespace runtail
