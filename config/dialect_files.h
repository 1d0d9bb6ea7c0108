// The dialects in force: the built-in ones and those in the files that dialects.files names.
#pragma once

#include <vector>

#include "config/config.h"

namespace runtail {

// Reads `files` into `own`. What is wrong, all at once: of a file that cannot be read the key says which entry it is
// ("dialects.files[1]") and the place is empty; of one that can, the place is in it ("shop.yaml:3:5").
std::vector<DialectProblem> read_dialect_files(DialectsConfig& config);

// For a Parser: the native contract first. One of the user's stands in for the built-in one of its name.
std::vector<DialectSpec> dialects_of(const DialectsConfig& config);

}  // namespace runtail
