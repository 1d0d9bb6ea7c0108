// `worker.holds_file`: nobody has the log open any more, and it rests.
#include <gtest/gtest.h>
#include <signal.h>

#include "agent/log_holders.h"
#include "core/time.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

TEST(WorkerClosedLog, OpenRunsAreLostWhenTheWorkerThatHeldTheLogIsGone) {
  const TempDir directory;
  const std::filesystem::path log = directory / "etl.log";
  AgentSetup setup = tailing(directory, "");
  setup.sources[0].more = "worker: {holds_file: true}";
  AgentProcess agent(setup);
  Command holder;
  holder.argv = {"sh", "-c",
                 "exec >> " + log.string() + R"(; echo '{"ts":")" + to_rfc3339(SystemClock().now()) +
                     R"(","level":"INFO","msg":"go","job_id":"orders","run_id":"r","event":"run.started"}'; )" +
                     "exec sleep 1000"};
  ChildProcess worker(holder);
  ASSERT_TRUE(wait_until([&] { return !read_file(log).empty(); }));
  if (!is_open_for_writing(log)) GTEST_SKIP() << "this file system has no leases";
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 1; })) << agent.log();
  const auto state = [&] {
    const auto runs = agent.runs();
    return runs.empty() ? ""
                        : runs[0].at("status") + "|" + runs[0].at("end_reason") + "|" + runs[0].at("verdict_source");
  };
  ASSERT_TRUE(wait_until([&] { return state() == "running||"; })) << state() << agent.log();
  // It rests since long, and its worker lives.
  const auto rest = [&] {
    std::filesystem::last_write_time(log, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  };
  rest();
  // A death would be told two looks after it was seen.
  ASSERT_TRUE(wait_until([&] { return agent.metric("trialsync_uptime_seconds") >= 5; }));
  EXPECT_EQ(state(), "running||");
  worker.signal(SIGKILL);
  worker.wait();
  ASSERT_TRUE(wait_until([&] { return state() == "failed|lost|inferred"; })) << state() << agent.log();
  EXPECT_EQ(agent.runs()[0].at("error_category"), "System");
}

}  // namespace
}  // namespace runtail::test
