#include "schema/partitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/migrate.h"
#include "tests/support/postgres_cluster.h"

namespace runtail {
namespace {

using test::PostgresCluster;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kSchema[] = "observability";

TimePoint at(const char* text) { return parse_rfc3339(text).value(); }

PartitionBounds between(const char* from, const char* to) { return {at(from), at(to)}; }

PartitionRule rule_of(std::string_view table, const RetentionConfig& retention = {}) {
  for (const PartitionRule& rule : partition_rules(retention)) {
    if (rule.table == table) return rule;
  }
  throw std::logic_error("no such table");
}

// Each on a copy of a database migrated and maintained as of kToday.
constexpr char kToday[] = "2026-03-01T12:00:00Z";

class PartitionsTest : public testing::Test {
 protected:
  static PgConnection connect_to(const std::string& conninfo) {
    auto connection = PgConnection::connect(conninfo);
    if (!connection) throw std::runtime_error(connection.error().message);
    return std::move(*connection);
  }
  static void SetUpTestSuite() {
    PgConnection connection = connect_to(PostgresCluster::shared().create_database("partitions"));
    ASSERT_TRUE(migrate_up(connection, kSchema));
    ASSERT_TRUE(read_partition_bounds(connection, kSchema)->empty());
    auto made = maintain_partitions(connection, kSchema, at(kToday));
    ASSERT_TRUE(made) << made.error().message;
    made_at_first() = made->size();
  }
  static std::size_t& made_at_first() {
    static std::size_t made = 0;
    return made;
  }
  void SetUp() override {
    static int count = 0;
    connection_.emplace(
        connect_to(PostgresCluster::shared().create_database("partitions_" + std::to_string(++count), "partitions")));
  }
  std::vector<std::string> maintain(const char* now) {
    auto made = maintain_partitions(*connection_, kSchema, at(now));
    if (!made) throw std::runtime_error(made.error().message);
    return *made;
  }
  std::string text_of(const std::string& sql) {
    auto rows = connection_->exec(sql);
    if (!rows) throw std::runtime_error(rows.error().message);
    return std::string(rows->text(0, 0));
  }
  std::optional<PgConnection> connection_;
};

TEST(PartitionRuleTest, MonthsReachFourteenBackAndThirteenAhead) {
  const auto due = partitions_due(rule_of("job_runs"), at("2026-01-31T23:59:59Z"));
  ASSERT_EQ(due.size(), 28u);
  EXPECT_EQ(due.front().name, "job_runs_2024_11");
  EXPECT_EQ(due.front().bounds, between("2024-11-01T00:00:00Z", "2024-12-01T00:00:00Z"));
  EXPECT_EQ(due.back().name, "job_runs_2027_02");
  EXPECT_EQ(due.back().bounds, between("2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"));
}

TEST(PartitionRuleTest, DaysReachThirtyBackAndThreeAhead) {
  const auto due = partitions_due(rule_of("log_events"), at("2028-02-27T00:00:00Z"));  // a leap year
  ASSERT_EQ(due.size(), 34u);
  EXPECT_EQ(due.front().name, "log_events_2028_01_28");
  EXPECT_EQ(due.back().name, "log_events_2028_03_01");
  EXPECT_EQ(due.back().bounds, between("2028-03-01T00:00:00Z", "2028-03-02T00:00:00Z"));
  for (std::size_t i = 1; i < due.size(); ++i) EXPECT_EQ(due[i].bounds.from, due[i - 1].bounds.to);
}

TEST(PartitionRuleTest, WeeksBeginOnMondayAndReachThirteenBackAndTwoAhead) {
  for (const char* now : {"2026-03-02T00:00:00Z", "2026-03-08T23:59:59.999999Z"}) {  // Monday, Sunday
    const auto due = partitions_due(rule_of("chat_messages"), at(now));
    ASSERT_EQ(due.size(), 16u);
    EXPECT_EQ(due.front().name, "chat_messages_2025_12_01");
    EXPECT_EQ(due[13].bounds, between("2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"));
    EXPECT_EQ(due.back().name, "chat_messages_2026_03_16");
    for (std::size_t i = 1; i < due.size(); ++i) EXPECT_EQ(due[i].bounds.from, due[i - 1].bounds.to);
  }
}

TEST_F(PartitionsTest, OfTablesThatAreNotThereAreNotMissed) {
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 5));
  EXPECT_THAT(maintain(kToday), IsEmpty());
  // Another's way to part it, a hypertable say, is left alone.
  ASSERT_TRUE(connection_->exec("CREATE TABLE observability.traces (id uuid)"));
  EXPECT_THAT(maintain(kToday), IsEmpty());
  ASSERT_TRUE(connection_->exec("DROP TABLE observability.traces"));
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 0));
  auto none = maintain_partitions(*connection_, kSchema, at(kToday));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
}

