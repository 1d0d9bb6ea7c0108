// An agent whose own output goes into the folder it tails: it reads the others' files, never its own.
#include <gtest/gtest.h>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

TEST(OwnOutput, IsNeverTailedThoughItsNameMatches) {
  const TempDir directory;
  AgentSetup setup;
  setup.directory = directory.path();  // agent.log, where its stderr goes, lies here
  setup.sources = {{"etl", (directory / "*.log").string()}};
  setup.output = directory / "stdout.log";
  setup.environment["RUNTAIL_LOG_LEVEL"] = "debug";
  AgentProcess agent(setup);
  LogFile log(directory / "etl.log");
  for (int start = 0; start < 3; ++start) {
    ASSERT_TRUE(agent.start_healthy()) << agent.log();
    for (int i = 0; i < 10; ++i) log.append_line(R"({"level":"INFO","msg":"a line"})");
    // A line of its own would be one too many, now or in the next turn.
    ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 10 * (start + 1); })) << agent.lines_read() << '\n'
                                                                                    << agent.log();
    EXPECT_EQ(agent.metric("runtail_source_open_files", {{"source", "etl"}}), 1) << "etl.log alone";
    agent.kill9();
  }
  EXPECT_GT(std::filesystem::file_size(directory / "agent.log"), 0u);
}

}  // namespace
}  // namespace runtail::test
