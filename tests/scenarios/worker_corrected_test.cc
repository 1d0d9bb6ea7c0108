// A verdict that was inferred meets a later line that knows better.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

TEST(WorkerCorrected, ALateLineOutweighsTheInference) {
  const TempDir directory;
  AgentSetup setup = tailing(directory, "");
  setup.sources[0].more = "worker: {pid_file: " + (directory / "etl.pid").string() + "}";
  AgentProcess agent(setup);
  Command sleeper;
  sleeper.argv = {"sleep", "1000"};
  ChildProcess worker(sleeper);
  std::ofstream(directory / "etl.pid") << worker.pid() << '\n';
  LogFile log(directory / "etl.log");
  const auto line = [](const std::string& members) {
    return R"({"ts":")" + to_rfc3339(SystemClock().now()) +
           R"(","level":"INFO","msg":"m","job_id":"orders","run_id":"r",)" + members + "}";
  };
  log.append_line(line(R"("event":"run.started")"));
  const std::string last_word = line(R"("event":"run.finished","status":"success")");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 1; })) << agent.log();
  const auto state = [&] {
    const auto runs = agent.runs();
    return runs.empty() ? "" : runs[0].at("status") + " " + runs[0].at("verdict_source");
  };
  ASSERT_TRUE(wait_until([&] { return state() == "running "; })) << agent.log();
  worker.signal(SIGKILL);
  worker.wait();
  ASSERT_TRUE(wait_until([&] { return state() == "failed inferred"; })) << state() << agent.log();
  EXPECT_EQ(agent.metric("trialsync_job_failures_total", {{"error_category", "System"}}), 1);

  log.append_line(last_word);  // it lay in a pipe between worker and log
  ASSERT_TRUE(wait_until([&] { return state() == "success log"; })) << state() << agent.log();
  EXPECT_EQ(agent.runs()[0].at("error_category"), "");
  ASSERT_TRUE(wait_until([&] { return agent.metric("runtail_verdict_corrections_total") == 1; }));
  EXPECT_EQ(agent.metric("runtail_verdict_corrections_total", {{"from", "failed"}, {"to", "success"}}), 1);
  EXPECT_EQ(agent.metric("trialsync_jobs_total", {{"status", "success"}}), 1);
}

}  // namespace
}  // namespace runtail::test
