// When exec returns, the last lines of a short job are in PostgreSQL; if it cannot be reached, the wait is bounded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/exec_stage.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;

constexpr char kEnded[] = "SELECT count(*) FROM observability.job_runs WHERE status = 'failed'";

TEST(ExecDrain, TheLastLineIsInTheDatabaseWhenItReturns) {
  ExecStage stage("exec_drain");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  for (int i = 1; i <= 5; ++i) {
    const Finished done = stage.run_shell({"--drain", "60s"}, "seq 1 2000; echo last; exit 9");
    EXPECT_EQ(done.exit_code, 9) << done.errors;
    EXPECT_EQ(stage.sql.number("SELECT count(*) FROM observability.log_events WHERE raw_text = 'last'"), i);
    EXPECT_EQ(stage.sql.number(kEnded), i);
  }
}

TEST(ExecDrain, AnAgentItStartedItselfDeliversToo) {
  ExecStage stage("exec_drain_own");
  Command command;
  // The configuration that the test's agent would run with.
  command.argv = {RUNTAIL_BINARY, "exec", "--config", stage.agent.config_path(), "--drain", "60s",
                  "--",           "sh",   "-c",       "echo last; exit 9"};
  const Finished done = run_to_end(command);
  EXPECT_EQ(done.exit_code, 9) << done.errors;
  EXPECT_EQ(stage.sql.number(kEnded), 1) << done.errors << read_file(stage.agent.buffer() / "agent.log");
}

TEST(ExecDrain, WithoutTheDatabaseItReturnsAfterTheTimeAndTheRunComesLater) {
  PostgresCluster cluster;
  ExecStage stage("exec_drain_down", cluster);
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  EXPECT_EQ(stage.run_shell({}, "exit 9").exit_code, 9);
  cluster.stop();
  const auto from = std::chrono::steady_clock::now();
  const Finished done = stage.run_shell({"--drain", "500ms"}, "exit 9");
  const auto took = std::chrono::steady_clock::now() - from;
  EXPECT_EQ(done.exit_code, 9);
  EXPECT_GE(took, std::chrono::milliseconds(500)) << "it did not wait";
  EXPECT_LT(took, std::chrono::seconds(8)) << "it waited longer than for the agent alone";
  cluster.start();
  EXPECT_TRUE(wait_until([&] { return stage.sql.number(kEnded) == 2; })) << stage.agent.log();
}

}  // namespace
}  // namespace runtail::test
