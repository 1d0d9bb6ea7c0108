// Which configuration a verb runs with; the same choice and the same option text for every verb.
#pragma once

#include <optional>
#include <string>

#include "config/load.h"

namespace CLI {
class App;
}

namespace runtail {

// Adds `--config FILE` to a verb. `path` stays empty if it is not given, and must outlive the parse.
void add_config_option(CLI::App& verb, std::string& path);

struct ConfigFile {
  std::string path;  // "" where only the built-in defaults and the environment speak
  LoadedConfig loaded;
};

// `option` (what --config said), else $RUNTAIL_CONFIG, else `system_path` if such a file exists, else the defaults.
ConfigFile load_config_file_of(const std::string& option, const Environment& environment,
                               const std::string& system_path = "/etc/runtail/runtail.yaml");

// The configuration of this process; std::nullopt after every problem went to stderr, one a line: return kExitConfig.
std::optional<Config> config_or_complain(const std::string& option);

}  // namespace runtail
