// The line to PostgreSQL is cut just before COMMIT reaches it, or just after it committed and before its answer came
// back: the agent cannot know which, and must neither lose nor repeat.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/commit_proxy.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

class CommitCut : public testing::TestWithParam<CommitProxy::Cut> {
 protected:
  void expect_exactly_once(bool killed_after_each_cut, int cuts);
};

void CommitCut::expect_exactly_once(bool killed_after_each_cut, int cuts) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = static_cast<std::uint64_t>(cuts) * 500;
  options.event_runs = 0.3;
  PostgresCluster& cluster = PostgresCluster::shared();
  const TempDir directory;
  const std::string name = std::string("commit_cut_") +
                           (GetParam() == CommitProxy::Cut::kBeforeServer ? "before" : "after") +
                           (killed_after_each_cut ? "_killed" : "");
  CommitProxy proxy(directory / "p", cluster.socket_directory() / ".s.PGSQL.5432");
  Scene scene(name, cluster, "host=" + (directory / "p").string() + " user=runtail dbname=" + name);
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int cut = 1; cut <= cuts; ++cut) {
    proxy.cut_next(GetParam());
    writer.allow(500);
    ASSERT_TRUE(wait_until([&] { return proxy.cuts() == cut; })) << "cut " << cut << '\n' << scene.agent.log();
    if (killed_after_each_cut) {
      scene.agent.kill9();
      ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    }
  }
  writer.allow_all();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

TEST_P(CommitCut, LosesNothingAndRepeatsNothing) { expect_exactly_once(false, by_scale(5, 30)); }

TEST_P(CommitCut, AndTheAgentKilledBeforeItTriesAgain) { expect_exactly_once(true, by_scale(4, 20)); }

INSTANTIATE_TEST_SUITE_P(BothSides, CommitCut,
                         testing::Values(CommitProxy::Cut::kBeforeServer, CommitProxy::Cut::kAfterServer),
                         [](const auto& cut) {
                           return cut.param == CommitProxy::Cut::kBeforeServer ? "BeforeTheServerSawIt"
                                                                               : "AfterItCommitted";
                         });

}  // namespace
}  // namespace runtail::test
