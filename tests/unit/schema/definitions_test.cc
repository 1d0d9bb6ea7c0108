// The registry tables follow the configuration.
#include "schema/definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/postgres_cluster.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::chrono::milliseconds kLockTimeout{5000};

Config full() {
  Config config;
  JobConfig job;
  job.id = "orders";
  job.owner = "data-team";
  job.expected_every = std::chrono::hours{24};
  job.metadata = {{"tier", "gold"}, {"a", "b"}, {"on call", "\"x\""}};
  config.jobs = {job};
  QualityCheckConfig nulls;
  nulls.job = "orders";
  nulls.table = "mart.orders";
  nulls.type = "null_rate";
  nulls.column = "email";
  nulls.threshold = 0.05;
  QualityCheckConfig drift = nulls;
  drift.type = "schema_drift";
  drift.column.clear();
  drift.threshold.reset();
  drift.expected = {{"id", "bigint"}, {"email", "text"}};
  config.quality.checks = {nulls, drift};
  AlertChannelConfig slack;
  slack.name = "team";
  slack.kind = "slack";
  slack.target = "file:/run/secrets/slack";
  AlertChannelConfig mail = slack;
  mail.name = "mail";
  mail.kind = "email";
  mail.target = "mailto:a@example.org";
  config.alerts.channels = {slack, mail};
  AlertRuleConfig rule;
  rule.name = "orders failed";
  rule.kind = "JobFailed";
  rule.job = "orders";
  rule.window = std::chrono::minutes{30};
  rule.params = {{"threshold", "3"}, {"share", "0.5"}, {"strict", "true"}, {"name", "03"}};
  rule.channels = {"team", "mail"};
  rule.repeat = std::chrono::hours{4};
  config.alerts.rules = {rule};
  return config;
}

