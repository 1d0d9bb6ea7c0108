// The usual stage of a scenario: a folder, a database of its own, the worker's log, and an agent that tails it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "tests/support/agent_process.h"
#include "tests/support/delivered.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

inline AgentSetup tailing(const TempDir& directory, std::string postgres_url,
                          std::map<std::string, std::string> environment = {}) {
  AgentSetup setup;
  setup.directory = directory.path();
  setup.sources = {{"etl", (directory / "etl.log").string()}};
  setup.postgres_url = std::move(postgres_url);
  setup.environment = std::move(environment);
  return setup;
}

struct Scene {
  // `url`: how the agent reaches the database, if not by itself (a proxy between). `environment`: the agent's.
  explicit Scene(const std::string& database, PostgresCluster& cluster = PostgresCluster::shared(),
                 const std::string& url = "", std::map<std::string, std::string> environment = {})
      : sql(cluster.create_migrated_database(database)),
        log(directory / "etl.log"),
        agent(tailing(directory, url.empty() ? cluster.conninfo(database) : url, std::move(environment))) {}

  TempDir directory;
  Sql sql;
  std::filesystem::path log;
  AgentProcess agent;
};

}  // namespace runtail::test
