// Counters of agents that nobody scraped: they are on the server's page, exactly once, and a replay adds nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"
#include "tests/support/server_process.h"
#include "tests/support/wait_until.h"

namespace runtail::test {
namespace {

std::string run_line(TimePoint at, const std::string& run, const std::string& event, const std::string& status = "") {
  return R"({"ts":")" + to_rfc3339(at) + R"(","level":"INFO","job_id":"orders","run_id":")" + run + R"(","event":")" +
         event + (status.empty() ? "" : R"(","status":")" + status) + R"("})";
}

TEST(FleetTotalsScenario, AnAgentThatIsGoneIsCountedByTheServerOnce) {
  Scene scene("fleet_totals");
  const TimePoint now = SystemClock().now();
  LogFile log(scene.log);
  for (const char* run : {"r1", "r2", "r3"}) {
    log.append_line(run_line(now, run, "run.started"));
    log.append_line(run_line(now, run, "run.finished", run == std::string("r3") ? "failed" : "success"));
  }
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] {
    return scene.sql.number("SELECT count(*) FROM observability.job_runs WHERE status IN ('success', 'failed')") == 3;
  })) << scene.agent.log();
  scene.agent.kill9();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();  // and sends again what it does not know to be there
  EXPECT_EQ(scene.agent.terminate().exit_code, 0);

  LogFile old(scene.directory / "old.log");
  old.append_line(run_line(now - std::chrono::hours(50), "r0", "run.started"));
  old.append_line(run_line(now - std::chrono::hours(49), "r0", "run.finished"));
  Command replay;
  replay.argv = {RUNTAIL_BINARY, "replay", "--config", scene.agent.config_path().string(),
                 (scene.directory / "old.log").string()};
  ASSERT_EQ(run_to_end(replay).exit_code, 0);
  ASSERT_EQ(scene.sql.number("SELECT count(*) FROM observability.job_runs"), 4);

  ServerProcess server(scene.directory.path(), "server", PostgresCluster::shared().conninfo("fleet_totals"));
  ASSERT_TRUE(server.start_healthy()) << server.log();
  const auto total = [&](const std::string& status) {
    return server.scrape().sum("trialsync_fleet_jobs_total", {{"job_id", "orders"}, {"status", status}});
  };
  EXPECT_TRUE(wait_until([&] { return total("success") == 2; })) << server.page("/metrics").body;
  EXPECT_EQ(total("failed"), 1);
  EXPECT_EQ(
      server.scrape().sum("trialsync_fleet_job_failures_total", {{"job_id", "orders"}, {"error_category", "System"}}),
      1);
  EXPECT_EQ(server.terminate(), 0);
}

}  // namespace
}  // namespace runtail::test
