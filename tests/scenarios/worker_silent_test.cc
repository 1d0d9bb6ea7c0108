// A worker that lives and says nothing for a long time: its run is stalled, never failed.
#include <gtest/gtest.h>

#include <fstream>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

TEST(WorkerSilent, SilenceAloneIsStalledAndNeverFailed) {
  const TempDir directory;
  Command sleeper;
  sleeper.argv = {"sleep", "1000"};
  const ChildProcess worker(sleeper);
  std::ofstream(directory / "etl.pid") << worker.pid() << '\n';
  // It has said its last word an hour ago and keeps its log open.
  const LogFile held(directory / "etl.log");
  {
    LogFile log(directory / "etl.log");
    const auto ago = [](int minutes) { return to_rfc3339(SystemClock().now() - std::chrono::minutes(minutes)); };
    const auto line = [&](const std::string& run, int minutes) {
      log.append_line(R"({"ts":")" + ago(minutes) + R"(","level":"INFO","msg":"m","job_id":"orders","run_id":")" + run +
                      R"(","event":"run.started"})");
    };
    line("silent", 60);
    line("fresh", 1);
  }
  const auto hour_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(directory / "etl.log", hour_ago);

  const std::string database = "worker_silent";
  const Sql sql(PostgresCluster::shared().create_migrated_database(database));
  AgentSetup setup = tailing(directory, PostgresCluster::shared().conninfo(database));
  setup.sources[0].more = "worker: {holds_file: true, pid_file: " + (directory / "etl.pid").string() + "}";
  AgentProcess agent(setup);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_delivered(sql, agent, 2)) << agent.log();
  // A death would be told two looks after it was seen.
  const auto looked = [&] { return agent.metric("trialsync_uptime_seconds") >= 5; };
  ASSERT_TRUE(wait_until(looked)) << agent.log();
  EXPECT_EQ(sql.rows("SELECT external_run_id, status, stalled FROM observability.runs ORDER BY 1"),
            (std::vector<std::string>{"fresh|running|f", "silent|running|t"}));
  EXPECT_EQ(agent.metric("trialsync_jobs_total", {{"status", "failed"}}), 0);

  // The same where the agent keeps the history itself.
  ASSERT_EQ(agent.terminate().exit_code, 0);
  for (const JsonRow& run : agent.runs()) {
    EXPECT_EQ(run.at("status"), "running");
    EXPECT_EQ(run.at("stalled"), run.at("external_run_id") == "silent" ? "yes" : "");
  }
}

}  // namespace
}  // namespace runtail::test