class DefinitionsStored : public testing::Test {
 protected:
  DefinitionsStored()
      : url_(test::PostgresCluster::shared().create_migrated_database(
            std::string("definitions_") + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    auto connection = PgConnection::connect(url_);
    if (!connection) throw std::runtime_error(connection.error().message);
    connection_.emplace(std::move(*connection));
    run("SET search_path = observability");
  }
  // "added changed same switched_off", or the error.
  std::string store(const Config& config) {
    now_ += std::chrono::minutes{1};
    auto counts = store_definitions(*connection_, "observability", config, now_, kLockTimeout);
    if (!counts) return counts.error().message;
    return std::to_string(counts->added) + " " + std::to_string(counts->changed) + " " + std::to_string(counts->same) +
           " " + std::to_string(counts->switched_off);
  }
  void run(const std::string& sql) {
    if (auto done = connection_->exec(sql); !done) throw std::runtime_error(sql + ": " + done.error().message);
  }
  std::vector<std::string> rows(const std::string& sql) {
    auto result = connection_->exec(sql);
    if (!result) throw std::runtime_error(sql + ": " + result.error().message);
    std::vector<std::string> all;
    for (int row = 0; row < result->rows(); ++row) {
      std::string line;
      for (int column = 0; column < result->columns(); ++column) {
        line += (column ? "|" : "") + std::string(result->text(row, column));
      }
      all.push_back(line);
    }
    return all;
  }

  const std::string url_;
  std::optional<PgConnection> connection_;
  TimePoint now_ = *parse_rfc3339("2026-03-01T00:00:00Z");
};

TEST_F(DefinitionsStored, TwiceTheSameChangesNothing) {
  EXPECT_EQ(store(full()), "6 0 0 0");
  const auto all = [&] {
    std::vector<std::string> out;
    for (const char* table :
         {"etl_jobs", "dq_check_definitions", "alert_channels", "alert_rules", "alert_rule_channels"}) {
      for (std::string& row : rows("SELECT t::text FROM " + std::string(table) + " t ORDER BY 1")) out.push_back(row);
    }
    return out;
  };
  const auto before = all();
  EXPECT_EQ(store(full()), "0 0 6 0");
  EXPECT_EQ(all(), before);
  EXPECT_THAT(rows("SELECT job_id, owner, expected_every, enabled, source, metadata FROM etl_jobs"),
              ElementsAre(R"(orders|data-team|24:00:00|t|config|{"a": "b", "tier": "gold", "on call": "\"x\""})"));
  EXPECT_THAT(rows("SELECT kind, window_s, params FROM alert_rules"),
              ElementsAre(R"(JobFailed|1800|{"name": "03", "share": 0.5, "strict": true, "threshold": 3})"));
  EXPECT_THAT(rows("SELECT c.name, repeat_s FROM alert_rule_channels JOIN alert_channels c ON c.id = channel_id "
                   "ORDER BY 1"),
              ElementsAre("mail|14400", "team|14400"));
}

TEST_F(DefinitionsStored, AChangeIsWrittenAndDated) {
  store(full());
  Config config = full();
  config.jobs[0].owner = "others";
  config.quality.checks[0].threshold = 0.2;
  config.alerts.rules[0].channels = {"mail"};
  EXPECT_EQ(store(config), "0 2 4 0");
  EXPECT_THAT(rows("SELECT owner, updated_at - created_at FROM etl_jobs"), ElementsAre("others|00:01:00"));
  EXPECT_THAT(rows("SELECT threshold FROM dq_check_definitions WHERE check_type = 'null_rate'"), ElementsAre("0.2"));
  EXPECT_THAT(rows("SELECT c.name FROM alert_rule_channels JOIN alert_channels c ON c.id = channel_id"),
              ElementsAre("mail"));
}

// Runs, results and alerts refer to it.
TEST_F(DefinitionsStored, WhatIsNoLongerConfiguredIsSwitchedOffAndComesBack) {
  store(full());
  Config config = full();
  config.quality.checks.pop_back();
  config.alerts.rules.clear();
  EXPECT_EQ(store(config), "0 0 4 2");
  EXPECT_EQ(store(config), "0 0 4 0");
  EXPECT_THAT(rows("SELECT check_type, enabled FROM dq_check_definitions ORDER BY 1"),
              ElementsAre("null_rate|t", "schema_drift|f"));
  EXPECT_THAT(rows("SELECT enabled FROM alert_rules"), ElementsAre("f"));
  EXPECT_EQ(store(full()), "0 2 4 0");
}

TEST_F(DefinitionsStored, AJobThatLinesMadeBecomesTheConfiguredOne) {
  run("INSERT INTO etl_jobs (id, job_id, source, created_at, updated_at) VALUES "
      "('00000000-0000-5000-8000-000000000001', 'orders', 'line', '2026-01-01', '2026-01-01'), "
      "('00000000-0000-5000-8000-000000000002', 'other', 'line', '2026-01-01', '2026-01-01')");
  EXPECT_EQ(store(full()), "5 1 0 0");
  EXPECT_THAT(rows("SELECT id, job_id, source, enabled FROM etl_jobs ORDER BY job_id"),
              ElementsAre("00000000-0000-5000-8000-000000000001|orders|config|t",
                          "00000000-0000-5000-8000-000000000002|other|line|t"));
}

TEST_F(DefinitionsStored, WhatTheApiMadeIsNotWrittenOver) {
  run("INSERT INTO alert_channels VALUES (gen_random_uuid(), 'team', 'webhook', 'env:X', true, true, 'api', now()), "
      "(gen_random_uuid(), 'theirs', 'webhook', 'env:X', true, true, 'api', now())");
  EXPECT_THAT(store(full()), HasSubstr("alert channel \"team\" was made by the API"));
  EXPECT_THAT(rows("SELECT job_id FROM etl_jobs"), IsEmpty());
  run("DELETE FROM alert_channels WHERE name = 'team'");
  EXPECT_EQ(store(full()), "6 0 0 0");
  EXPECT_THAT(rows("SELECT name FROM alert_channels WHERE enabled ORDER BY 1"), ElementsAre("mail", "team", "theirs"));
}

}  // namespace
}  // namespace runtail
