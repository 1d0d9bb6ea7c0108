// No database: the agent keeps the history itself, and shows it while it runs, after it stopped, and after a kill.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

class Embedded : public testing::Test {
 protected:
  void wait_read(double lines) {
    ASSERT_TRUE(wait_until([&] { return agent.lines_read() >= lines; })) << agent.log();
  }
  TempDir directory;
  AgentProcess agent{tailing(directory, "")};
};

TEST_F(Embedded, RunsAreShownWhileTheAgentRunsAndAfterItStopped) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 3000;
  options.event_runs = 0.3;
  Workload workload(options);
  write_all(directory / "etl.log", workload);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  wait_read(static_cast<double>(options.lines));
  expect_local_runs(agent, workload.expected());
  expect_counters(agent, workload.expected());
  EXPECT_EQ(agent.terminate().exit_code, 0) << agent.log();
  expect_local_runs(agent, workload.expected());
}

TEST_F(Embedded, KilledAndStartedAgainKeepsRunsAndCounters) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 3000;
  options.event_runs = 0.3;
  Workload workload(options);
  LogWriter writer(directory / "etl.log", workload, {});
  for (int part = 1; part <= 3; ++part) {
    writer.allow(900);
    ASSERT_TRUE(agent.start_healthy()) << agent.log();
    wait_read(part * 900 - 200);  // the last of them are still on their way
    agent.kill9();
    EXPECT_FALSE(agent.runs().empty());
  }
  writer.allow_all();
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  wait_read(static_cast<double>(options.lines));
  expect_counters(agent, workload.expected());
  expect_local_runs(agent, workload.expected());
}

TEST_F(Embedded, ASecondAgentOnTheSameDirectoryGivesUpByNameAndTheFirstLivesOn) {
  LogFile log(directory / "etl.log");
  log.append_line(R"({"level":"INFO","msg":"go","job_id":"orders","run_id":"night-1","event":"run.started"})");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  wait_read(1);
  Command command;
  command.argv = {RUNTAIL_BINARY, "agent", "--config", agent.config_path()};
  command.output = command.errors = directory / "second.log";
  ChildProcess second(command);
  EXPECT_TRUE(wait_until([&] {
    return read_file(directory / "second.log").find(agent.buffer().string()) != std::string::npos;
  })) << "the directory it waits for is named: "
      << read_file(directory / "second.log");
  EXPECT_EQ(agent.runs().size(), 1u);
  log.append_line(R"({"level":"INFO","msg":"on"})");
  wait_read(2);
  // Long enough for an agent on its way out, short enough for whoever started it twice.
  EXPECT_EQ(second.wait(Deadline(15'000)), 4) << read_file(directory / "second.log");
  EXPECT_EQ(agent.get("/healthz").status, 200);
}

TEST_F(Embedded, OutputIsATableOrCsvToo) {
  LogFile log(directory / "etl.log");
  log.append_line(R"({"level":"INFO","msg":"go","job_id":"orders","run_id":"night-1","event":"run.started"})");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  wait_read(1);
  const Finished table = agent.ask({"runs"});
  EXPECT_EQ(table.exit_code, 0) << table.errors;
  EXPECT_NE(table.output.find("orders"), std::string::npos) << table.output;
  const Finished csv = agent.ask({"runs", "--output", "csv"});
  EXPECT_EQ(csv.exit_code, 0) << csv.errors;
  EXPECT_NE(csv.output.find("job_id,"), std::string::npos) << csv.output;
  EXPECT_NE(csv.output.find("night-1"), std::string::npos) << csv.output;
  const Finished status = agent.ask({"status"});
  EXPECT_EQ(status.exit_code, 0) << status.errors;
}

}  // namespace
}  // namespace runtail::test
