// The agent speaks of itself: that it lives, and what its metrics were. The real agent, a real PostgreSQL.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

constexpr const char* kOwnBeat =
    "FROM observability.service_heartbeats WHERE service = 'runtail' AND instance = 'test'";

TEST(SelfSource, ItsHeartbeatIsThereSoonAndSaysWhenItStops) {
  Scene scene("self_heartbeat");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.sql.number(std::string("SELECT count(*) ") + kOwnBeat) == 1; }))
      << scene.agent.log();
  EXPECT_EQ(scene.sql.rows(std::string("SELECT status, agent_id, started_at <= last_seen_at, length(config_digest), "
                                       "(details->>'rss_bytes')::bigint > 1000000, buffer_bytes > 0 ") +
                           kOwnBeat),
            std::vector<std::string>{"ok|test|t|32|t|t"});
  EXPECT_EQ(scene.agent.terminate().exit_code, 0);
  EXPECT_EQ(scene.sql.rows(std::string("SELECT status ") + kOwnBeat), std::vector<std::string>{"stopping"});
}

// Snapshots of clean ends, with kills between them: the newest row of each series is the page's value.
TEST(SelfSource, SnapshotsHoldThePageAtACleanEnd) {
  Scene scene("self_snapshots");
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(4'000, 40'000);
  SCOPED_TRACE("seed " + std::to_string(options.seed));
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  const int rounds = by_scale(4, 20);
  for (int round = 0; round < rounds; ++round) {
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    writer.allow(options.lines / static_cast<std::uint64_t>(rounds) / 2);
    let_pass(std::chrono::milliseconds(20));
    if (round % 2 == 0) {
      scene.agent.kill9();
      ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    }
    if (round + 1 == rounds) writer.allow_all();
    EXPECT_EQ(scene.agent.terminate().exit_code, 0) << scene.agent.log();
  }
  ASSERT_TRUE(wait_until([&] { return writer.done(); }));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  const auto page = scene.agent.scrape();
  ASSERT_TRUE(page);
  EXPECT_EQ(page->sum("runtail_ledger_imbalance"), 0);
  EXPECT_EQ(scene.agent.terminate().exit_code, 0);

  const std::string newest =
      "SELECT DISTINCT ON (name, labels) name, labels, value, count FROM observability.metric_snapshots "
      "WHERE value_type <> 'gauge' ORDER BY name, labels, ts DESC";
  for (const std::string family : {"trialsync_jobs_total", "trialsync_log_events_total", "trialsync_job_retries_total",
                                   "trialsync_records_loaded_total"}) {
    EXPECT_EQ(scene.sql.number("SELECT sum(value)::bigint FROM (" + newest + ") s WHERE name = '" + family + "'"),
              static_cast<std::int64_t>(page->sum(family)))
        << family;
  }
  EXPECT_EQ(scene.sql.number("SELECT sum(count)::bigint FROM (" + newest +
                             ") s WHERE name = 'trialsync_job_duration_seconds'"),
            static_cast<std::int64_t>(page->sum("trialsync_job_duration_seconds_count")));
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.metric_snapshots WHERE agent_id <> 'test' OR "
                             "name NOT LIKE 'trialsync\\_%'"),
            0);
}

TEST(SelfSource, WithoutADatabaseItIsPartOfTheLocalHistory) {
  const TempDir directory;
  AgentSetup setup = tailing(directory, "");
  setup.more = "metrics: {snapshots: false}\n";
  AgentProcess agent(setup);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] {
    return agent.metric("runtail_records_total", {{"table", "service_heartbeats"}, {"outcome", "applied"}}) >= 1;
  }));
  EXPECT_GT(agent.metric("trialsync_process_resident_memory_bytes", {{"service", "runtail"}}), 1e6);
  EXPECT_EQ(agent.metric("runtail_ledger_imbalance"), 0);
  EXPECT_EQ(agent.terminate().exit_code, 0);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_EQ(agent.metric("runtail_records_total", {{"table", "metric_snapshots"}}), 0) << "switched off";
}

}  // namespace
}  // namespace runtail::test
