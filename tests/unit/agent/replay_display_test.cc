// How far a replay is, and what its receipt says of it.
#include "agent/replay_display.h"

#include <gtest/gtest.h>

#include "tests/support/agent_process.h"

namespace runtail {
namespace {

TEST(ReplayDisplay, ShowsShareRateAndTimeLeft) {
  ReplayProgress progress;
  progress.bytes_total = 3 << 20;
  progress.bytes = 1 << 20;
  progress.files_total = 4;
  progress.files = 1;
  progress.lines = 5000;
  EXPECT_EQ(progress_line(ReplayDisplay::kBar, progress, 10),
            "[##########--------------------]  33 % of 3.0 MiB, 1 of 4 files, 500 lines/s, 0:20 left");
  EXPECT_EQ(progress_line(ReplayDisplay::kJson, progress, 10),
            R"({"bytes":1048576,"bytes_total":3145728,"files":1,"files_total":4,"lines":5000,"lines_per_second":500,)"
            R"("seconds":10.0,"seconds_left":20})");
}

TEST(ReplayDisplay, OfNothingIsWhole) {
  const ReplayProgress progress;
  EXPECT_EQ(progress_line(ReplayDisplay::kBar, progress, 0),
            "[##############################] 100 % of 0 B, 0 of 0 files, 0 lines/s, 0:00 left");
}

TEST(ReplayReceipt, IsCompleteWhenNothingIsLeftUndone) {
  using State = ReplayFile::State;
  ReplayReceipt receipt;
  receipt.files.resize(1);
  for (const State state : {State::kRead, State::kGrowing, State::kEmpty}) {
    receipt.files[0].state = state;
    EXPECT_TRUE(receipt.is_complete()) << to_string(state);
  }
  for (const State state : {State::kIncomplete, State::kUnreadable, State::kInterrupted, State::kNotBegun}) {
    receipt.files[0].state = state;
    EXPECT_FALSE(receipt.is_complete()) << to_string(state);
  }
  receipt.files[0].state = State::kRead;
  receipt.is_interrupted = true;
  EXPECT_FALSE(receipt.is_complete());
  receipt.is_interrupted = false;
  receipt.fault = "the store is gone";
  EXPECT_FALSE(receipt.is_complete());
}

TEST(ReplayReceipt, IsJsonWhateverAFileIsCalled) {
  ReplayReceipt receipt;
  receipt.store = "postgres";
  receipt.files.resize(2);
  receipt.files[0].path = "a \"quoted\"\nname\xff";
  receipt.files[0].state = ReplayFile::State::kIncomplete;
  receipt.files[0].fault = "it ends";
  receipt.files[0].lines.read = receipt.files[0].lines.stored = 3;
  receipt.files[0].records.applied[Table::kJobRuns] = 2;
  receipt.files[1].lines.read = receipt.files[1].lines.duplicate = 4;
  const auto rows = test::parse_json_rows("[" + to_json(receipt) + "]");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].at("complete"), "false");
  EXPECT_EQ(rows[0].at("lines"),
            R"({"read":7,"stored":3,"level_filtered":0,"sampled":0,"dropped":0,"duplicate":4,"expired":0,)"
            R"("dead_lettered":0,"outside":0})");
  const auto files = test::parse_json_rows(rows[0].at("files"));
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].at("path"), "a \"quoted\"\nname\xEF\xBF\xBD");
  EXPECT_EQ(files[0].at("records"), R"({"job_runs":{"applied":2,"duplicate":0,"expired":0,"dead_lettered":0}})");
  EXPECT_EQ(files[1].at("state"), "not_begun");
}

}  // namespace
}  // namespace runtail
