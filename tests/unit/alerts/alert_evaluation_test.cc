#include "alerts/alert_evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "alerts/outbox.h"
#include "alerts/quality_evaluation.h"
#include "tests/unit/alerts/alerts_fixture.h"

namespace runtail {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class AlertEvaluationTest : public test::AlertsTest {
 protected:
  void SetUp() override {
    AlertsTest::SetUp();
    add_job("orders");
    run("INSERT INTO alert_channels VALUES ('" + to_string(test::numbered(1)) +
        "', 'team', 'slack', 'file:/x', true, true, 'yaml', now())");
  }
  AlertRound evaluate(TimePoint at) { return evaluate(at, at); }
  AlertRound evaluate(TimePoint at, TimePoint read_until) {
    auto round = evaluate_alerts(*connection_, kSchema, at, read_until);
    if (!round) throw std::runtime_error(round.error().message);
    return *round;
  }
  void add_rule(const std::string& kind, const std::string& params = "{}", const std::string& job = "NULL") {
    const std::string id = to_string(test::numbered(++rules_ + 100));
    run("INSERT INTO alert_rules VALUES ('" + id + "', '" + kind + "', '" + kind + "', " + job + ", '" + params +
        "', NULL, NULL, 'critical', '{}', '{\"runbook_url\": \"https://x\"}', true, 'yaml', '" + to_rfc3339(now_) +
        "'); INSERT INTO alert_rule_channels VALUES ('" + id + "', '" + id + "', '" + to_string(test::numbered(1)) +
        "', NULL)");
  }
  void end_run(int number, TimePoint at, const std::string& status) {
    add_run("orders", test::numbered(number), at - minutes(1), status, 1);
    run("UPDATE job_runs SET finished_at = '" + to_rfc3339(at) + "' WHERE run_id = '" +
        to_string(test::numbered(number)) + "'");
  }
  std::vector<std::string> events() {
    return rows(
        "SELECT labels->>'alertname', status, count, coalesce(right(run_id::text, 2), '-') FROM alert_events "
        "ORDER BY fired_at, 1");
  }
  std::vector<std::string> deliveries() {
    return rows("SELECT d.kind, d.state FROM alert_deliveries d ORDER BY d.created_at, d.kind");
  }
  int rules_ = 0;
};

TEST_F(AlertEvaluationTest, AFailureIsToldOnceAndItsEndOnce) {
  add_rule("JobFailed");
  end_run(1, now_, "failed");
  const AlertRound first = evaluate(now_ + seconds(1));
  EXPECT_EQ(first.opened, 1);
  EXPECT_EQ(first.queued, 1);
  EXPECT_THAT(events(), ElementsAre("JobFailed firing 1 01"));
  EXPECT_EQ(one("SELECT annotations->>'runbook_url', annotations->>'run_id' IS NOT NULL FROM alert_events"),
            "https://x t");
  // Nothing new, nothing said; news of the job changes only what is seen of it.
  EXPECT_EQ(evaluate(now_ + seconds(2)).jobs, 0);
  end_run(2, now_ + seconds(3), "failed");
  EXPECT_EQ(evaluate(now_ + seconds(4)).queued, 0);
  end_run(3, now_ + seconds(5), "success");
  const AlertRound over = evaluate(now_ + seconds(6));
  EXPECT_EQ(over.resolved, 1);
  EXPECT_THAT(deliveries(), ElementsAre("firing pending", "resolved pending"));
  EXPECT_EQ(evaluate(now_ + seconds(7)).resolved, 0);
}

TEST_F(AlertEvaluationTest, OnlyWhatChangedIsLookedAt) {
  add_rule("JobFailed");
  for (int i = 0; i < 50; ++i) add_job("quiet-" + std::to_string(i));
  EXPECT_EQ(evaluate(now_ + hours(1)).jobs, 51);
  EXPECT_EQ(evaluate(now_ + hours(2)).jobs, 0);
  add_job("new");
  EXPECT_EQ(evaluate(now_ + hours(2)).jobs, 1);
  add_rule("RetrySurge");
  EXPECT_EQ(evaluate(now_ + hours(2)).jobs, 52);
  EXPECT_EQ(evaluate(now_ + hours(2)).jobs, 0);
  end_run(1, now_ + hours(2), "failed");
  EXPECT_EQ(evaluate(now_ + hours(2)).jobs, 1);
}

TEST_F(AlertEvaluationTest, OldHistoryNotifiesNobody) {
  add_rule("JobFailed");
  end_run(1, now_ - hours(2), "failed");
  const AlertRound round = evaluate(now_);
  EXPECT_EQ(round.stale, 1);
  EXPECT_EQ(round.queued, 0);
  EXPECT_THAT(events(), ElementsAre("JobFailed stale 1 01"));
  add_state_change(test::numbered(1));
  EXPECT_EQ(evaluate(now_ + seconds(1)).stale, 0);
  EXPECT_THAT(deliveries(), IsEmpty());
}

TEST_F(AlertEvaluationTest, TimeAloneRaisesALateStartOnceAllIsRead) {
  add_rule("NoRecentRuns", R"({"expected_every_s": 3600})");
  end_run(1, now_, "success");
  EXPECT_EQ(evaluate(now_).opened, 0);
  EXPECT_EQ(evaluate(now_ + minutes(58), now_).opened, 0);
  EXPECT_EQ(evaluate(now_ + minutes(62), now_).opened, 0);  // the intake is behind
  EXPECT_EQ(evaluate(now_ + minutes(63), now_ + minutes(62)).opened, 1);
  end_run(2, now_ + minutes(64), "running");
  EXPECT_EQ(evaluate(now_ + minutes(64)).resolved, 1);
}

TEST_F(AlertEvaluationTest, AcknowledgedIsOverAndItsFactStaysQuiet) {
  add_rule("JobFailed");
  end_run(1, now_, "failed");
  evaluate(now_ + seconds(1));
  const std::string key = one("SELECT dedupe_key FROM alert_events");
  EXPECT_TRUE(acknowledge_alert(*connection_, kSchema, key, "ann", now_ + seconds(2)).value());
  EXPECT_FALSE(acknowledge_alert(*connection_, kSchema, key, "ben", now_ + seconds(3)).value());
  add_state_change(test::numbered(1));
  EXPECT_EQ(evaluate(now_ + seconds(4)).opened, 0);
  EXPECT_EQ(one("SELECT status, acknowledged_by FROM alert_events"), "resolved ann");
  end_run(2, now_ + seconds(5), "failed");
  EXPECT_EQ(evaluate(now_ + seconds(6)).opened, 1);
}

TEST_F(AlertEvaluationTest, WhatIsSwitchedOffFiresNoLonger) {
  add_rule("JobFailed");
  add_rule("ConsecutiveFailures", R"({"threshold": 1})");
  add_job("quiet");
  end_run(1, now_, "failed");
  EXPECT_EQ(evaluate(now_ + seconds(1)).opened, 2);
  run("UPDATE alert_rules SET enabled = false WHERE kind = 'JobFailed'");
  EXPECT_EQ(evaluate(now_ + seconds(2)).resolved, 1);
  EXPECT_THAT(events(), testing::UnorderedElementsAre("JobFailed resolved 1 01", "ConsecutiveFailures firing 1 01"));
  run("UPDATE etl_jobs SET enabled = false WHERE job_id = 'orders'");
  EXPECT_EQ(evaluate(now_ + seconds(3)).resolved, 1);
  EXPECT_THAT(deliveries(), ElementsAre("firing pending", "firing pending", "resolved pending", "resolved pending"));
}

TEST_F(AlertEvaluationTest, WhatFiresUnderASeverityThatIsChangedIsOver) {
  add_rule("JobFailed");
  end_run(1, now_, "failed");
  EXPECT_EQ(evaluate(now_ + seconds(1)).opened, 1);
  run("UPDATE alert_rules SET severity = CASE severity WHEN 'critical' THEN 'warning' ELSE 'critical' END");
  const auto round = evaluate(now_ + seconds(2));
  EXPECT_EQ(round.resolved, 1);
  EXPECT_EQ(round.opened, 1) << "and fires under the other one";
}

TEST_F(AlertEvaluationTest, MaintenanceDelaysTheWordAndSparesItWhatIsOverByThen) {
  add_rule("JobFailed");
  run("INSERT INTO alert_silences VALUES (gen_random_uuid(), 'ord*', NULL, '" + to_rfc3339(now_ - minutes(1)) + "', '" +
      to_rfc3339(now_ + minutes(10)) + "', 'ann', NULL)");
  end_run(1, now_, "failed");
  EXPECT_EQ(evaluate(now_ + seconds(1)).opened, 1);
  EXPECT_EQ(evaluate(now_ + minutes(9)).queued, 0);
  EXPECT_EQ(evaluate(now_ + minutes(10)).queued, 1);
  end_run(2, now_ + minutes(11), "success");
  EXPECT_EQ(evaluate(now_ + minutes(11)).queued, 1);
}

TEST_F(AlertEvaluationTest, ARunInsideOfAnotherOfItsJobIsNoRunOfItsOwn) {
  add_rule("ConsecutiveFailures", R"({"threshold": 2})");
  end_run(1, now_, "failed");
  end_run(2, now_, "failed");
  run("UPDATE job_runs SET parent_run_id = '" + to_string(test::numbered(1)) + "' WHERE run_id = '" +
      to_string(test::numbered(2)) + "'");
  EXPECT_EQ(evaluate(now_ + seconds(1)).opened, 0);
  end_run(3, now_ + seconds(2), "failed");
  EXPECT_EQ(evaluate(now_ + seconds(3)).opened, 1);
}

// Lines are stored after one server judged, and another one looks for alerts before they are judged.
TEST_F(AlertEvaluationTest, WhatIsNotJudgedYetStaysNew) {
  add_rule("DQRowCountDelta");
  run("INSERT INTO dq_check_definitions VALUES (gen_random_uuid(), 'orders', 't', NULL, 'row_count_delta', "
      "'row_count', NULL, NULL, NULL, 'warn', true, 'yaml', now())");
  const auto observed = [&](int number, int rows) {
    end_run(number, now_ + seconds(number), "success");
    run("INSERT INTO dq_observations (id, observed_at, run_id, job_id, attempt_no, table_name, kind, row_count, "
        "event_id) VALUES (gen_random_uuid(), '" +
        to_rfc3339(now_ + seconds(number)) + "', '" + to_string(test::numbered(number)) +
        "', 'orders', 1, 't', 'row_count', " + std::to_string(rows) + ", gen_random_uuid())");
  };
  const auto after_quality = [&](int minute) {
    return evaluate_alerts(*connection_, kSchema, now_ + minutes(minute), now_, {}, true).value().opened;
  };
  observed(1, 100);
  ASSERT_TRUE(evaluate_quality(*connection_, kSchema, now_));
  EXPECT_EQ(after_quality(3), 0);
  observed(2, 10);
  PgConnection other = connect();
  ask(other, "BEGIN; SELECT FROM observability.evaluation_progress WHERE name = 'quality' FOR UPDATE");
  EXPECT_TRUE(evaluate_quality(*connection_, kSchema, now_).value().taken);
  EXPECT_EQ(after_quality(4), 0);
  ask(other, "ROLLBACK");
  ASSERT_TRUE(evaluate_quality(*connection_, kSchema, now_));
  EXPECT_EQ(after_quality(5), 1);
}

TEST_F(AlertEvaluationTest, AnotherServerThatIsAtItIsNotWaitedFor) {
  evaluate(now_);
  PgConnection other = connect();
  ask(other, "BEGIN; SELECT FROM observability.evaluation_progress FOR UPDATE");
  EXPECT_TRUE(evaluate(now_).taken);
  ask(other, "ROLLBACK");
}

TEST_F(AlertEvaluationTest, ARoundThatDiesLeavesNothingHalfDone) {
  add_rule("JobFailed");
  end_run(1, now_, "failed");
  run("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''dies''; END'; "
      "CREATE TRIGGER dies BEFORE INSERT ON alert_deliveries FOR EACH ROW EXECUTE FUNCTION refuse()");
  EXPECT_FALSE(evaluate_alerts(*connection_, kSchema, now_, now_));
  run("DROP TRIGGER dies ON alert_deliveries; DROP FUNCTION refuse()");
  EXPECT_THAT(events(), IsEmpty());
  EXPECT_EQ(evaluate(now_).queued, 1);
}

class OutboxTest : public AlertEvaluationTest {
 protected:
  void SetUp() override {
    AlertEvaluationTest::SetUp();
    add_rule("JobFailed");
    end_run(1, now_, "failed");
    evaluate(now_);
  }
  std::vector<AlertDelivery> lease(PgConnection& connection, TimePoint at) {
    auto leased = lease_deliveries(connection, kSchema, at, seconds(30), 10);
    if (!leased) throw std::runtime_error(leased.error().message);
    return *leased;
  }
};

TEST_F(OutboxTest, ADeliveryIsWithOneSenderUntilItsLeaseEnds) {
  PgConnection other = connect();
  const auto mine = lease(*connection_, now_);
  ASSERT_THAT(mine, SizeIs(1));
  EXPECT_EQ(mine[0].channel, "team");
  EXPECT_THAT(mine[0].labels.text, HasSubstr("orders"));
  EXPECT_THAT(lease(other, now_ + seconds(29)), IsEmpty());
  const auto again = lease(other, now_ + seconds(30));
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].attempts, 2);
  ASSERT_TRUE(settle_delivery(other, kSchema, again[0], "", now_));
  EXPECT_THAT(lease(other, now_ + hours(1)), IsEmpty());
  EXPECT_THAT(deliveries(), ElementsAre("firing sent"));
}

