// Stack traces of a wrapped worker: one row each, also if the agent is killed in the middle of one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/support/exec_stage.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kTraceRows[] = "SELECT raw_text FROM observability.log_events WHERE raw_text IS NOT NULL";

// A trace that grows until the file "go" is there, with long lines on the other output in between; then, in "frames",
// of how many lines beside its first and last it was. Ends with the test, too.
constexpr char kWorker[] = R"(
cd "$1"
echo '{"level":"INFO","msg":"seq=1"}'
echo 'Traceback (most recent call last):' >&2
i=0
long=$(head -c 8000 /dev/zero | tr '\0' x)
while [ -d "$1" ] && [ ! -e go ]; do
  i=$((i + 1))
  echo "  File \"/app/load.py\", line $i, in load" >&2
  echo "{\"level\":\"INFO\",\"msg\":\"step=$i $long\"}"
  sleep 0.1
done
echo 'ValueError: no rows' >&2
echo $i > frames.part && mv frames.part frames
)";

TEST(ExecTrace, IsOneRowThoughTheAgentIsKilledInTheMiddleOfIt) {
  ExecStage stage("exec_trace_killed");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  ChildProcess held(stage.held({"--job", "torn", "--stdout=none", "--drain", "60s"},
                               {"sh", "-c", kWorker, "sh", stage.directory.path()}));
  const auto steps = [&] {
    return stage.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'step=%'");
  };
  for (int kill = 0; kill < 2; ++kill) {
    // More than a holder lets go of at once: only what is acknowledged too early is gone then.
    const auto before = steps();
    ASSERT_TRUE(wait_until([&] { return steps() >= before + 12; })) << stage.agent.log();
    stage.agent.kill9();
    EXPECT_THAT(stage.sql.rows(kTraceRows), testing::IsEmpty());
    if (kill == 1) std::ofstream(stage.directory / "go") << "now\n";
    ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  }
  EXPECT_EQ(held.wait(), 0);

  const std::string frames = read_file(stage.directory / "frames");
  const auto rows = stage.sql.rows(kTraceRows);
  ASSERT_EQ(rows.size(), 1u) << testing::PrintToString(rows);
  EXPECT_THAT(rows[0], testing::StartsWith("Traceback (most recent call last):\n"));
  EXPECT_THAT(rows[0],
              testing::EndsWith("line " + frames.substr(0, frames.size() - 1) + ", in load\nValueError: no rows"));
  EXPECT_EQ(std::count(rows[0].begin(), rows[0].end(), '\n'), std::stol(frames) + 1);
  EXPECT_EQ(steps(), std::stol(frames));
  EXPECT_EQ(stage.agent.metric("runtail_ledger_imbalance"), 0);
}

TEST(ExecTrace, OfAWorkerThatDiesOfItIsOneRowAndEachOutputHasItsOwn) {
  ExecStage stage("exec_trace_last");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const Finished done = stage.run_shell({"--job", "crash", "--stdout=redacted"},
                                        "python3 -uc 'import sys\n"
                                        "print(\"panic: mail anna@example.com\")\n"
                                        "sys.stderr.write(\"Error: first\\n\")\n"
                                        "print(\"goroutine 1 [running]:\")\n"
                                        "sys.stderr.write(\"plain\\n\")\n"
                                        "def load(): raise ValueError(\"no rows\")\n"
                                        "load()'");
  EXPECT_EQ(done.exit_code, 1);
  const auto rows = stage.sql.rows(std::string(kTraceRows) + " ORDER BY raw_text");
  ASSERT_EQ(rows.size(), 4u) << testing::PrintToString(rows);
  EXPECT_EQ(rows[0], "Error: first");
  EXPECT_THAT(rows[1], testing::MatchesRegex("Traceback .*\n.*\n.*in load.*\nValueError: no rows"));
  EXPECT_EQ(rows[2], "panic: mail [REDACTED:email]\ngoroutine 1 [running]:");
  EXPECT_EQ(rows[3], "plain");
  EXPECT_THAT(stage.sql.rows("SELECT context ->> 'stdio' FROM observability.log_events WHERE raw_text IS NOT NULL "
                             "ORDER BY raw_text"),
              ElementsAre("stderr", "stderr", "stdout", "stderr"));
  EXPECT_THAT(done.output, HasSubstr(R"(panic: mail [REDACTED:email]\ngoroutine 1 [running]:)"));
  EXPECT_THAT(done.errors, HasSubstr("ValueError: no rows"));
  EXPECT_THAT(done.errors, testing::Not(HasSubstr("not shown")));
}

}  // namespace
}  // namespace runtail::test
