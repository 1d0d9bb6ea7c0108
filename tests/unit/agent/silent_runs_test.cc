// A job is stalled while one of its runs is open and says nothing.
#include "agent/silent_runs.h"

#include <gtest/gtest.h>

#include "tests/unit/agent/pipeline_scene.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;

class SilentRunsTest : public PipelineScene {
 protected:
  SilentRunsTest() { runs_ = std::make_unique<SilentRuns>(*buffer_, 3); }
  void restart() { runs_ = std::make_unique<SilentRuns>(*buffer_, 3); }
  static Uuid id(int n) {
    Uuid id;
    id.bytes[15] = static_cast<std::uint8_t>(n);
    return id;
  }
  // What is known of run `n` after a line at `minute`.
  void line(int n, const std::string& job, int minute, RunStatus status = RunStatus::kRunning) {
    RunState run;
    run.run_id = id(n);
    run.job_id = job;
    run.state.stamp.attempt = 1;
    run.state.status = status;
    run.last_event_at = kStart + std::chrono::minutes(minute);
    runs_->take(run);
    Commit commit;
    runs_->take_changed(commit);
    ASSERT_TRUE(buffer_->append(commit));
  }
  double stalled(const std::string& job, int minute) {
    runs_->show(kStart + std::chrono::minutes(minute), metrics_);
    return metrics_.value(Metric::kJobStalled, {job});
  }

  static constexpr TimePoint kStart = TimePoint(std::chrono::seconds(1'772'323'200));
  MetricTable metrics_{2000};
  std::unique_ptr<SilentRuns> runs_;
};

TEST_F(SilentRunsTest, AJobIsStalledUntilItsRunSpeaksOrEnds) {
  line(1, "orders", 0);
  line(2, "orders", 10);
  EXPECT_EQ(stalled("orders", 15), 0);
  EXPECT_EQ(stalled("orders", 16), 1);
  line(1, "orders", 16);
  EXPECT_EQ(stalled("orders", 17), 0) << "it speaks";
  EXPECT_EQ(stalled("orders", 26), 1) << "the other one";
  restart();
  line(2, "orders", 27, RunStatus::kFailed);
  EXPECT_EQ(stalled("orders", 28), 0) << "it ended";
  EXPECT_EQ(stalled("orders", 40), 1) << "known after a restart";
  line(1, "renamed", 50);
  EXPECT_EQ(stalled("orders", 70), 0);
  EXPECT_EQ(stalled("renamed", 70), 1);
  line(1, "renamed", 71, RunStatus::kSuccess);
  restart();
  EXPECT_EQ(stalled("renamed", 200), 0) << "an end is remembered, too";
  EXPECT_TRUE(buffer_->scan("o/").empty()) << "and leaves nothing behind";
}

TEST_F(SilentRunsTest, ARunThatEndedWhileNoAgentRanIsNotWaitedFor) {
  line(1, "orders", 0);
  line(2, "rows", 0);
  // As `runtail replay` leaves it.
  RunRecord record;
  record.run.run_id = id(1);
  record.run.state.stamp.attempt = 1;
  record.run.state.status = RunStatus::kSuccess;
  ASSERT_TRUE(buffer_->put(run_key(id(1)), encode_run_record(record)));
  restart();
  EXPECT_EQ(stalled("orders", 60), 0);
  EXPECT_EQ(stalled("rows", 60), 1);
  line(2, "rows", 61);
  EXPECT_EQ(buffer_->scan("o/").size(), 1u) << "forgotten with the next commit";
}

TEST_F(SilentRunsTest, OfTooManyTheLongestSilentIsLetGo) {
  line(1, "a", 0);
  line(2, "b", 1);
  line(3, "c", 2);
  line(1, "a", 5);
  line(4, "d", 6);
  EXPECT_EQ(stalled("b", 60), 0);
  for (const char* job : {"a", "c", "d"}) EXPECT_EQ(stalled(job, 60), 1) << job;
  EXPECT_EQ(buffer_->scan("o/").size(), 3u);
}

}  // namespace
}  // namespace runtail
