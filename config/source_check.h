// What the keys of sources say together: which belong to a type, and what two sources must not share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/load.h"

namespace runtail {

// Where each key given was given: "sources[0].include" -> "runtail.yaml:3:5"; "sources[0]" for the source itself.
using KeyPlaces = std::map<std::string, std::string>;

// Appends what is wrong with `sources`, defaults applied. Keys `problems` already names are passed over.
void check_sources(const std::vector<SourceConfig>& sources, const KeyPlaces& places,
                   std::vector<ConfigProblem>& problems);

}  // namespace runtail
