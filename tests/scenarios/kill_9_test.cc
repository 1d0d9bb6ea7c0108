// The agent is killed with SIGKILL again and again while a worker writes and its log is rotated. Afterwards everything
// is there once: rows, runs, counters.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

TEST(Kill9, AtRandomMomentsLosesNothingAndRepeatsNothing) {
  const int kills = by_scale(50, 200);
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(20'000, 200'000);
  options.event_runs = 0.3;
  options.service_lines = 0.2;
  std::mt19937_64 random(seed());
  const auto below = [&random](std::uint64_t bound) { return random() % bound; };

  Scene scene("kill_9");
  Workload workload(options);
  LogWriter writer(scene.log, workload, {.rotate_every = options.lines / 23, .partial_every = 97});
  const std::uint64_t share = options.lines / static_cast<std::uint64_t>(kills);
  for (int kill = 0; kill < kills; ++kill) {
    writer.allow(below(share));  // found at the start
    scene.agent.start();
    // Either somewhere in the start, or somewhere in the work.
    if (below(3) > 0) {
      const bool up = wait_until([&] { return scene.agent.get("/healthz").status == 200 || !scene.agent.running(); });
      ASSERT_TRUE(up && scene.agent.running()) << "kill " << kill << ", the agent's log:\n" << scene.agent.log();
    }
    for (std::uint64_t burst = below(4); burst > 0; --burst) {
      writer.allow(below(share / 2) + 1);
      let_pass(std::chrono::microseconds(below(40'000)));
    }
    let_pass(std::chrono::microseconds(below(120'000)));
    ASSERT_TRUE(scene.agent.running()) << "kill " << kill << ": it ended by itself:\n" << scene.agent.log();
    scene.agent.kill9();
  }
  writer.allow_all();
  ASSERT_TRUE(wait_until([&] { return writer.done(); }));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

}  // namespace
}  // namespace runtail::test
