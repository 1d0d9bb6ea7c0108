#include "agent/deriver_settings.h"

namespace runtail {

DeriverSettings deriver_settings(const Config& config, const std::string& ruleset) {
  DeriverSettings settings;
  if (!config.identity.run_namespace.empty()) {
    if (const auto run_namespace = parse_uuid(config.identity.run_namespace)) settings.run_namespace = *run_namespace;
  }
  settings.agent_id = config.name;
  settings.ruleset = ruleset;
  settings.environment = config.environment;
  settings.service = config.service;
  return settings;
}

}  // namespace runtail
