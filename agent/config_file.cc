#include "agent/config_file.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace runtail {

void add_config_option(CLI::App& verb, std::string& path) {
  verb.add_option("--config", path,
                  "Configuration file. Default: $RUNTAIL_CONFIG, else /etc/runtail/runtail.yaml if there is one, else "
                  "built-in defaults; RUNTAIL_... variables win over the file")
      ->type_name("FILE");
}

ConfigFile load_config_file_of(const std::string& option, const Environment& environment,
                               const std::string& system_path) {
  std::string path = option;
  if (path.empty()) path = environment("RUNTAIL_CONFIG").value_or("");
  std::error_code ignored;
  if (path.empty() && std::filesystem::exists(system_path, ignored)) path = system_path;
  if (path.empty()) return {"", load_config("", "built-in defaults", environment)};
  return {path, load_config_file(path, environment)};
}

std::optional<Config> config_or_complain(const std::string& option) {
  const ConfigFile file = load_config_file_of(option, process_environment());
  for (const ConfigProblem& problem : file.loaded.problems) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  if (!file.loaded.problems.empty()) return std::nullopt;
  return file.loaded.config;
}

}  // namespace runtail
