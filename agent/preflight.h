// What a valid configuration would meet on this machine, looked at without changing anything.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace runtail {

// One text per thing amiss, each with its remedy: directories of sources that are missing or unreadable, a buffer
// directory that cannot be written or made, key and password files that cannot be read, RUNTAIL_ variables of the
// environment that are no settings. Asks for this process's rights.
std::vector<std::string> preflight(const Config& config);

// The directory all matches of a glob lie below: "/var/log/etl/*/x.log" -> "/var/log/etl".
std::filesystem::path fixed_directory(const std::string& glob);

}  // namespace runtail
