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

// Files have their identity from the database's key: it must have been reached once.
void start_and_deliver(Scene& scene, LogWriter& writer, std::uint64_t lines) {
  writer.allow(lines);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, lines)) << scene.agent.log();
}

TEST(Sigterm, WhilePostgresIsAwayEndsInTimeToo) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 20'000;
  PostgresCluster cluster;
  Scene scene("sigterm_away", cluster);
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  ASSERT_NO_FATAL_FAILURE(start_and_deliver(scene, writer, 100));
  cluster.stop();
  writer.allow_all();
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

// Somebody holds the tables: the agent's statements wait for the lock.
class HeldTables {
 public:
  explicit HeldTables(const std::string& conninfo) : holder_(PgConnection::connect(conninfo)) {
    EXPECT_TRUE(holder_ && holder_->exec("BEGIN; LOCK TABLE observability.identity_key, observability.source_files, "
                                         "observability.log_events IN ACCESS EXCLUSIVE MODE"));
  }
  void let_go() { holder_->close(); }

 private:
  PgOutcome<PgConnection> holder_;
};

TEST(Sigterm, WhilePostgresHangsEndsInTimeToo) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 20'000;
  Scene scene("sigterm_hang");
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  ASSERT_NO_FATAL_FAILURE(start_and_deliver(scene, writer, 100));
  HeldTables held(PostgresCluster::shared().conninfo("sigterm_hang"));
  writer.allow_all();
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == static_cast<double>(options.lines); }))
      << scene.agent.log();
  const AgentProcess::Ended ended = scene.agent.terminate();
  EXPECT_EQ(ended.exit_code, 0) << scene.agent.log();
  EXPECT_LT(ended.took, 8s);
  held.let_go();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

TEST(Sigterm, AtAStartThatWaitsForPostgresEndsInTimeToo) {
  Scene scene("sigterm_start");
  HeldTables held(PostgresCluster::shared().conninfo("sigterm_start"));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const AgentProcess::Ended ended = scene.agent.terminate();
  EXPECT_EQ(ended.exit_code, 0) << scene.agent.log();
  EXPECT_LT(ended.took, 8s);
}

}  // namespace
}  // namespace runtail::test
