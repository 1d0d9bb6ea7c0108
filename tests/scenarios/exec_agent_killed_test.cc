// The agent is killed again and again while a wrapped worker writes: the worker does not notice, and every line arrives
// once or is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <random>

#include "tests/support/exec_stage.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kLineBytes = 128;  // newline included

// Writes numbered lines of kLineBytes, about ten thousand in a second, until the file "stop" is there; then says, in
// the file "report": lines written, writes that failed, the longest write in microseconds; the longest in which it went
// to sleep, and how many of those took more than 10 ms. A write that only had to share its core with others does not.
constexpr char kWorker[] = R"(
import os, resource, sys, time
def sleeps():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
stop, report = sys.argv[1], sys.argv[2]
written = failed = longest = waited = slow = 0
while not os.path.exists(stop):
    begin = time.monotonic_ns()
    for _ in range(100):
        line = (b'{"level":"INFO","msg":"n=%09d ' % written).ljust(125, b'.') + b'"}\n'
        slept = sleeps()
        before = time.monotonic_ns()
        try:
            ok = os.write(1, line) == 128
        except OSError:
            ok = False
        took = (time.monotonic_ns() - before) // 1000
        longest = max(longest, took)
        if sleeps() > slept:
            waited = max(waited, took)
            slow += took > 10000
        written += ok
        failed += not ok
    time.sleep(max(0, 0.01 - (time.monotonic_ns() - begin) / 1e9))
open(report + '.part', 'w').write('%d %d %d %d %d\n' % (written, failed, longest, waited, slow))
os.rename(report + '.part', report)
sys.exit(failed > 0)
)";

struct Report {
  long written = 0, failed = 0, longest_us = 0, waited_us = 0, slow = 0;
};

Report read_report(const std::filesystem::path& path) {
  Report report;
  std::ifstream(path) >> report.written >> report.failed >> report.longest_us >> report.waited_us >> report.slow;
  return report;
}

// By where its output goes on to: nowhere, or unchanged into a pipe that is read.
class ExecAgentKilled : public testing::TestWithParam<const char*> {};

TEST_P(ExecAgentKilled, TheWorkerNeverWaitsAndEachLineArrivesOnceOrIsCounted) {
  const int kills = by_scale(10, 100);
  std::mt19937_64 random(seed());
  ExecStage stage(std::string("exec_agent_killed_") + GetParam());
  std::ofstream(stage.directory / "worker.py") << kWorker;
  const auto worker = [&](const std::string& report) {
    return std::vector<std::string>{"python3", stage.directory / "worker.py", stage.directory / "stop",
                                    stage.directory / report};
  };
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  Command command =
      stage.held({"--job", "survivor", std::string("--stdout=") + GetParam(), "--drain", "60s"}, worker("held"));
  // A pipeline's exit code is that of its reader; whether a write failed is in the worker's report.
  if (std::string_view(GetParam()) == "raw") {
    command.argv.insert(command.argv.begin(), {"sh", "-c", R"("$@" | wc -l > "$0")", stage.directory / "passed_on"});
  }
  command.errors = stage.directory / "errors";
  ChildProcess held(command);
  // Its twin writes into a pipe that nobody but cat reads: what the machine itself does to a write.
  Command twin_command;
  twin_command.argv = {"sh", "-c", R"("$@" | cat > /dev/null)", "sh"};
  for (const std::string& word : worker("twin")) twin_command.argv.push_back(word);
  ChildProcess twin(twin_command);

  for (int kill = 0; kill < kills; ++kill) {
    let_pass(std::chrono::microseconds(random() % 500'000));
    ASSERT_TRUE(stage.agent.running()) << "kill " << kill << ": it ended by itself:\n" << stage.agent.log();
    stage.agent.kill9();
    let_pass(std::chrono::microseconds(random() % 200'000));
    if (random() % 2 == 0) {
      ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
    } else {
      stage.agent.start();
    }
  }
  std::ofstream(stage.directory / "stop") << "now\n";
  EXPECT_EQ(held.wait(), 0) << read_file(command.errors);
  EXPECT_EQ(twin.wait(), 0);

  const Report report = read_report(stage.directory / "held"), noise = read_report(stage.directory / "twin");
  std::printf(
      "--stdout=%s: %d kills, %ld lines; longest write %ld us, longest wait in one %ld us, %ld of more than 10 ms "
      "(its twin without a wrapper: %ld us, %ld us, %ld)\n",
      GetParam(), kills, report.written, report.longest_us, report.waited_us, report.slow, noise.longest_us,
      noise.waited_us, noise.slow);
  EXPECT_EQ(report.failed, 0) << "a write failed: EPIPE";
  EXPECT_LE(report.waited_us, 2 * noise.waited_us + 10'000) << "it waited longer than the machine explains";
  if (std::string_view(GetParam()) == "raw") {
    EXPECT_EQ(std::stol(read_file(stage.directory / "passed_on")), report.written);
  }
  if (noise.slow == 0) {
    EXPECT_EQ(report.slow, 0) << "the worker was held up";
  } else {
    EXPECT_LE(report.slow, 2 * noise.slow + 2) << "the worker was held up more often than the machine does";
  }

  const double lost = stage.agent.metric("runtail_lost_bytes_total", {{"reason", "queue_full"}});
  // An agent killed again before it is up is away for longer than the holder's memory lasts: then it says so.
  EXPECT_THAT(read_file(command.errors),
              lost > 0 ? testing::Matcher<std::string>(
                             HasSubstr("did not get " + std::to_string(static_cast<long>(lost)) + " bytes of output"))
                       : testing::Matcher<std::string>(Not(HasSubstr("bytes of output"))));
  const auto lost_lines = static_cast<long>(lost) / static_cast<long>(kLineBytes);
  EXPECT_GT(report.written, kills * 100);
  ASSERT_TRUE(wait_until([&] {
    return stage.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'n=%'") + lost_lines ==
           report.written;
  })) << stage.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'n=%'")
      << " rows and " << lost_lines << " lines counted lost of " << report.written;
  EXPECT_EQ(stage.sql.number("SELECT count(DISTINCT substr(message, 1, 11)) FROM observability.log_events "
                             "WHERE message LIKE 'n=%'") +
                lost_lines,
            report.written);
  EXPECT_THAT(stage.sql.rows("SELECT status FROM observability.job_runs WHERE job_id = 'survivor'"),
              testing::ElementsAre("success"));
  EXPECT_EQ(stage.agent.metric("runtail_ledger_imbalance"), 0);
}

INSTANTIATE_TEST_SUITE_P(Stdout, ExecAgentKilled, testing::Values("none", "raw"),
                         [](const auto& mode) { return std::string(mode.param); });

}  // namespace
}  // namespace runtail::test
