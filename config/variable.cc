#include "config/variable.h"

#include <algorithm>

#include "config/near_word.h"
#include "config/redaction_files.h"
#include "config/setting.h"

namespace runtail {
namespace {

bool is_of_kubernetes(std::string_view name) {
  return name.ends_with("_SERVICE_HOST") || name.find("_SERVICE_PORT") != std::string_view::npos ||
         name.find("_PORT_") != std::string_view::npos || name.ends_with("_PORT");
}

std::vector<std::string> known_names(const Config& config) {
  // Read beside the settings, or set for the worker of `runtail exec`.
  std::vector<std::string> names = {"RUNTAIL_SOURCE_INCLUDE", "RUNTAIL_VERSION", "RUNTAIL_CONFIG",
                                    "RUNTAIL_RUN_ID",         "RUNTAIL_JOB_ID",  "RUNTAIL_TASK_RUN_ID",
                                    "RUNTAIL_AGENT",          kHashKeyVariable};
  for (const auto& setting : settings()) {
    if (setting.path != "sources") names.push_back(environment_name(setting.path));
  }
  for (const SourceConfig& source : config.sources) {
    for (const auto& setting : settings_of<SourceConfig>()) {
      names.push_back(environment_name("sources." + source.name + "." + std::string(setting.path)));
    }
  }
  return names;
}

}  // namespace

std::vector<std::string> unknown_variables(const Config& config, const std::vector<std::string>& variables) {
  std::vector<std::string> found;
  const std::vector<std::string> known = known_names(config);
  for (const std::string& name : variables) {
    if (!name.starts_with("RUNTAIL_") || name.starts_with("RUNTAIL_TEST_") || is_of_kubernetes(name)) continue;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    found.push_back("environment " + name + ": no such setting" + did_you_mean(name, known) + "; unset or rename it");
  }
  return found;
}

}  // namespace runtail
