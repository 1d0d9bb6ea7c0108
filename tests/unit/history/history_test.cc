// How questions are asked: read-only, bounded in time and rows, values never as SQL, with the reader's rights.
#include "history/log_queries.h"
#include "history/service_queries.h"
#include "schema/roles.h"
#include "tests/support/history_samples.h"
#include "tests/unit/history/history_fixture.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Number {
  std::int64_t number = 0;
  static void columns(auto& row, auto&& visit) { visit("number", row.number); }
};
Query<Number> number(const std::string& sql) { return {"number", sql, {}}; }

TEST_F(HistoryTest, NothingCanBeChanged) {
  const auto rows = history_.read(number("DELETE FROM {{schema}}.dead_letters RETURNING 1 AS number"));
  ASSERT_FALSE(rows);
  EXPECT_THAT(rows.error().message, HasSubstr("history, number: "));
  EXPECT_THAT(rows.error().message, HasSubstr("25006"));
  EXPECT_NE(value("SELECT count(*) FROM dead_letters"), "0");
}

TEST_F(HistoryTest, AQuestionThatTakesTooLongEndsAndTheNextIsAnswered) {
  History hasty(connection_, "observability", std::chrono::milliseconds(50));
  const auto rows = hasty.read(number("SELECT 1 AS number FROM pg_sleep(60)"));
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(rows.error().message, HasSubstr("57014"));
  EXPECT_EQ(connection_.transaction(), PgConnection::Transaction::kIdle);
  EXPECT_THAT(hasty.read(number("SELECT 7 AS number")).value(), SizeIs(1));
  // Of the transaction alone: pooled connections stay as they were.
  EXPECT_EQ(value("SHOW statement_timeout"), "0");
}

TEST_F(HistoryTest, ALostConnectionIsAnErrorAndNotNothing) {
  connection_.close();
  const auto rows = history_.read(jobs({}, now(), 10));
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(history_.run(Uuid{}).error().code, ErrorCode::kUnavailable);
}

TEST_F(HistoryTest, RowsOfAnAnswerAreBounded) {
  EXPECT_THAT(read(runs({all(), {}, {}, {}}, 1'000'000)), SizeIs(kHistoryRowsMax));
  EXPECT_THAT(read(runs({all(), {}, {}, {}}, 0)), SizeIs(1));
  EXPECT_THAT(read(runs({all(), {}, {}, {}}, -5)), SizeIs(1));
}

TEST_F(HistoryTest, ValuesAreNeverSql) {
  for (const char* hostile : {"x' OR '1'='1", "'; DROP TABLE observability.job_runs; --", "$1", "{{schema}}", "%"}) {
    EXPECT_THAT(read(runs({all(), hostile, {}, {}}, 10)), IsEmpty()) << hostile;
    EXPECT_THAT(read(runs({all(), {}, {}, hostile}, 10)), IsEmpty()) << hostile;
    EXPECT_THAT(read(log_lines(CorrelationLines{hostile}, all_lines(), 10)), IsEmpty()) << hostile;
    EXPECT_THAT(read(dead_letters(hostile, all(), 10)), IsEmpty()) << hostile;
  }
}

TEST_F(HistoryTest, TheReaderRoleIsEnough) {
  MigrationRequest request;
  request.roles = "reading";
  const auto granted = migrate_up(connection_, "observability", request);
  ASSERT_TRUE(granted) << granted.error().message;
  const std::vector<HistorySample> samples = history_samples(connection_, now());
  const auto role = connection_.exec("SET ROLE reading_reader");
  ASSERT_TRUE(role);
  for (const HistorySample& sample : samples) {
    const auto rows = sample.ask(history_);
    EXPECT_TRUE(rows) << sample.name << ": " << rows.error().message;
  }
}

TEST(HistoryOfAnotherSchema, IsReadByItsName) {
  PgConnection connection = connect(PostgresCluster::shared().create_database("history_elsewhere"));
  const std::string schema = "Obs \"2\"";
  MigrationRequest request;
  request.without = {"traces"};
  ASSERT_TRUE(migrate_up(connection, schema, request));
  History history(connection, schema);
  const auto rows = history.read(jobs({}, SystemClock().now(), 10));
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_THAT(*rows, IsEmpty());
}

}  // namespace
}  // namespace runtail::test
