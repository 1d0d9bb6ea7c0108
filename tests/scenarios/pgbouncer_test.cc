// All goes through Debian's PgBouncer in transaction mode: each transaction may meet another server connection, and
// the pooler may close, refuse or vanish at any moment.
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "tests/support/log_writer.h"
#include "tests/support/pooler.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

WorkloadOptions workload_of(std::uint64_t lines) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = lines;
  options.event_runs = 0.3;
  return options;
}

class Pgbouncer : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!Pooler::is_installed()) GTEST_SKIP() << "no /usr/sbin/pgbouncer: apt-get install pgbouncer";
  }
  // Facts go ahead while more than a batch waits.
  std::map<std::string, std::string> environment() const {
    return {{"RUNTAIL_POSTGRES_BATCH_ROWS_MAX", GetParam() ? "200" : "50000"}};
  }
  std::string name(const std::string& what) const { return "pooled_" + what + (GetParam() ? "_apart" : ""); }
};
INSTANTIATE_TEST_SUITE_P(Deliveries, Pgbouncer, testing::Bool(),
                         [](const auto& given) { return given.param ? "FactsAhead" : "Whole"; });

// Two agents share two server connections with a third client that leaves marks on each of them.
TEST_P(Pgbouncer, WithFewServerConnectionsSharedByManyStoresEveryLineOnce) {
  PostgresCluster& cluster = PostgresCluster::shared();
  Pooler pooler(cluster, {"default_pool_size = 2", "server_idle_timeout = 1", "server_lifetime = 2",
                          "server_reset_query_always = 0"});
  Scene one(name("one"), cluster, pooler.conninfo(name("one")), environment());
  const TempDir other_directory;
  const std::filesystem::path other_log = other_directory / "etl.log";
  AgentSetup other_setup = tailing(other_directory, pooler.conninfo(name("one")), environment());
  other_setup.more = "environment: other\n";
  other_setup.sources = {{"other", other_log.string()}};
  AgentProcess other(other_setup);
  const WorkloadOptions options = workload_of(by_scale<std::uint64_t>(12'000, 200'000));
  Workload workload(options);
  LogWriter writer(one.log, workload, {});
  writer.allow(options.lines / 2);
  ASSERT_TRUE(one.agent.start_healthy()) << one.agent.log();
  ASSERT_TRUE(other.start_healthy()) << other.log();
  LogFile other_file(other_log);
  const int others = by_scale(300, 3'000);
  for (int i = 0; i < others; ++i) {
    other_file.append_line(R"({"msg":"seq=)" + std::to_string(options.lines + static_cast<std::uint64_t>(i)) + R"("})");
    if (i == others / 2) writer.allow_all();
  }
  const std::uint64_t all = options.lines + static_cast<std::uint64_t>(others);
  EXPECT_TRUE(wait_delivered(one.sql, one.agent, all)) << one.agent.log() << other.log();
  expect_every_line_once(one.sql, all);
  expect_runs(one.sql, workload.expected());
  expect_counters(one.agent, workload.expected());
  // Statements prepared in a session that the pooler then gives to others are given up for good, once.
  std::istringstream log(one.agent.log());
  for (std::string line; std::getline(log, line);) {
    const bool expected = line.find("SQLSTATE 26000") != std::string::npos ||
                          line.find("SQLSTATE 42P05") != std::string::npos ||
                          line.find("delivers again") != std::string::npos;
    EXPECT_TRUE(expected || line.find("sink postgres") == std::string::npos) << "a pooler is no fault: " << line;
  }
}

TEST_P(Pgbouncer, KilledInTheMiddleOfBatchesLosesNothingAndRepeatsNothing) {
  const int kills = by_scale(4, 60);
  PostgresCluster& cluster = PostgresCluster::shared();
  Pooler pooler(cluster);
  Scene scene(name("killed"), cluster, pooler.conninfo(name("killed")), environment());
  const WorkloadOptions options = workload_of(static_cast<std::uint64_t>(kills) * 3'000);
  std::mt19937_64 random(seed());
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  writer.allow(1);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, 1)) << scene.agent.log();
  for (int kill = 1; kill <= kills; ++kill) {
    writer.allow(options.lines / static_cast<std::uint64_t>(kills));
    ASSERT_TRUE(wait_until(
        [&] {
          return scene.sql.number(
                     "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                     "AND xact_start IS NOT NULL AND pid <> pg_backend_pid()") > 0;
        },
        kPatience, Deadline(0)))
        << "kill " << kill << '\n'
        << scene.agent.log();
    let_pass(std::chrono::microseconds(random() % 20'000));
    pooler.stop();
    ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_sink_up") == 0; })) << scene.agent.log();
    const HttpAnswer ready = scene.agent.get("/readyz");
    EXPECT_EQ(ready.status, 200) << ready.body;
    pooler.start();
    ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_sink_up") == 1; })) << scene.agent.log();
  }
  writer.allow_all();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

// The pooler stands while PostgreSQL behind it is restarted. It lets queries wait for a server; that we do not wait
// longer than for a statement is ours.
TEST_P(Pgbouncer, WhoseServerRestartsIsWaitedFor) {
  PostgresCluster cluster;
  Pooler pooler(cluster, {"server_login_retry = 1"});
  Scene scene("pooled_restart", cluster, pooler.conninfo("pooled_restart"), [&] {
    auto hasty = environment();
    hasty["RUNTAIL_POSTGRES_STATEMENT_TIMEOUT"] = hasty["RUNTAIL_POSTGRES_CONNECT_TIMEOUT"] = "1s";
    return hasty;
  }());
  const WorkloadOptions options = workload_of(by_scale<std::uint64_t>(9'000, 60'000));
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int restart = 1; restart <= by_scale(2, 10); ++restart) {
    writer.allow(options.lines / 12);
    ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_sink_up") == 1; })) << scene.agent.log();
    cluster.stop(PostgresCluster::Stop::kImmediate);
    writer.allow(options.lines / 100);
    ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_sink_up") == 0; })) << scene.agent.log();
    cluster.start();
  }
  writer.allow_all();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log() << pooler.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

}  // namespace
}  // namespace runtail::test
