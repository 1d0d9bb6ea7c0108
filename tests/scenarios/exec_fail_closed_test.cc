// `--fail-closed`: no worker without an agent that records it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/exec_stage.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ExecFailClosed, WithoutAnAgentTheWorkerIsNotStartedAndWithOneItIs) {
  ExecStage stage("exec_fail_closed");
  const std::filesystem::path trace = stage.directory / "trace";
  const std::string script = "echo begun | tee " + trace.string() + "; exit 3";
  const Finished refused = stage.run_shell({"--fail-closed"}, script);
  EXPECT_EQ(refused.exit_code, 125);
  EXPECT_EQ(refused.output, "");
  EXPECT_THAT(refused.errors, HasSubstr("the worker was not started"));
  EXPECT_FALSE(std::filesystem::exists(trace));

  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const Finished done = stage.run_shell({"--fail-closed", "--job", "closed"}, script);
  EXPECT_EQ(done.exit_code, 3) << done.errors;
  EXPECT_EQ(done.output, "begun\n");
  EXPECT_THAT(stage.sql.rows("SELECT job_id, status FROM observability.job_runs"), ElementsAre("closed|failed"))
      << "only the one that was started is a run";
}

}  // namespace
}  // namespace runtail::test
