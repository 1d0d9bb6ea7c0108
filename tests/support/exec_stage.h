// The stage of scenarios about `runtail exec` and `runtail-exec`: an agent on a directory and a database of its own,
// and workers held in front of it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/agent_process.h"
#include "tests/support/delivered.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

struct ExecStage {
  explicit ExecStage(const std::string& database, PostgresCluster& cluster = PostgresCluster::shared())
      : sql(cluster.create_migrated_database(database)), agent([&] {
          AgentSetup setup;
          setup.directory = directory.path();
          setup.postgres_url = cluster.conninfo(database);
          return setup;
        }()) {}

  // runtail-exec with these options in front of the worker. It starts no agent.
  Command held(const std::vector<std::string>& options, const std::vector<std::string>& worker,
               std::map<std::string, std::string> environment = {}) const {
    Command command;
    command.argv = {RUNTAIL_EXEC_BINARY, "--buffer-directory", agent.buffer()};
    command.argv.insert(command.argv.end(), options.begin(), options.end());
    command.argv.push_back("--");
    command.argv.insert(command.argv.end(), worker.begin(), worker.end());
    command.environment = std::move(environment);
    command.environment.emplace("RUNTAIL_AGENT", "/nonexistent");
    return command;
  }
  Finished run_shell(const std::vector<std::string>& options, const std::string& script,
                     std::map<std::string, std::string> environment = {}) const {
    return run_to_end(held(options, {"sh", "-c", script}, std::move(environment)));
  }

  TempDir directory;
  Sql sql;
  AgentProcess agent;
};

}  // namespace runtail::test
