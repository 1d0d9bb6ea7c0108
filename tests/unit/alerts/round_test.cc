#include "alerts/round.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "tests/support/scale.h"
#include "tests/unit/alerts/alerts_fixture.h"

namespace runtail {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

class RoundTest : public test::AlertsTest {
 protected:
  RoundReport round(TimePoint at) {
    auto done = evaluate_round(*connection_, kSchema, at, parts_);
    if (!done) throw std::runtime_error(done.error().message);
    return *done;
  }
  void add_rule(const std::string& kind, const std::string& params) {
    run("INSERT INTO alert_rules VALUES (gen_random_uuid(), '" + kind + "', '" + kind + "', NULL, '" + params +
        "', NULL, NULL, 'warning', '{}', '{}', true, 'yaml', '" + to_rfc3339(now_) + "')");
  }
  void add_observed_run(int number, int hours_ago, int rows) {
    add_run("orders", test::numbered(number), now_ - hours(hours_ago), "success", 1);
    run("INSERT INTO dq_observations (id, observed_at, run_id, job_id, attempt_no, table_name, kind, row_count, "
        "event_id) VALUES (gen_random_uuid(), '" +
        to_rfc3339(now_) + "', '" + to_string(test::numbered(number)) + "', 'orders', 1, 't', 'row_count', " +
        std::to_string(rows) + ", gen_random_uuid())");
  }
  void add_check() {
    run("INSERT INTO dq_check_definitions VALUES (gen_random_uuid(), 'orders', 't', NULL, 'row_count_delta', "
        "'row_count', NULL, NULL, NULL, 'warn', true, 'yaml', '" +
        to_rfc3339(now_) + "')");
  }
  RoundParts parts_;
};

// All of one moment: what is the latest is then said by the place of the runs, whatever the ids of results.
TEST_F(RoundTest, WhatIsJudgedIsAlertedOfInTheSameRound) {
  add_job("orders");
  add_check();
  add_rule("DQRowCountDelta", "{}");
  add_observed_run(1, 2, 100);
  add_observed_run(2, 1, 10);
  const RoundReport report = round(now_);
  EXPECT_EQ(report.quality.written, 2);
  EXPECT_EQ(report.alerts.opened, 1);
  EXPECT_EQ(one("SELECT labels->>'table', r.status FROM alert_events e JOIN dq_check_results r "
                "ON (r.id, r.created_at) = (e.dq_result_id, e.dq_result_at)"),
            "t warn");
  add_observed_run(3, 0, 10);
  EXPECT_EQ(round(now_ + minutes(1)).alerts.resolved, 1);
}

TEST_F(RoundTest, WhatIsSwitchedOffCatchesUpLater) {
  add_job("orders");
  add_check();
  add_rule("DQRowCountDelta", "{}");
  add_observed_run(1, 2, 100);
  add_observed_run(2, 1, 10);
  parts_.quality = parts_.alerts = false;
  const RoundReport off = round(now_);
  EXPECT_EQ(off.quality.written + off.alerts.opened, 0);
  parts_.quality = parts_.alerts = true;
  EXPECT_EQ(round(now_).alerts.opened, 1);
}

// Judged by a round that comes after the alerts have seen all else of the job.
TEST_F(RoundTest, AVerdictThatComesLaterThanItsRunIsAlertedOf) {
  add_job("orders");
  add_check();
  add_rule("DQRowCountDelta", "{}");
  add_observed_run(1, 2, 100);
  add_observed_run(2, 1, 10);
  parts_.quality = false;
  EXPECT_EQ(round(now_).alerts.opened, 0);
  EXPECT_EQ(round(now_ + minutes(1)).alerts.jobs, 0);
  parts_.quality = true;
  EXPECT_EQ(round(now_ + minutes(12)).alerts.opened, 1);
}

TEST_F(RoundTest, AnAgentThatIsBehindHoldsBackWhatSilenceWouldProve) {
  add_job("orders");
  add_rule("NoRecentRuns", R"({"expected_every_s": 3600})");
  add_run("orders", test::numbered(1), now_, "success", 1);
  const auto heartbeat = [&](TimePoint at, int lag) {
    run("INSERT INTO service_heartbeats (id, service, instance, status, lag_seconds, details, last_seen_at) VALUES ('" +
        to_string(test::numbered(5)) + "', 'runtail', 'a', 'ok', " + std::to_string(lag) + ", '{}', '" +
        to_rfc3339(at) +
        "') ON CONFLICT (id) DO UPDATE SET lag_seconds = excluded.lag_seconds, last_seen_at = excluded.last_seen_at");
  };
  heartbeat(now_ + minutes(61), 300);
  EXPECT_EQ(round(now_ + minutes(62)).alerts.opened, 0);
  heartbeat(now_ + minutes(63), 0);
  EXPECT_EQ(round(now_ + minutes(63)).alerts.opened, 1);
  run("DELETE FROM service_heartbeats");
}

TEST_F(RoundTest, OfManyJobsOnlyThoseThatChangedCostAnything) {
  const int jobs = test::by_scale(2'000, 100'000);
  run("INSERT INTO etl_jobs (id, job_id, source, created_at, updated_at, expected_every) SELECT gen_random_uuid(), "
      "'job-' || n, 'line', '" +
      to_rfc3339(now_) + "', '" + to_rfc3339(now_) + "', '1 day' FROM generate_series(1, " + std::to_string(jobs) +
      ") n");
  add_rule("JobFailed", "{}");
  add_rule("NoRecentRuns", "{}");
  const auto timed = [&](TimePoint at) {
    const auto begun = std::chrono::steady_clock::now();
    const RoundReport report = round(at);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    return std::pair(report, took.count());
  };
  const auto first = timed(now_ + minutes(10));
  EXPECT_EQ(first.first.alerts.jobs, jobs);
  for (int i = 1; i <= 100; ++i) {
    add_run("job-" + std::to_string(i), test::numbered(i), now_ + minutes(20), "failed", 1);
  }
  const auto changed = timed(now_ + minutes(21)), idle = timed(now_ + minutes(22));
  EXPECT_EQ(changed.first.alerts.jobs, 100);
  EXPECT_EQ(changed.first.alerts.opened, 100);
  EXPECT_EQ(idle.first.alerts.jobs, 0);
  std::printf("%d jobs: all %.2f s, 100 changed %.2f s, nothing changed %.3f s\n", jobs, first.second, changed.second,
              idle.second);
  EXPECT_LT(changed.second, 5);
  EXPECT_LT(idle.second, 5);
}

}  // namespace
}  // namespace runtail
