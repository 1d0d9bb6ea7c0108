// A real Prometheus scrapes a real agent: what its queries give is what an independent count of the input gives, and
// its exemplars lead to runs that are there.
#include "tests/support/prometheus_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

// One for all: Prometheus takes five seconds to its first scrape.
class PrometheusTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scene = new Stage;
    ASSERT_TRUE(scene->agent.start_healthy()) << scene->agent.log();
    scene->prometheus.emplace(scene->agent.port());
    ASSERT_TRUE(scene->prometheus->is_ready()) << scene->prometheus->log();
  }
  static void TearDownTestSuite() { delete scene; }

  struct Stage {
    TempDir directory;
    AgentProcess agent{tailing(directory, "")};
    std::optional<PrometheusServer> prometheus;
  };
  static inline Stage* scene = nullptr;
};

TEST_F(PrometheusTest, QueriesGiveWhatTheInputHolds) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = static_cast<std::uint64_t>(by_scale(10'000, 200'000));
  options.event_runs = 0.3;
  SCOPED_TRACE("seed " + std::to_string(options.seed));
  AgentProcess& agent = scene->agent;
  const PrometheusServer& prometheus = *scene->prometheus;

  // It scrapes while lines come.
  Workload workload(options);
  write_all(scene->directory / "etl.log", workload);
  const Expected expected = workload.expected();
  const double lines = static_cast<double>(expected.lines);
  ASSERT_TRUE(wait_until([&] { return prometheus.query("sum(runtail_lines_total)").sum("") == lines; }, kPatience,
                         Deadline(50)))
      << agent.log();

  const auto by = [&](const std::string& family, const std::string& first, const std::string& second) {
    return prometheus.query(family).by(family, first, second);
  };
  const auto nonzero = [](std::map<std::string, double> values) {
    std::erase_if(values, [](const auto& each) { return each.second == 0; });
    return values;
  };
  EXPECT_EQ(by("trialsync_jobs_total", "job_id", "status"), nonzero(expected.jobs_total));
  EXPECT_EQ(by("trialsync_job_duration_seconds_count", "job_id", "status"), nonzero(expected.jobs_total));
  EXPECT_EQ(by("trialsync_job_failures_total", "job_id", "error_category"), nonzero(expected.job_failures_total));
  EXPECT_EQ(by("trialsync_records_loaded_total", "job_id", "table"), nonzero(expected.records_loaded_total));
  EXPECT_EQ(prometheus.query("trialsync_job_retries_total").by("trialsync_job_retries_total", "job_id"),
            nonzero(expected.job_retries_total));
  EXPECT_EQ(prometheus.query("sum(trialsync_log_events_total)").sum(""), lines);
  EXPECT_EQ(prometheus.query("max_over_time(runtail_ledger_imbalance[5m])").sum(""), 0);
  const double running = static_cast<double>(std::count_if(expected.runs.begin(), expected.runs.end(),
                                                           [](const auto& run) { return run.status == "running"; }));
  EXPECT_EQ(prometheus.query("sum(trialsync_jobs_running)").sum(""), running);
}

TEST_F(PrometheusTest, ExemplarsLeadToTheRun) {
  AgentProcess& agent = scene->agent;
  const PrometheusServer& prometheus = *scene->prometheus;
  const std::string run = "6f1c0b1e-9d52-4c1e-8a54-7d1f6f1f2a01", trace = "0af7651916cd43dd8448eb211c80319c";
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const std::string head = R"({"ts":)" + std::to_string(now.time_since_epoch().count()) +
                           R"(,"level":"ERROR","msg":"m","job_id":"exemplary","run_id":")" + run + R"(","trace_id":")" +
                           trace + "\",";
  LogFile log(scene->directory / "etl.log");
  log.append_line(head + R"("event":"run.finished","status":"failed","error_category":"db","duration_ms":42000})");
  log.append_line(head + R"("event":"http","route":"/v1","method":"GET","http_status":500,"duration_ms":70})");
  // Of the workload's runs there are others.
  const auto of_run = [&](const std::string& family) {
    auto found = prometheus.exemplars(family + R"({job_id=~"exemplary|",route=~"/v1|"})");
    std::erase_if(found, [&](const PrometheusExemplar& each) { return each.labels.at("run_id") != run; });
    return found;
  };
  for (const std::string family :
       {"trialsync_job_duration_seconds_bucket", "trialsync_job_failures_total", "trialsync_job_attempt_failures_total",
        "trialsync_api_request_duration_seconds_bucket"}) {
    std::vector<PrometheusExemplar> found;
    ASSERT_TRUE(wait_until([&] { return !(found = of_run(family)).empty(); }, kPatience, Deadline(50)))
        << family << agent.get("/metrics").body << prometheus.log();
    EXPECT_EQ(found.front().labels, (Labels{{"run_id", run}, {"trace_id", trace}})) << family;
    EXPECT_EQ(found.front().series.at("__name__"), family);
    if (family == "trialsync_job_duration_seconds_bucket") {
      EXPECT_EQ(found.front().value, 42);
      EXPECT_EQ(found.front().series.at("le"), "60");
    }
  }
  EXPECT_EQ(agent.metric("runtail_ledger_imbalance"), 0);
  // Who cannot read OpenMetrics gets the page without them.
  EXPECT_EQ(agent.get("/metrics").body.find(run), std::string::npos);
}

}  // namespace
}  // namespace runtail::test
