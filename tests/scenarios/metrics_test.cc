// The agent's pages: /metrics as Prometheus reads it, and the health pages with the database there and away.
#include <gtest/gtest.h>

#include <fstream>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

TEST(Metrics, PromtoolFindsNothingToSay) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 20'000;
  options.event_runs = 0.3;
  Scene scene("metrics");
  Workload workload(options);
  write_all(scene.log, workload);
  {
    LogFile log(scene.log);
    // Families the workload has no lines for, and values no label may carry.
    log.append_line(
        R"({"level":"INFO","msg":"GET","event":"http","route":"/v1/items","method":"GET","http_status":200,"duration_ms":12})");
    log.append_line(
        R"({"level":"INFO","msg":"pool","event":"pool","component":"api","in_use":3,"size":10,"waiters":0})");
    log.append_line(
        R"({"level":"INFO","msg":"set","event":"dataset","dataset":"orders","record_count":5,"status":"success"})");
    log.append_line(
        R"({"level":"INFO","msg":"dq","event":"dq","job_id":"j","run_id":"r","table":"t","null_rates":{"c":0.1}})");
    log.append_line(
        R"({"level":"INFO","msg":"odd","job_id":"a \"quoted\" job\nof two lines","run_id":"q","event":"run.finished","status":"success"})");
    log.append_line("");
  }
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines + 5)) << scene.agent.log();

  const HttpAnswer page = scene.agent.get("/metrics");
  ASSERT_EQ(page.status, 200);
  std::ofstream(scene.directory / "page") << page.body;
  Command promtool;
  promtool.argv = {"promtool", "check", "metrics"};
  promtool.input = scene.directory / "page";
  const Finished checked = run_to_end(promtool);
  EXPECT_EQ(checked.exit_code, 0) << checked.output << checked.errors;
  EXPECT_EQ(checked.output + checked.errors, "");

  const Scrape scrape = parse_metrics(page.body);
  EXPECT_EQ(scrape.sum("trialsync_api_requests_total", {{"route", "/v1/items"}, {"status_code", "200"}}), 1);
  EXPECT_EQ(scrape.sum("trialsync_db_pool_size", {{"component", "api"}}), 10);
  EXPECT_EQ(scrape.sum("trialsync_jobs_total", {{"job_id", "__invalid__"}, {"status", "success"}}), 1);
  EXPECT_EQ(scrape.sum("runtail_sink_up", {{"sink", "postgres"}}), 1);
  EXPECT_EQ(scrape.sum("runtail_source_lag_bytes"), 0);
  EXPECT_EQ(scrape.sum("runtail_build_info"), 1);
  EXPECT_GT(scrape.sum("runtail_buffer_limit_bytes"), 0);
  EXPECT_EQ(scrape.sum("runtail_config_last_reload_successful"), 1);
  const double now = static_cast<double>(to_micros(SystemClock().now())) / 1e6;
  for (const std::string started :
       {"process_start_time_seconds", "runtail_config_last_reload_success_timestamp_seconds"}) {
    EXPECT_GT(scrape.sum(started), now - 120) << started;
    EXPECT_LT(scrape.sum(started), now + 2) << started;
  }
  EXPECT_GT(scrape.sum("process_cpu_seconds_total"), 0);
  EXPECT_NEAR(scrape.sum("process_resident_memory_bytes") / 1024, static_cast<double>(scene.agent.rss_kib()), 20'000);
  EXPECT_GT(scrape.sum("process_threads"), 3);
  EXPECT_GT(scrape.sum("process_open_fds"), 5);
  EXPECT_GT(scrape.sum("process_max_fds"), scrape.sum("process_open_fds"));
  EXPECT_EQ(scrape.sum("runtail_internal_errors_total"), 0);
}

// A rule on `increase()` misses the first failure of a job unless the series was there, at 0, before it.
TEST(Metrics, AJobsSeriesAreThereAtZeroOnceItWasSeen) {
  const TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  LogFile log(directory / "etl.log");
  log.append_line(R"({"level":"INFO","msg":"go","job_id":"orders","run_id":"n1","event":"run.started"})");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 1; })) << agent.log();
  const std::string page = agent.get("/metrics").body;
  for (const std::string status : {"success", "failed", "skipped", "cancelled"}) {
    EXPECT_NE(page.find("trialsync_jobs_total{job_id=\"orders\",status=\"" + status + "\"} 0"), std::string::npos)
        << status;
  }
}

TEST(Health, ADatabaseThatIsAwayDegradesButNeverTakesTheAgentOut) {
  PostgresCluster cluster;
  Scene scene("health", cluster);
  LogFile log(scene.log);
  log.append_line(R"({"level":"INFO","msg":"one"})");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, 1)) << scene.agent.log();
  for (const std::string path :
       {"/healthz", "/health/live", "/readyz", "/health/ready", "/api/v1/health", "/readyz?strict=true"}) {
    const HttpAnswer answer = scene.agent.get(path);
    EXPECT_EQ(answer.status, 200) << path << answer.body;
    EXPECT_NE(answer.body.find("\"status\":\"ok\""), std::string::npos) << path << answer.body;
    EXPECT_NE(answer.body.find("\"timestamp\""), std::string::npos) << path << answer.body;
  }
  EXPECT_EQ(scene.agent.get("/nothing").status, 404);

  cluster.stop();
  log.append_line(R"({"level":"INFO","msg":"two"})");
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz?strict=true").status == 503; })) << scene.agent.log();
  for (const std::string path : {"/readyz", "/health/ready", "/api/v1/health"}) {
    const HttpAnswer answer = scene.agent.get(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_NE(answer.body.find("\"status\":\"degraded\""), std::string::npos) << answer.body;
    EXPECT_NE(answer.body.find("postgres"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(scene.agent.get("/healthz").status, 200);
  EXPECT_EQ(scene.agent.get("/health/live").status, 200);
  const double oldest = scene.agent.metric("runtail_buffer_oldest_timestamp_seconds");
  EXPECT_GT(oldest, static_cast<double>(to_micros(SystemClock().now())) / 1e6 - 120);
  log.append_line(R"({"level":"INFO","msg":"three"})");
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == 3; }));
  EXPECT_EQ(scene.agent.metric("runtail_buffer_oldest_timestamp_seconds"), oldest) << "what came first";
  EXPECT_EQ(scene.agent.metric("runtail_sink_up", {{"sink", "postgres"}}), 0);

  cluster.start();
  EXPECT_TRUE(wait_until([&] { return scene.agent.get("/readyz?strict=true").status == 200; })) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, 3)) << scene.agent.log();
  EXPECT_TRUE(wait_until([&] { return scene.agent.metric("runtail_buffer_oldest_timestamp_seconds") == 0; }));
}

}  // namespace
}  // namespace runtail::test
