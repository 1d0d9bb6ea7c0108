// The alert rules we ship, by Prometheus's own tools, and one of them from a line in a log to a real Alertmanager.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/alertmanager_server.h"
#include "tests/support/log_writer.h"
#include "tests/support/prometheus_server.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;

const std::filesystem::path kRoot = RUNTAIL_SOURCE_DIR;

TEST(AlertRules, EachFiresWhenItShouldAndIsSilentOtherwise) {
  for (const char* name : {"agent", "jobs"}) {
    const auto file = kRoot / "tests/testdata/prometheus" / (std::string(name) + ".rules.test.yaml");
    const Finished tested = run_to_end({{"promtool", "test", "rules", file.string()}, {}, {}, {}, {}, {}});
    EXPECT_EQ(tested.exit_code, 0) << tested.output << tested.errors;
  }
}

TEST(AlertRules, TheExampleForAlertmanagerIsOne) {
  const auto file = kRoot / "packaging/alertmanager/alertmanager.yaml";
  const Finished checked = run_to_end({{"amtool", "check-config", file.string()}, {}, {}, {}, {}, {}});
  EXPECT_EQ(checked.exit_code, 0) << checked.output << checked.errors;
}

TEST(AlertRules, AFailedRunReachesAlertmanagerOnceAndResolvesWithTheNextSuccess) {
  TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  const AlertmanagerServer alertmanager;
  ASSERT_TRUE(alertmanager.is_ready()) << alertmanager.log();
  const PrometheusServer prometheus(agent.port(), {{kRoot / "packaging/prometheus/runtail-agent.rules.yaml",
                                                    kRoot / "packaging/prometheus/runtail-jobs.rules.yaml"},
                                                   alertmanager.port()});
  ASSERT_TRUE(prometheus.is_ready()) << prometheus.log();

  LogFile log(directory / "etl.log");
  const auto line = [&](int second, const std::string& run, const std::string& rest) {
    log.append_line(R"({"ts":"2026-03-01T00:00:0)" + std::to_string(second) +
                    R"(Z","level":"INFO","msg":"m","job_id":"orders","run_id":")" + run + "\"," + rest + "}");
  };
  // A job that is known: its counters are there at 0 before anything happens.
  line(0, "r1", R"("event":"run.started")");
  ASSERT_TRUE(wait_until(
      [&] { return !prometheus.query(R"(trialsync_job_run_failures_total{job_id="orders"} == 0)").samples.empty(); },
      kPatience, Deadline(50)))
      << prometheus.log();
  line(1, "r1", R"("event":"run.finished","status":"failed","error_category":"db")");
  std::vector<HeldAlert> alerts;
  ASSERT_TRUE(wait_until([&] { return !(alerts = alertmanager.alerts("JobFailed")).empty(); }, kPatience, Deadline(50)))
      << prometheus.log();
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].labels, (Labels{{"alertname", "JobFailed"}, {"job_id", "orders"}, {"severity", "warning"}}));
  EXPECT_THAT(alerts[0].annotations.at("summary"), HasSubstr("job orders failed"));

  line(2, "r2", R"("event":"run.started")");
  line(3, "r2", R"("event":"run.finished","status":"success")");
  EXPECT_TRUE(wait_until([&] { return alertmanager.alerts("JobFailed").empty(); }, kPatience, Deadline(50)))
      << prometheus.log();
  EXPECT_TRUE(alertmanager.alerts("RuntailAgentDown").empty());
}

}  // namespace
}  // namespace runtail::test
