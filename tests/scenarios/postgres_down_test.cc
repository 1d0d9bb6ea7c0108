// PostgreSQL stops under load and comes back: nothing lost, nothing twice, and the agent's memory stays where it was.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

constexpr std::uint64_t kRssMaxKib = 96 * 1024;

class PostgresDown : public testing::TestWithParam<PostgresCluster::Stop> {};

TEST_P(PostgresDown, UnderLoadDelaysLinesButLosesNoneAndRepeatsNone) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(60'000, 1'200'000);
  options.event_runs = 0.3;
  PostgresCluster cluster;
  Scene scene("postgres_down", cluster);
  Workload workload(options);
  LogWriter writer(scene.log, workload, {.rotate_every = options.lines / 5});
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  writer.allow(options.lines / 6);
  ASSERT_TRUE(wait_until([&] { return scene.sql.log_events() > 0; })) << scene.agent.log();

  cluster.stop(GetParam());
  const auto stopped = std::chrono::steady_clock::now();
  const auto outage = by_scale(std::chrono::seconds(2), std::chrono::seconds(60));
  std::uint64_t rss = 0;
  const std::uint64_t burst = options.lines / 120;
  // Lines keep coming all the while, evenly.
  ASSERT_TRUE(wait_until(
      [&] {
        const auto share = (std::chrono::steady_clock::now() - stopped) * 1.0 / outage;
        const auto due = static_cast<std::uint64_t>(static_cast<double>(options.lines) * (1.0 / 6 + share / 2));
        if (writer.written() + burst < due) writer.allow(burst);
        rss = std::max(rss, scene.agent.rss_kib());
        return share >= 1;
      },
      outage * 2));
  EXPECT_EQ(scene.agent.get("/readyz").status, 200) << "the database's outage is no fault of the agent's";
  // What came in meanwhile is read and durable here.
  EXPECT_TRUE(wait_until([&] { return scene.agent.lines_read() >= static_cast<double>(writer.written()); }))
      << scene.agent.log();
  cluster.start();
  writer.allow_all();

  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait_until(
      [&] {
        rss = std::max(rss, scene.agent.rss_kib());
        return scene.sql.log_events() >= static_cast<std::int64_t>(options.lines);
      },
      Deadline(by_scale(60'000, 300'000)), Deadline(50)))
      << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines));
  std::printf("caught up in %.1f s; highest RSS %.1f MiB\n",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
              static_cast<double>(rss) / 1024);
  EXPECT_LE(rss, kRssMaxKib);
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

INSTANTIATE_TEST_SUITE_P(Stopped, PostgresDown,
                         testing::Values(PostgresCluster::Stop::kFast, PostgresCluster::Stop::kImmediate),
                         [](const auto& how) {
                           return how.param == PostgresCluster::Stop::kFast ? "Fast" : "LikeACrash";
                         });

// It is there from the start, but not yet.
TEST(PostgresDown, AtTheAgentsStartIsWaitedForWithLinesKeptMeanwhile) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 3000;
  PostgresCluster cluster;
  Scene scene("postgres_late", cluster);
  cluster.stop();
  Workload workload(options);
  write_all(scene.log, workload);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  cluster.start();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

}  // namespace
}  // namespace runtail::test
