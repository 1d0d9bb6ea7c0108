// PostgreSQL with stock settings (fsync on) is stopped like a crash in the middle of a batch, again and again under
// load. It recovers from its log each time; every line and every sum is there once in the end.
#include <gtest/gtest.h>

#include <random>

#include "schema/pg.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

class PostgresCrash : public testing::TestWithParam<bool> {};

TEST_P(PostgresCrash, InTheMiddleOfABatchLosesNothingAndRepeatsNothing) {
  const bool facts_ahead = GetParam();
  const int stops = by_scale(3, 50);
  WorkloadOptions options;
  options.seed = seed();
  options.lines = static_cast<std::uint64_t>(stops) * by_scale<std::uint64_t>(4'000, 6'000);
  options.event_runs = 0.3;
  std::mt19937_64 random(seed());
  // All else is stock: this only says how recovery makes sure of the files it begins with, here in one call.
  PostgresCluster cluster({.fsync = true, .conf = {"recovery_init_sync_method = syncfs"}});
  const std::string name = facts_ahead ? "crash_apart" : "crash";
  Scene scene(name, cluster, "", {{"RUNTAIL_POSTGRES_BATCH_ROWS_MAX", facts_ahead ? "500" : "50000"}});
  Workload workload(options);
  LogWriter writer(scene.log, workload, {.rotate_every = options.lines / 7});
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();

  const std::uint64_t share = options.lines / static_cast<std::uint64_t>(stops);
  const std::string batches_open =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runtail' AND datname = current_database() "
      "AND xact_start IS NOT NULL AND pid <> pg_backend_pid()";
  int in_a_batch = 0;
  for (int stop = 1; stop <= stops; ++stop) {
    auto look = PgConnection::connect(cluster.conninfo(name) + " application_name=judge");
    ASSERT_TRUE(look) << look.error().message;
    // A batch went through since: else each strike would meet the same one, which is tried less and less often.
    ASSERT_TRUE(wait_until([&] { return stop == 1 || scene.agent.metric("runtail_sink_up") == 1; }))
        << scene.agent.log();
    writer.allow(share);
    ASSERT_TRUE(wait_until([&] { return look->exec(batches_open).value().integer(0, 0) > 0; }, kPatience, Deadline(0)))
        << "stop " << stop << '\n'
        << scene.agent.log();
    let_pass(std::chrono::microseconds(random() % 30'000));
    in_a_batch += look->exec(batches_open).value().integer(0, 0) > 0;
    cluster.stop(PostgresCluster::Stop::kImmediate);
    cluster.start();
  }
  writer.allow_all();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  std::printf("%d stops, %d of them with a batch open\n", stops, in_a_batch);
  EXPECT_GT(in_a_batch, 0);
  expect_delivered(scene.sql, scene.agent, workload.expected());
  // It says so while it is down, and that it is over.
  EXPECT_NE(scene.agent.log().find("sink postgres delivers again"), std::string::npos) << scene.agent.log();
}

INSTANTIATE_TEST_SUITE_P(Deliveries, PostgresCrash, testing::Bool(),
                         [](const auto& given) { return given.param ? "FactsAhead" : "Whole"; });

}  // namespace
}  // namespace runtail::test
