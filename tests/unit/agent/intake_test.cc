// What counts as progress: that lines are read, not that the agent lives.
#include "agent/intake.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "agent/old_runs.h"
#include "agent/self_source.h"
#include "core/run_record.h"
#include "tests/support/wait_until.h"
#include "tests/unit/agent/pipeline_scene.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;

struct TurnedClock final : Clock {
  std::atomic<std::int64_t> micros{1'772'323'200'000'000};
  TimePoint now() const override { return from_micros(micros); }
};

// One line, once it is asked for.
struct OneLine final : Source {
  std::optional<LineBlock> read(TimePoint) override {
    if (!wanted.exchange(false)) return std::nullopt;
    LineBlock block;
    block.position.file = {"agent/etl", {1}, 0};
    block.position.source = "etl";
    block.last_ts = &last_ts;
    block.lines.push_back({0, 3, "one"});
    block.covers.to = block.position.emitted = block.position.resume = 4;
    block.default_job_id = "agent/etl";
    return block;
  }
  SourceStatus status() const override { return {"etl", 0, {}, 0, {}}; }
  std::atomic<bool> wanted{false};
  std::optional<TimePoint> last_ts;
};

TEST_F(PipelineScene, OfTheIntakeItsOwnHeartbeatIsNoProgress) {
  TurnedClock clock;
  const TimePoint start = clock.now();
  auto line = std::make_unique<OneLine>();
  OneLine& asked = *line;
  std::vector<std::unique_ptr<Source>> sources;
  sources.push_back(std::move(line));
  sources.push_back(std::make_unique<SelfSource>(SelfSettings{"agent", "", "", true, start}, std::vector<Position>(),
                                                 std::nullopt, [] { return AgentCondition(); }));
  Config config;
  config.buffer = config_;
  Intake intake(
      config, std::move(sources), *buffer_, *pipeline_, clock, *published_, [] {}, [] { return Sequence(0); });
  clock.micros += 100'000'000;
  std::jthread thread([&intake](std::stop_token stop) { EXPECT_TRUE(intake.run(stop)); });
  ASSERT_TRUE(test::wait_until([this] { return buffer_->appended().sequence == 1; }));
  EXPECT_EQ(intake.progress_at(), start) << "it only lives";
  asked.wanted = true;
  ASSERT_TRUE(test::wait_until([this] { return buffer_->appended().sequence == 2; }));
  EXPECT_TRUE(test::wait_until([&] { return intake.progress_at() == start + 100s; }));
  thread.request_stop();
  thread.join();
  EXPECT_EQ(buffer_->appended().sequence, 3u) << "and says that it ends";
  for (const SourceStatus& status : intake.status()) EXPECT_EQ(status.name, "etl") << "itself is not shown";
}

// A run that ended long ago goes once nothing is left to read; what counters hold stays.
TEST_F(PipelineScene, OfTheIntakeRunsThatEndedLongAgoAreLetGo) {
  TurnedClock clock;
  RunRecord record;
  RunFact fact;
  fact.run_id.bytes[0] = 7;
  fact.status = RunStatus::kSuccess;
  fact.job_id = "orders";
  for (const std::chrono::days age : {OldRuns::kKept + std::chrono::days(1), std::chrono::days(1)}) {
    fact.at = clock.now() - age;
    record = {};
    record.apply(fact);
    ASSERT_TRUE(buffer_->put(run_key(fact.run_id), encode_run_record(record)));
    ++fact.run_id.bytes[0];
  }
  Config config;
  config.buffer = config_;
  Intake intake(
      config, {}, *buffer_, *pipeline_, clock, *published_, [] {}, [] { return Sequence(0); });
  std::jthread thread([&intake](std::stop_token stop) { EXPECT_TRUE(intake.run(stop)); });
  ASSERT_TRUE(test::wait_until([&] {
    clock.micros += 600'000'000;
    return buffer_->scan("r/").size() == 1;
  }));
  Uuid kept;
  kept.bytes[0] = 8;
  EXPECT_TRUE(buffer_->get(run_key(kept)));
}

}  // namespace
}  // namespace runtail
