// The stage of scenarios about replay: a folder of logs, a database, an agent's configuration, and the verb.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"
#include "tests/support/table_digests.h"

namespace runtail::test {

inline void run_command(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  const Finished done = run_to_end(std::move(command));
  ASSERT_EQ(done.exit_code, 0) << done.errors;
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// The lines of a workload, each with its newline.
inline std::string workload_text(Workload& workload) {
  std::string text, line;
  while (workload.next(line)) text += line + '\n';
  return text;
}

struct ReplayScene {
  // The agent of it tails etl.log in the folder of logs, once it is started.
  explicit ReplayScene(const std::string& more = "")
      : logs(directory / "logs"),
        database("replay_scene_" + std::to_string(++scenes_)),
        sql(PostgresCluster::shared().create_migrated_database(database)),
        agent(complete(more)) {}

  struct Done {
    int exit_code = -1;
    std::string receipt, errors;
  };
  std::vector<std::string> command(std::vector<std::string> arguments) const {
    std::vector<std::string> argv = {RUNTAIL_BINARY, "replay", "--config", agent.config_path()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
  }
  Done replay(std::vector<std::string> arguments, const std::filesystem::path& input = {}) const {
    Command one;
    one.argv = command(std::move(arguments));
    one.input = input;
    one.environment = environment;
    const Finished done = run_to_end(std::move(one));
    return {done.exit_code, done.output, done.errors};
  }
  // A number of a receipt by its path: "lines,read" or "files,0,bytes"; -1: it is not there.
  std::int64_t number(const Done& done, const std::string& path) const {
    const std::string text = this->text(done, path);
    return text.empty() ? -1 : std::stoll(text);
  }
  std::string text(const Done& done, const std::string& path) const {
    const auto rows = sql.rows("SELECT $receipt$" + done.receipt + "$receipt$::json #>> '{" + path + "}'");
    return rows.empty() ? "" : rows[0];
  }
  // Each line has one outcome, and so has each run.
  void expect_balance(const Done& done) const {
    std::int64_t sum = 0;
    for (const char* outcome :
         {"stored", "level_filtered", "sampled", "dropped", "duplicate", "expired", "dead_lettered", "outside"}) {
      sum += number(done, std::string("lines,") + outcome);
    }
    EXPECT_EQ(number(done, "lines,read"), sum) << done.receipt;
    if (text(done, "store") != "postgres" || text(done, "complete") != "true") return;
    EXPECT_EQ(number(done, "runs,created") + number(done, "runs,updated") + number(done, "runs,unchanged"),
              number(done, "runs,found"))
        << done.receipt;
  }

  std::map<std::string, std::string> environment;  // of the verb
  TempDir directory;
  std::filesystem::path logs;
  std::string database;
  Sql sql;
  AgentProcess agent;

 private:
  static inline int scenes_ = 0;
  AgentSetup complete(const std::string& more) const {
    std::filesystem::create_directory(logs);
    AgentSetup setup;
    setup.directory = directory.path();
    setup.sources = {{"etl", (logs / "etl.log").string()}};
    setup.postgres_url = PostgresCluster::shared().conninfo(database);
    setup.more = more;
    return setup;
  }
};

}  // namespace runtail::test
