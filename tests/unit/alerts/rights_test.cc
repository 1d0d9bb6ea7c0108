// A server's user has the rights of the three roles and no more: that is enough to judge, to alert and to deliver.
#include <gtest/gtest.h>

#include "alerts/outbox.h"
#include "alerts/round.h"
#include "schema/migrate.h"
#include "schema/partitions.h"
#include "tests/unit/alerts/alerts_fixture.h"

namespace runtail {
namespace {

class RightsTest : public test::AlertsTest {
 protected:
  // Of a database whose tables the three roles have rights on.
  void SetUp() override {
    conninfo_ = test::PostgresCluster::shared().create_database("alert_rights");
    connection_.emplace(connect());
    MigrationRequest request;
    request.roles = "alert_rights";
    ASSERT_TRUE(migrate_up(*connection_, kSchema, request));
    ASSERT_TRUE(maintain_partitions(*connection_, kSchema, now_));
    run("CREATE ROLE alert_rights_server LOGIN IN ROLE alert_rights_writer, alert_rights_reader, "
        "alert_rights_retention; SET search_path = observability; SET timezone = 'UTC'");
  }
};

TEST_F(RightsTest, TheUserOfAServerJudgesAlertsAndDelivers) {
  add_job("orders");
  run("INSERT INTO dq_check_definitions VALUES (gen_random_uuid(), 'orders', 't', NULL, 'row_count_delta', "
      "'row_count', NULL, NULL, NULL, 'warn', true, 'yaml', now()); "
      "INSERT INTO alert_channels VALUES ('" +
      to_string(test::numbered(1)) + "', 'team', 'slack', 'file:/x', true, true, 'yaml', now())");
  for (const char* kind : {"JobFailed", "DQRowCountDelta"}) {
    run("INSERT INTO alert_rules VALUES (gen_random_uuid(), '" + std::string(kind) + "', '" + kind +
        "', NULL, '{}', NULL, NULL, 'warning', '{}', '{}', true, 'yaml', now())");
  }
  run("INSERT INTO alert_rule_channels SELECT gen_random_uuid(), r.id, c.id, 60 FROM alert_rules r, alert_channels c");
  for (int number : {1, 2}) {
    add_run("orders", test::numbered(number), now_ - std::chrono::minutes(10 - number),
            number == 1 ? "success" : "failed", 1);
    run("INSERT INTO dq_observations (id, observed_at, run_id, job_id, attempt_no, table_name, kind, row_count, "
        "event_id) VALUES (gen_random_uuid(), '" +
        to_rfc3339(now_ - std::chrono::minutes(10 - number)) + "', '" + to_string(test::numbered(number)) +
        "', 'orders', 1, 't', 'row_count', " + std::to_string(100 * number) + ", gen_random_uuid())");
  }
  auto server = PgConnection::connect(conninfo_ + " user=alert_rights_server");
  ASSERT_TRUE(server) << server.error().message;
  const auto round = evaluate_round(*server, kSchema, now_);
  ASSERT_TRUE(round) << round.error().message;
  EXPECT_EQ(round->quality.written, 2);
  EXPECT_EQ(round->alerts.queued, 2);
  EXPECT_EQ(one("SELECT dq_status FROM job_runs WHERE status = 'failed'"), "warn");
  const auto leased = lease_deliveries(*server, kSchema, now_, std::chrono::seconds(30), 10);
  ASSERT_TRUE(leased) << leased.error().message;
  ASSERT_EQ(leased->size(), 2u);
  EXPECT_TRUE(settle_delivery(*server, kSchema, leased->front(), "", now_));
  const auto acknowledged =
      acknowledge_alert(*server, kSchema, one("SELECT min(dedupe_key) FROM alert_events"), "ann", now_);
  ASSERT_TRUE(acknowledged) << acknowledged.error().message;
  EXPECT_TRUE(*acknowledged);
  const auto again = evaluate_round(*server, kSchema, now_ + std::chrono::minutes(2));
  EXPECT_TRUE(again) << again.error().message;
}

}  // namespace
}  // namespace runtail
