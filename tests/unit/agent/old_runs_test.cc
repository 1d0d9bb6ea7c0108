// Which runs the agent lets go of, and when: none that a line may still name, a few at a time.
#include "agent/old_runs.h"

#include <gtest/gtest.h>

#include <set>

#include "core/run_record.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;

struct OldRunsTest : testing::Test {
  Uuid run_of(int number) const {
    Uuid run;
    run.bytes[0] = static_cast<std::uint8_t>(number >> 8);
    run.bytes[1] = static_cast<std::uint8_t>(number);
    return run;
  }
  StateEntry entry(int number, TimePoint last, std::optional<RunStatus> status, const std::string& running) const {
    RunRecord record;
    RunFact fact;
    fact.run_id = run_of(number);
    fact.at = last;
    fact.status = status;
    fact.job_id = "orders";
    record.apply(fact);
    record.running.job_id = running;
    return {run_key(fact.run_id), encode_run_record(record)};
  }
  void put(int number, TimePoint last, std::optional<RunStatus> status, const std::string& running = "") {
    Commit commit;
    commit.state = {entry(number, last, status, running)};
    ASSERT_TRUE(buffer->append(commit, DurableBuffer::Sync::kLater));
  }
  // All that is let go of in looks from now on for so long, as an agent would that has nothing to read.
  std::set<std::string> gone_in(hours time) {
    std::set<std::string> gone;
    for (const TimePoint until = now + time; now < until; now += seconds(30)) {
      const auto keys = runs.look(now);
      largest = std::max(largest, keys.size());
      buffer->forget(keys);
      gone.insert(keys.begin(), keys.end());
    }
    return gone;
  }

  test::TempDir directory;
  const std::unique_ptr<DurableBuffer> buffer = open();
  OldRuns runs{*buffer};
  TimePoint now = TimePoint(days(20'000));
  std::size_t largest = 0;  // at a time

 private:
  std::unique_ptr<DurableBuffer> open() const {
    BufferConfig config;
    config.directory = directory.path() / "buffer";
    return std::move(*DurableBuffer::open(config));
  }
};

TEST_F(OldRunsTest, ThoseThatEndedLongAgoGoAfterAnHourInWhichNothingCame) {
  const TimePoint old = now - OldRuns::kKept - hours(1), young = now - OldRuns::kKept + days(1);
  put(1, old, RunStatus::kSuccess);
  put(2, young, RunStatus::kSuccess);
  put(3, old, RunStatus::kRunning);
  put(4, old, std::nullopt);
  put(5, old, RunStatus::kFailed, "orders");
  EXPECT_TRUE(gone_in(hours(1)).empty());
  // A line came after all: it waits anew.
  put(6, old, RunStatus::kFailed);
  EXPECT_EQ(gone_in(hours(1)), std::set{run_key(run_of(1))});
  put(6, old + hours(1), RunStatus::kFailed);
  EXPECT_TRUE(gone_in(hours(1)).empty());
  EXPECT_EQ(gone_in(hours(2)), std::set{run_key(run_of(6))});
  now += days(2);
  EXPECT_EQ(gone_in(hours(4)), std::set{run_key(run_of(2))});
  EXPECT_EQ(buffer->scan("r/").size(), 3u);
}

TEST_F(OldRunsTest, GoAFewAtATimeHoweverManyThereAre) {
  for (int run = 0; run < 2500; ++run) put(run, now - OldRuns::kKept - days(run % 2), RunStatus::kSuccess);
  for (int run = 2500; run < 3000; ++run) put(run, now, RunStatus::kSuccess);
  EXPECT_EQ(gone_in(hours(4)).size(), 2500u);
  EXPECT_LE(largest, 1000u);
  EXPECT_EQ(buffer->scan("r/").size(), 500u);
}

}  // namespace
}  // namespace runtail
