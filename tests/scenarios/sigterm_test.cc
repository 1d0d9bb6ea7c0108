// SIGTERM under load: out within 8 s, everything read is durable, the next start goes on where this one stopped.
#include <gtest/gtest.h>

#include "schema/pg.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using namespace std::chrono_literals;

TEST(Sigterm, UnderLoadEndsInTimeAndTheNextStartGoesOnThere) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(100'000, 1'000'000);
  options.event_runs = 0.3;
  Scene scene("sigterm");
  Workload workload(options);
  LogWriter writer(scene.log, workload, {.rotate_every = options.lines / 5});
  writer.allow_all();
  for (int stop = 1; stop <= 3; ++stop) {
    const double before = static_cast<double>(scene.sql.log_events());
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() > before; })) << scene.agent.log();
    const AgentProcess::Ended ended = scene.agent.terminate();
    EXPECT_EQ(ended.exit_code, 0) << scene.agent.log();
    EXPECT_LT(ended.took, 8s);
  }
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

TEST(Sigterm, WhilePostgresIsAwayEndsInTimeToo) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 20'000;
  PostgresCluster cluster;
  Scene scene("sigterm_away", cluster);
  cluster.stop();
  Workload workload(options);
  write_all(scene.log, workload);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == static_cast<double>(options.lines); }))
      << scene.agent.log();
  const AgentProcess::Ended ended = scene.agent.terminate();
  EXPECT_EQ(ended.exit_code, 0) << scene.agent.log();
  EXPECT_LT(ended.took, 8s);
  std::filesystem::remove(scene.log);  // all of it must be in the buffer
  cluster.start();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

TEST(Sigterm, WhilePostgresHangsEndsInTimeToo) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 20'000;
  Scene scene("sigterm_hang");
  Workload workload(options);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  // Somebody holds the table: the agent's transaction waits for the lock.
  auto holder = PgConnection::connect(PostgresCluster::shared().conninfo("sigterm_hang"));
  ASSERT_TRUE(holder);
  ASSERT_TRUE(
      holder->exec("BEGIN; LOCK TABLE observability.source_files, observability.log_events IN ACCESS EXCLUSIVE MODE"));
  write_all(scene.log, workload);
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == static_cast<double>(options.lines); }))
      << scene.agent.log();
  const AgentProcess::Ended ended = scene.agent.terminate();
  EXPECT_EQ(ended.exit_code, 0) << scene.agent.log();
  EXPECT_LT(ended.took, 8s);
  holder->close();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

}  // namespace
}  // namespace runtail::test
