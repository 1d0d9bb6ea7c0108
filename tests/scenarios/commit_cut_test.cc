// The line to PostgreSQL is cut just before COMMIT reaches it, or just after it committed and before its answer came
// back: the agent cannot know which, and must neither lose nor repeat. Deliveries are whole, or run facts go ahead of
// log lines on a connection of their own.
#include <gtest/gtest.h>

#include <tuple>

#include "tests/support/commit_proxy.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

enum class Lanes { kTogether, kApart };

class CommitCut : public testing::TestWithParam<std::tuple<CommitProxy::Cut, Lanes>> {
 protected:
  void expect_exactly_once(bool killed_after_each_cut, int cuts);
};

void CommitCut::expect_exactly_once(bool killed_after_each_cut, int cuts) {
  const auto [cut, lanes] = GetParam();
  const bool apart = lanes == Lanes::kApart;
  const std::uint64_t burst = 200;
  WorkloadOptions options;
  options.seed = seed();
  // Which stream a cut meets is chance: where there are two, some more until each was met.
  const int cuts_max = cuts + (apart ? 30 : 0);
  options.lines = static_cast<std::uint64_t>(cuts_max) * burst;
  options.event_runs = 0.3;
  PostgresCluster& cluster = PostgresCluster::shared();
  const TempDir directory;
  const std::string name = std::string("commit_cut_") + (cut == CommitProxy::Cut::kBeforeServer ? "before" : "after") +
                           (apart ? "_apart" : "") + (killed_after_each_cut ? "_killed" : "");
  CommitProxy proxy(directory / "p", cluster.socket_directory() / ".s.PGSQL.5432");
  // More than a batch waits all the time: then facts go ahead.
  Scene scene(name, cluster, "host=" + (directory / "p").string() + " user=runtail dbname=" + name,
              {{"RUNTAIL_POSTGRES_BATCH_ROWS_MAX", apart ? "20" : "50000"}});
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const auto met_all = [&] { return !apart || (proxy.cuts_of_facts() > 0 && proxy.cuts_of_lines() > 0); };
  for (int number = 1; number <= cuts || (number <= cuts_max && !met_all()); ++number) {
    proxy.cut_next(cut);
    writer.allow(burst);
    ASSERT_TRUE(wait_until([&] { return proxy.cuts() == number; }, kPatience, Deadline(1))) << "cut " << number << '\n'
                                                                                            << scene.agent.log();
    // Another one at once would meet the same delivery, which is tried less and less often.
    const int commits = proxy.commits();
    if (killed_after_each_cut) {
      scene.agent.kill9();
      ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    }
    ASSERT_TRUE(wait_until([&] { return proxy.commits() > commits; }, kPatience, Deadline(1)))
        << "after cut " << number << '\n'
        << scene.agent.log();
  }
  writer.allow_all();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  std::printf("%d cuts: %d of run facts alone, %d of log lines alone\n", proxy.cuts(), proxy.cuts_of_facts(),
              proxy.cuts_of_lines());
  if (apart) {
    EXPECT_GT(proxy.cuts_of_facts(), 0);
    EXPECT_GT(proxy.cuts_of_lines(), 0);
  }
  expect_delivered(scene.sql, scene.agent, workload.expected());
  // What turned out to have happened was written by us, not by another.
  EXPECT_EQ(scene.agent.metric("runtail_records_total", {{"outcome", "duplicate"}}), 0);
}

TEST_P(CommitCut, LosesNothingAndRepeatsNothing) { expect_exactly_once(false, by_scale(8, 1000)); }

TEST_P(CommitCut, AndTheAgentKilledBeforeItTriesAgain) { expect_exactly_once(true, by_scale(4, 100)); }

INSTANTIATE_TEST_SUITE_P(BothSides, CommitCut,
                         testing::Combine(testing::Values(CommitProxy::Cut::kBeforeServer,
                                                          CommitProxy::Cut::kAfterServer),
                                          testing::Values(Lanes::kTogether, Lanes::kApart)),
                         [](const auto& given) {
                           return std::string(std::get<0>(given.param) == CommitProxy::Cut::kBeforeServer
                                                  ? "BeforeTheServerSawIt"
                                                  : "AfterItCommitted") +
                                  (std::get<1>(given.param) == Lanes::kApart ? "FactsAhead" : "");
                         });

}  // namespace
}  // namespace runtail::test
