// The two threads of a server against a real database and real receivers, by a clock that the test turns.
#include "server/alerting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/alert_receivers.h"
#include "tests/support/delivered.h"
#include "tests/support/postgres_cluster.h"

namespace runtail {
namespace {

using std::chrono::seconds;
using test::wait_until;
using testing::ElementsAre;
using testing::HasSubstr;

class TurnedClock final : public Clock {
 public:
  TimePoint now() const override { return from_micros(micros_.load()); }
  void turn(seconds by) { micros_ += std::chrono::microseconds(by).count(); }

 private:
  std::atomic<std::int64_t> micros_{to_micros(SystemClock().now())};
};

class AlertingTest : public testing::Test {
 protected:
  void SetUp() override {
    static int count = 0;
    const std::string url =
        test::PostgresCluster::shared().create_migrated_database("alerting_" + std::to_string(++count));
    sql_ = std::make_unique<test::Sql>(url);
    config_.postgres.url = url;
    ASSERT_TRUE(receivers_.is_ready()) << receivers_.log();
    sql_->rows(
        "INSERT INTO observability.alert_rules SELECT gen_random_uuid(), k, k, NULL, '{}', NULL, NULL, "
        "'warning', '{}', '{}', true, 'yaml', now() FROM unnest(ARRAY['JobFailed', 'RuntailDeliveryFailing']) k");
    for (const char* channel : {"first", "second"}) {
      sql_->rows("INSERT INTO observability.alert_channels VALUES (gen_random_uuid(), '" + std::string(channel) +
                 "', 'slack', 'env:" + channel + "', true, true, 'yaml', now())");
    }
    sql_->rows(
        "INSERT INTO observability.alert_rule_channels SELECT gen_random_uuid(), r.id, c.id, NULL FROM "
        "observability.alert_rules r, observability.alert_channels c");
  }
  std::unique_ptr<Alerting> make() {
    const auto target = [this](const std::string& name) -> std::optional<std::string> {
      return name == broken_ ? "http://127.0.0.1:1/" : receivers_.url(name);
    };
    auto made = std::make_unique<Alerting>(
        config_, target, clock_, [](const std::string&, bool) {},
        AlertingTimes{std::chrono::milliseconds(20), std::chrono::milliseconds(20), std::chrono::milliseconds(20)});
    made->start();
    return made;
  }
  void fail(const std::string& job) {
    const std::string at = "'" + to_rfc3339(clock_.now()) + "'";
    sql_->rows(
        "WITH j AS (INSERT INTO observability.etl_jobs (id, job_id, source, created_at, updated_at) VALUES "
        "(gen_random_uuid(), '" +
        job + "', 'line', " + at + ", " + at +
        ")), r AS (INSERT INTO observability.run_ids VALUES (gen_random_uuid(), " + at +
        ", false) RETURNING run_id) INSERT INTO observability.job_runs (run_id, scheduled_at, job_id, "
        "job_id_rank, status, verdict_source, state_attempt, state_rank, state_at, state_event, first_event_at, "
        "last_event_at, attempt_count, retries_exhausted) SELECT run_id, " +
        at + ", '" + job + "', 1, 'failed', 'log', 1, 1, " + at + ", gen_random_uuid(), " + at + ", " + at +
        ", 1, false FROM r");
  }
  std::size_t told(const std::string& channel) const { return receivers_.messages(channel).size(); }

  TurnedClock clock_;
  Config config_;
  test::AlertReceivers receivers_;
  std::unique_ptr<test::Sql> sql_;
  std::string broken_;
};

TEST_F(AlertingTest, AChannelTakesSoManyAMinuteAndTheRestWaits) {
  config_.alerts.messages_per_minute = 2;
  for (const char* job : {"a", "b", "c"}) fail(job);
  const auto alerting = make();
  ASSERT_TRUE(wait_until([&] { return told("first") == 2 && told("second") == 2; }));
  ASSERT_TRUE(wait_until([&] { return alerting->state().pending == 2; }));
  clock_.turn(seconds(59));
  EXPECT_FALSE(wait_until([&] { return told("first") > 2; }, test::Deadline(300)));
  clock_.turn(seconds(2));
  EXPECT_TRUE(wait_until([&] { return told("first") == 3 && told("second") == 3; }));
  EXPECT_TRUE(wait_until([&] { return alerting->state().pending == 0; }));
  EXPECT_TRUE(alerting->stop(seconds(10)));
}

TEST_F(AlertingTest, ABrokenChannelIsToldOfOnTheOtherOne) {
  broken_ = "first";
  fail("orders");
  const auto alerting = make();
  ASSERT_TRUE(wait_until([&] { return told("second") == 1; }));
  const auto failed = [&] {
    const AlertingState state = alerting->state();
    const auto found = state.channels.find("first");
    return found == state.channels.end() ? 0 : found->second.failed;
  };
  ASSERT_TRUE(wait_until([&] { return failed() == 1; }));
  clock_.turn(seconds(10));
  ASSERT_TRUE(wait_until([&] { return failed() == 2; }));
  clock_.turn(seconds(20));
  ASSERT_TRUE(wait_until([&] { return told("second") == 2; }));
  // Its answer, too: one that is not waited for is sent again by the next server.
  ASSERT_TRUE(wait_until([&] { return alerting->state().channels.at("second").sent == 2; }));
  EXPECT_THAT(receivers_.messages("second").at(1).subject, HasSubstr("RuntailDeliveryFailing: first"));
  EXPECT_FALSE(alerting->state().channels.at("first").up);
  EXPECT_TRUE(alerting->state().channels.at("second").up);
  EXPECT_TRUE(alerting->stop(seconds(10)));
  // The next server has what waits, and a channel that works again.
  broken_.clear();
  clock_.turn(seconds(60));
  const auto next = make();
  EXPECT_TRUE(wait_until([&] { return told("first") == 1 && told("second") == 3; }));
  EXPECT_THAT(receivers_.messages("second").at(2).subject, HasSubstr("[RESOLVED] RuntailDeliveryFailing"));
  EXPECT_TRUE(next->stop(seconds(10)));
}

TEST_F(AlertingTest, WhatIsSwitchedOffIsNotDone) {
  fail("orders");
  config_.alerts.engine = "prometheus";
  const auto alerting = make();
  ASSERT_TRUE(wait_until([&] { return alerting->state().rounds > 2; }));  // data is judged all the same
  EXPECT_EQ(sql_->number("SELECT count(*) FROM observability.alert_events"), 0);
  EXPECT_TRUE(alerting->stop(seconds(10)));
  config_.quality.enabled = false;
  const auto nothing = make();
  EXPECT_TRUE(nothing->stop(seconds(10)));
  EXPECT_EQ(nothing->state().rounds, 0u);
}

TEST_F(AlertingTest, ARoundThatFailsIsSaidAndMendsItself) {
  sql_->rows("ALTER TABLE observability.alert_watch RENAME TO elsewhere");
  fail("orders");
  const auto alerting = make();
  ASSERT_TRUE(wait_until([&] { return alerting->state().failed_rounds > 1; }));
  EXPECT_THAT(alerting->state().fault, HasSubstr("alert_watch"));
  sql_->rows("ALTER TABLE observability.elsewhere RENAME TO alert_watch");
  EXPECT_TRUE(wait_until([&] { return told("first") == 1 && alerting->state().fault.empty(); }));
  EXPECT_TRUE(alerting->stop(seconds(10)));
}

}  // namespace
}  // namespace runtail
