#include "server/fleet_totals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/postgres_cluster.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

PgConnection connect(const std::string& database) {
  auto connection = PgConnection::connect(database);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

void count(PgConnection& connection, const std::string& job, int amount) {
  ASSERT_TRUE(
      connection.exec("INSERT INTO observability.fleet_counts (counter, label_1, label_2, amount) VALUES ('jobs', '" +
                      job + "', 'success', " + std::to_string(amount) + ")"));
}

TEST(FleetTotals, AreTheSumOfWhatIsAddedUpAndWhatIsNot) {
  const std::string database = PostgresCluster::shared().create_migrated_database("fleet");
  PgConnection connection = connect(database);
  EXPECT_THAT(read_fleet_totals(connection, "observability").value(), testing::IsEmpty());
  count(connection, "a", 1);
  ASSERT_TRUE(add_up_fleet_counts(connection, "observability"));
  count(connection, "a", 2);
  count(connection, "b,\"}", 1);
  const std::vector<FleetTotal> all = {{"jobs", "a", "success", 3}, {"jobs", "b,\"}", "success", 1}};
  EXPECT_EQ(read_fleet_totals(connection, "observability").value(), all);
  ASSERT_TRUE(add_up_fleet_counts(connection, "observability"));
  ASSERT_TRUE(add_up_fleet_counts(connection, "observability"));
  EXPECT_EQ(read_fleet_totals(connection, "observability").value(), all);
  EXPECT_EQ(connection.exec("SELECT count(*) FROM observability.fleet_counts")->integer(0, 0), 0);
}

// A writer that commits late, two servers that add up, one that reads: nothing is lost, counted twice, or goes down.
TEST(FleetTotals, AreExactWhileWritersAndServersWorkAtOnce) {
  const std::string database = PostgresCluster::shared().create_migrated_database("fleet_at_once");
  const int rounds = by_scale(60, 600);
  std::atomic<bool> is_over{false};
  std::vector<std::thread> servers;
  for (int at = 0; at < 2; ++at) {
    servers.emplace_back([&] {
      PgConnection connection = connect(database);
      while (!is_over) EXPECT_TRUE(add_up_fleet_counts(connection, "observability"));
    });
  }
  std::thread reader([&] {
    PgConnection connection = connect(database);
    std::int64_t last = 0;
    while (!is_over) {
      std::int64_t sum = 0;
      const auto totals = read_fleet_totals(connection, "observability");
      ASSERT_TRUE(totals) << totals.error().message;
      for (const FleetTotal& total : *totals) sum += total.amount;
      EXPECT_GE(sum, last);
      last = sum;
    }
  });
  std::vector<std::thread> writers;
  for (int at = 0; at < 2; ++at) {
    writers.emplace_back([&, at] {
      PgConnection connection = connect(database);
      for (int round = 0; round < rounds; ++round) {
        ASSERT_TRUE(connection.exec("BEGIN"));
        count(connection, "job" + std::to_string(round % 3), 1);
        ASSERT_TRUE(connection.exec(round % 5 == at ? "ROLLBACK" : "COMMIT"));
      }
    });
  }
  for (std::thread& each : writers) each.join();
  is_over = true;
  for (std::thread& each : servers) each.join();
  reader.join();
  PgConnection connection = connect(database);
  std::int64_t sum = 0;
  for (const FleetTotal& total : read_fleet_totals(connection, "observability").value()) sum += total.amount;
  EXPECT_EQ(sum, 2 * rounds * 4 / 5);
}

}  // namespace
}  // namespace runtail::test
