// The stage of scenarios about replay without PostgreSQL: a folder of logs, an agent that keeps its own history, and
// the verb.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {

struct EmbeddedScene {
  // `more`: settings, as YAML.
  explicit EmbeddedScene(std::string more = "") : more(std::move(more)), agent(setup()) {
    WorkloadOptions options;
    options.seed = seed();
    options.lines = by_scale(6000, 100'000);
    options.event_runs = 0.5;
    Workload workload(options);
    text = workload_text(workload);
    expected = workload.expected();
  }
  // The number behind `name` in a receipt: that of the whole comes first, then those of its files. -1: it is not there.
  static std::int64_t number(const Finished& done, const std::string& name) {
    const std::size_t at = done.output.find('"' + name + "\":");
    return at == std::string::npos ? -1 : std::stoll(done.output.substr(at + name.size() + 3));
  }
  Finished replay(std::vector<std::string> arguments) const {
    Command command;
    command.argv = {RUNTAIL_BINARY, "replay", "--config", agent.config_path()};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    return run_to_end(std::move(command));
  }
  AgentSetup setup() const {
    std::filesystem::create_directory(directory / "logs");
    AgentSetup setup;
    setup.directory = directory.path();
    setup.sources = {{"etl", (directory / "logs/etl.log").string()}};
    setup.more = more;
    return setup;
  }

  TempDir directory;
  std::string more;
  AgentProcess agent;
  std::string text;
  Expected expected;
};

}  // namespace runtail::test