TEST_F(OutboxTest, TheEndIsToldAfterTheBeginning) {
  end_run(2, now_ + seconds(1), "success");
  evaluate(now_ + seconds(2));
  const auto first = lease(*connection_, now_ + seconds(3));
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(first[0].kind, "firing");
  ASSERT_TRUE(settle_delivery(*connection_, kSchema, first[0], "", now_));
  const auto second = lease(*connection_, now_ + seconds(4));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0].kind, "resolved");
  EXPECT_TRUE(second[0].resolved_at);
}

TEST_F(OutboxTest, WhatFailsIsTriedAgainLaterEachTimeAndGivenUpAfterADay) {
  TimePoint at = now_;
  for (const int pause : {10, 20, 40, 80, 160, 320, 600, 600}) {
    const auto leased = lease(*connection_, at);
    ASSERT_THAT(leased, SizeIs(1)) << pause;
    ASSERT_TRUE(settle_delivery(*connection_, kSchema, leased[0], "HTTP 503", at));
    EXPECT_THAT(lease(*connection_, at + seconds(pause - 1)), IsEmpty());
    at += seconds(pause);
  }
  EXPECT_EQ(one("SELECT last_error FROM alert_deliveries"), "HTTP 503");
  at = now_ + hours(25);
  ASSERT_TRUE(settle_delivery(*connection_, kSchema, lease(*connection_, at).at(0), "HTTP 503", at));
  EXPECT_THAT(deliveries(), ElementsAre("firing failed"));
}

}  // namespace
}  // namespace runtail
