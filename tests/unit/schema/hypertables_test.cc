// What becomes of the migrations where TimescaleDB is; that it works there is shown by
// tests/scenarios/timescale_test.cc.
#include "schema/hypertables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "schema/migrations.h"
#include "schema/partitions.h"
#include "tests/support/postgres_cluster.h"

namespace runtail {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(HypertablesTest, EveryPartitionedTableOfAGroupIsMadeOneInChunksAsLongAsItsPartitions) {
  std::map<std::string, std::string> intervals;
  for (const PartitionRule& rule : partition_rules()) {
    if (rule.span != PartitionSpan::kMonth)
      intervals[rule.table] = rule.span == PartitionSpan::kDay ? "1 day" : "7 days";
  }
  int made = 0;
  for (const Migration& migration : embedded_migrations()) {
    const std::string sql = with_hypertables(migration.up, "time scale");
    if (migration.group.empty()) {
      EXPECT_EQ(sql, migration.up) << migration.name;
      continue;
    }
    EXPECT_THAT(sql, Not(HasSubstr("PARTITION BY"))) << migration.name;
    for (const MadeRelation& table : relations_made_by(migration, "observability")) {
      if (!table.is_table || !intervals.contains(table.name)) continue;
      EXPECT_THAT(sql, HasSubstr("SELECT \"time scale\".create_hypertable($name${{schema}}." + table.name + "$name$"));
      EXPECT_THAT(sql, HasSubstr("chunk_time_interval => interval '" + intervals[table.name] + "'"));
      ++made;
    }
  }
  EXPECT_EQ(made, 5);
}

TEST(HypertablesTest, WithoutTheExtensionThereAreNone) {
  auto connection = PgConnection::connect(test::PostgresCluster::shared().conninfo());
  ASSERT_TRUE(connection);
  EXPECT_EQ(timescale_schema(*connection).value(), std::nullopt);
  EXPECT_THAT(hypertables(*connection, "observability").value(), IsEmpty());
  EXPECT_EQ(drop_chunks(*connection, "observability", "spans", TimePoint{}, std::chrono::milliseconds(100)).value(), 0);
}

}  // namespace
}  // namespace runtail
