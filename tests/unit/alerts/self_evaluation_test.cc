#include "alerts/self_evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "alerts/alert_evaluation.h"
#include "alerts/outbox.h"
#include "tests/unit/alerts/alerts_fixture.h"

namespace runtail {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class SelfEvaluationTest : public test::AlertsTest {
 protected:
  void SetUp() override {
    AlertsTest::SetUp();
    run("DELETE FROM service_heartbeats");
    for (const char* channel : {"slack", "pager"}) {
      run("INSERT INTO alert_channels VALUES (gen_random_uuid(), '" + std::string(channel) +
          "', 'slack', 'env:X', true, true, 'yaml', now())");
    }
  }
  void add_rule(const std::string& kind) {
    run("INSERT INTO alert_rules VALUES (gen_random_uuid(), '" + kind + "', '" + kind +
        "', NULL, '{}', NULL, NULL, 'critical', '{\"team\": \"data\"}', '{}', true, 'yaml', now()); "
        "INSERT INTO alert_rule_channels SELECT gen_random_uuid(), r.id, c.id, NULL FROM alert_rules r, alert_channels "
        "c "
        "WHERE r.name = '" +
        kind + "'");
  }
  AlertRound evaluate(TimePoint at) {
    auto round = evaluate_alerts(*connection_, kSchema, at, at);
    if (!round) throw std::runtime_error(round.error().message);
    return *round;
  }
  // All that is due; each to `broken` fails.
  void deliver(TimePoint at, const std::string& broken) {
    auto leased = lease_deliveries(*connection_, kSchema, at, seconds(30), 100);
    ASSERT_TRUE(leased) << leased.error().message;
    for (const AlertDelivery& each : *leased) {
      ASSERT_TRUE(settle_delivery(*connection_, kSchema, each, each.channel == broken ? "HTTP 503" : "", at));
    }
  }
  std::vector<std::string> told() {
    return rows(
        "SELECT e.labels->>'alertname', coalesce(e.labels->>'channel', '-'), c.name, d.kind FROM "
        "alert_deliveries d JOIN alert_events e ON e.id = d.alert_id JOIN alert_channels c ON c.id = "
        "d.channel_id ORDER BY 1, 2, 3, 4");
  }
};

TEST_F(SelfEvaluationTest, AChannelThatIsBrokenIsToldOfOnTheOthersUntilItWorks) {
  add_rule("RuntailDeliveryFailing");
  add_rule("JobFailed");
  add_job("orders");
  add_run("orders", test::numbered(1), now_, "failed", 1);
  EXPECT_EQ(evaluate(now_).queued, 2);
  for (const int at : {0, 10}) {
    deliver(now_ + seconds(at), "slack");
    EXPECT_EQ(evaluate(now_ + seconds(at + 1)).opened, 0);
  }
  deliver(now_ + seconds(30), "slack");
  EXPECT_EQ(evaluate(now_ + seconds(31)).opened, 1);
  EXPECT_THAT(told(), ElementsAre("JobFailed - pager firing", "JobFailed - slack firing",
                                  "RuntailDeliveryFailing slack pager firing"));
  EXPECT_EQ(one("SELECT labels->>'team' FROM alert_events WHERE labels->>'channel' = 'slack'"), "data");
  deliver(now_ + seconds(70), "");
  EXPECT_EQ(evaluate(now_ + seconds(71)).resolved, 1);
  EXPECT_THAT(told(),
              ElementsAre("JobFailed - pager firing", "JobFailed - slack firing",
                          "RuntailDeliveryFailing slack pager firing", "RuntailDeliveryFailing slack pager resolved"));
}

TEST_F(SelfEvaluationTest, AnAgentThatFallsSilentWithoutAGoodbyeIsToldOf) {
  add_rule("RuntailAgentDown");
  const auto beat = [&](const std::string& agent, const std::string& status, TimePoint at) {
    run("DELETE FROM service_heartbeats WHERE instance = '" + agent +
        "'; INSERT INTO service_heartbeats (id, service, instance, status, details, last_seen_at) VALUES "
        "(gen_random_uuid(), 'runtail', '" +
        agent + "', '" + status + "', '{}', '" + to_rfc3339(at) + "')");
  };
  beat("killed", "ok", now_);
  beat("stopped", "stopping", now_);
  EXPECT_EQ(evaluate(now_ + seconds(119)).opened, 0);
  EXPECT_EQ(evaluate(now_ + seconds(120)).opened, 1);
  EXPECT_EQ(one("SELECT labels->>'agent' FROM alert_events"), "killed");
  EXPECT_EQ(evaluate(now_ + minutes(10)).resolved, 0);
  beat("killed", "ok", now_ + minutes(11));
  EXPECT_EQ(evaluate(now_ + minutes(11)).resolved, 1);
  EXPECT_EQ(evaluate(now_ + minutes(13)).opened, 1);
  EXPECT_EQ(evaluate(now_ + minutes(11) + kAgentForgotten).resolved, 1);
}

// An Alertmanager forgets, people are told again where the mapping says so.
TEST_F(SelfEvaluationTest, WhatFiresIsToldAgainByOneRowForEachChannel) {
  add_rule("JobFailed");
  run("UPDATE alert_channels SET kind = 'alertmanager' WHERE name = 'pager'");
  add_job("orders");
  add_run("orders", test::numbered(1), now_, "failed", 1);
  evaluate(now_);
  deliver(now_, "");
  EXPECT_EQ(evaluate(now_ + seconds(59)).queued, 0);
  for (const int minute : {1, 2, 3}) {
    EXPECT_EQ(evaluate(now_ + minutes(minute)).queued, 1);
    EXPECT_EQ(evaluate(now_ + minutes(minute)).queued, 0) << "one waits";
    deliver(now_ + minutes(minute), "");
  }
  EXPECT_THAT(told(), ElementsAre("JobFailed - pager firing", "JobFailed - pager repeat", "JobFailed - slack firing"));
}

}  // namespace
}  // namespace runtail
