// Backfill of an agent that keeps its history itself: runs come, live counters stay, and the agent reads on.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

struct EmbeddedScene {
  EmbeddedScene() : agent(setup()) {
    WorkloadOptions options;
    options.seed = seed();
    options.lines = by_scale(6000, 100'000);
    options.event_runs = 0.5;
    Workload workload(options);
    text = workload_text(workload);
    expected = workload.expected();
  }
  Finished replay(std::vector<std::string> arguments) const {
    Command command;
    command.argv = {RUNTAIL_BINARY, "replay", "--config", agent.config_path()};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    return run_to_end(std::move(command));
  }
  AgentSetup setup() const {
    fs::create_directory(directory / "logs");
    AgentSetup setup;
    setup.directory = directory.path();
    setup.sources = {{"etl", (directory / "logs/etl.log").string()}};
    return setup;
  }

  TempDir directory;
  AgentProcess agent;
  std::string text;
  Expected expected;
};

TEST(ReplayEmbedded, GivesTheRunsOnceAndMovesNoCounter) {
  EmbeddedScene scene;
  const fs::path logs = scene.directory / "logs";
  const std::size_t half = scene.text.find('\n', scene.text.size() / 2) + 1;
  write_file(logs / "etl.log.1", scene.text.substr(0, half));
  write_file(logs / "etl.log", scene.text.substr(half));
  for (int times = 0; times < 2; ++times) {
    const Finished done = scene.replay({logs});
    ASSERT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_NE(done.output.find(R"("store":"embedded")"), std::string::npos);
    const std::string created = R"("created":)" + std::to_string(times == 0 ? scene.expected.runs.size() : 0) + ",";
    EXPECT_NE(done.output.find(created), std::string::npos) << done.output;
    expect_local_runs(scene.agent, scene.expected);
    if (times == 0) run_command({"gzip", logs / "etl.log.1"});
  }
  // The agent finds everything read, and counts only what it reads itself.
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  const Finished done = scene.replay({logs});
  EXPECT_EQ(done.exit_code, 4) << done.errors;
  EXPECT_NE(done.errors.find("an agent runs on this directory"), std::string::npos) << done.errors;
  LogFile(logs / "etl.log").append("{\"level\":\"INFO\",\"msg\":\"one more\"}\n");
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() >= 1; })) << scene.agent.log();
  EXPECT_EQ(scene.agent.lines_read(), 1);
  const auto page = scene.agent.scrape();
  ASSERT_TRUE(page);
  EXPECT_EQ(page->sum("trialsync_jobs_total"), 0);
  EXPECT_EQ(page->sum("trialsync_records_loaded_total"), 0);
  EXPECT_EQ(page->sum("trialsync_jobs_running"), 0);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  expect_local_runs(scene.agent, scene.expected);
}

TEST(ReplayEmbedded, OfWhatTheAgentReadChangesNothing) {
  EmbeddedScene scene;
  const fs::path logs = scene.directory / "logs";
  const auto half = static_cast<std::ptrdiff_t>(scene.text.find('\n', scene.text.size() / 2) + 1);
  write_file(logs / "etl.log", scene.text.substr(0, static_cast<std::size_t>(half)));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const auto read = static_cast<double>(std::count(scene.text.begin(), scene.text.begin() + half, '\n'));
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == read; })) << scene.agent.log();
  scene.agent.terminate();
  const auto page = scene.agent.runs();
  const Finished done = scene.replay({logs});
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_NE(done.output.find(R"("created":0,"updated":0,)"), std::string::npos) << done.output;
  EXPECT_EQ(scene.agent.runs(), page);
  // The rest: killed again and again, and gone on with.
  LogFile(logs / "etl.log").append(scene.text.substr(static_cast<std::size_t>(half)));
  for (int exit_code = -1, wait = 20; exit_code != 0; wait += 40) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "replay", "--config", scene.agent.config_path(), logs};
    command.output = scene.directory / "receipt";
    command.errors = scene.directory / "errors";
    ChildProcess process(command);
    if (!process.wait(std::chrono::milliseconds(wait))) process.signal(SIGKILL);
    exit_code = process.wait().value_or(-1);
    ASSERT_TRUE(exit_code == 0 || exit_code == 128 + SIGKILL) << exit_code << read_file(command.errors);
  }
  expect_local_runs(scene.agent, scene.expected);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  EXPECT_EQ(scene.agent.lines_read(), read);
  // Runs that were open when the agent read last have ended, or are said to run still by the lines after.
  double running = 0;
  for (const auto& run : scene.agent.runs()) running += run.at("status") == "running";
  EXPECT_LE(scene.agent.scrape()->sum("trialsync_jobs_running"), running);
}

}  // namespace
}  // namespace runtail::test
