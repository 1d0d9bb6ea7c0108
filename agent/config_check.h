// All that can be said of a configuration without using it: what `runtail check` and a reload refuse, in the same
// words.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/config_file.h"
#include "config/dialect.h"
#include "redaction/redactor.h"

namespace runtail {

struct CheckedConfig {
  ConfigFile file;
  std::vector<DialectSpec> dialects;
  std::optional<Redactor> redactor;   // absent where its rules are at fault
  std::vector<std::string> problems;  // one line each; empty: it may be used
};

// Loads it as load_config_file_of() does, makes the redactor, runs the examples of rule and dialect files of one's own.
CheckedConfig check_config(const std::string& option, const Environment& environment);

// Keys whose change takes a restart, with commas between; "": a running agent may change from one to the other.
std::string keys_for_a_restart(const Config& before, const Config& after);

}  // namespace runtail
