// From a YAML file and the environment to a Config. yaml-cpp stays in config/*.cc.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace runtail {

struct ConfigProblem {
  std::string place;    // "runtail.yaml:12:3", or "environment RUNTAIL_BUFFER_BYTES_MAX"
  std::string key;      // "buffer.bytes_max"
  std::string message;  // what is wrong and what to do, with "did you mean" where a near name exists
};
std::string to_string(const ConfigProblem& problem);  // "place: key: message"

struct LoadedConfig {
  Config config;
  std::vector<ConfigProblem> problems;  // every problem at once; empty: the config is usable
};

// Looks up one environment variable; std::nullopt if unset.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

// `yaml` may be empty (all defaults). `file_name` is for messages. Precedence: environment, file, default.
// ${NAME} in any scalar is replaced from the environment after parsing; an unset NAME is a problem.
LoadedConfig load_config(std::string_view yaml, std::string_view file_name, const Environment& environment);
// Reads `path` first. An unreadable file is one problem.
LoadedConfig load_config_file(const std::string& path, const Environment& environment);

// The effective config as YAML, every key, secrets as "***".
std::string print_effective(const Config& config);

}  // namespace runtail