TEST_F(PartitionsTest, AreMadeOnceAndThenAsTimeGoesOn) {
  EXPECT_EQ(made_at_first(), 3u * 28 + 5 * 34 + 2 * 16 + 2 * 15);
  EXPECT_THAT(maintain("2026-03-01T23:59:59Z"), IsEmpty());
  EXPECT_THAT(
      maintain("2026-03-02T00:00:00Z"),
      ElementsAre("log_events_2026_03_05", "metric_snapshots_2026_03_05", "traces_2026_03_05", "spans_2026_03_05",
                  "document_events_2026_03_05", "chat_messages_2026_03_16", "metrics_aggregates_2026_03_16"));
  EXPECT_EQ(maintain("2026-03-31T00:00:00Z").size(), 5u * 29 + 2 * 4);
  EXPECT_EQ(maintain("2026-04-01T00:00:00Z").size(), 5u + 5);
}

TEST_F(PartitionsTest, BoundsAreTheWholeHorizonWhateverTheSessionsTimeZone) {
  ASSERT_TRUE(connection_->exec("SET timezone = 'Pacific/Auckland'; SET datestyle = 'German'"));
  auto bounds = read_partition_bounds(*connection_, kSchema);
  ASSERT_TRUE(bounds) << bounds.error().message;
  EXPECT_EQ(bounds->size(), 12u);
  EXPECT_EQ(bounds->at("log_events"), between("2026-01-30T00:00:00Z", "2026-03-05T00:00:00Z"));
  for (const char* table : {"job_runs", "dq_observations", "dq_check_results"}) {
    EXPECT_EQ(bounds->at(table), between("2025-01-01T00:00:00Z", "2027-05-01T00:00:00Z")) << table;
  }
  EXPECT_EQ(bounds->at("chat_messages"), between("2025-11-24T00:00:00Z", "2026-03-16T00:00:00Z"));
  EXPECT_EQ(bounds->at("audit_events"), between("2026-02-01T00:00:00Z", "2027-05-01T00:00:00Z"));
  EXPECT_THAT(maintain(kToday), IsEmpty());
}

TEST_F(PartitionsTest, HaveEveryIndexConstraintAndKeyOfTheirTable) {
  for (const char* pair : {"job_runs job_runs_2026_03", "dq_check_results dq_check_results_2026_03",
                           "dq_observations dq_observations_2026_03", "log_events log_events_2026_03_01",
                           "spans spans_2026_03_01", "metrics_aggregates metrics_aggregates_2026_02_23"}) {
    const std::string table = std::string(pair).substr(0, std::string_view(pair).find(' '));
    const std::string part = std::string(pair).substr(table.size() + 1);
    // Each index of the table has one below it, and the partition has no other.
    EXPECT_EQ(text_of("SELECT (SELECT count(*) FROM pg_index WHERE indrelid = 'observability." + table +
                      "'::regclass) = count(*) AND bool_and(EXISTS (SELECT FROM pg_inherits WHERE inhrelid = "
                      "indexrelid)) FROM pg_index WHERE indrelid = 'observability." +
                      part + "'::regclass"),
              "t")
        << part;
    const auto constraints = [&](const std::string& name) {
      return text_of(
          "SELECT string_agg(pg_get_constraintdef(oid), '|' ORDER BY contype, pg_get_constraintdef(oid)) "
          "FROM pg_constraint WHERE conrelid = 'observability." +
          name + "'::regclass");
    };
    EXPECT_EQ(constraints(part), constraints(table));
  }
}

TEST_F(PartitionsTest, ARowOutsideIsRefusedWithoutAConstraintsName) {
  const auto insert = [&](const char* ts) {
    return connection_->exec(
        "INSERT INTO observability.log_events (event_id, ts, level, redacted, pii_safe, "
        "redaction_state, ruleset, stream, agent_id) VALUES (gen_random_uuid(), '" +
        std::string(ts) + "', 'INFO', false, true, 'clean', 'r1', 's', 'a')");
  };
  EXPECT_TRUE(insert("2026-01-30T00:00:00Z"));
  EXPECT_TRUE(insert("2026-03-04T23:59:59.999999Z"));
  for (const char* outside : {"2026-01-29T23:59:59.999999Z", "2026-03-05T00:00:00Z"}) {
    auto refused = insert(outside);
    ASSERT_FALSE(refused) << outside;
    EXPECT_EQ(refused.error().sqlstate, "23514");
    EXPECT_EQ(refused.error().constraint_name, "");
    EXPECT_EQ(refused.error().table_name, "log_events");
  }
}

TEST_F(PartitionsTest, AReaderIsNotWaitedFor) {
  auto reader = PgConnection::connect(PostgresCluster::shared().conninfo(text_of("SELECT current_database()")));
  ASSERT_TRUE(reader);
  ASSERT_TRUE(
      reader->exec("BEGIN; SELECT count(*) FROM observability.log_events; SELECT count(*) FROM observability.runs"));
  EXPECT_EQ(maintain("2026-03-04T00:00:00Z").size(), 5u * 3 + 2);
  EXPECT_EQ(maintain("2026-04-04T00:00:00Z").size(), 5u + 5 * 31 + 2 * 4);
  EXPECT_TRUE(reader->exec("COMMIT"));
}

}  // namespace
}  // namespace runtail
