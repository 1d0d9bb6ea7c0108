// The entries that the history of an agent without PostgreSQL is read from: made with the lines, moved, made anew, let
// go.
#include "agent/kept_history.h"

#include <gmock/gmock.h>

#include "history/history_retention.h"
#include "history/kept_keys.h"
#include "history/local_store.h"
#include "tests/unit/agent/pipeline_scene.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class KeptHistoryTest : public PipelineScene {
 protected:
  struct At final : Clock {
    TimePoint now() const override { return *parse_rfc3339("2026-03-02T00:00:00Z"); }
  };
  LocalStore store(std::chrono::milliseconds time_limit = std::chrono::seconds(5)) {
    return LocalStore(kept(), DeriverSettings{}, {}, at_, time_limit);
  }
  const KeptState& kept() { return kept_.emplace(*buffer_); }
  std::vector<RunSummary> runs() {
    return store().runs({{at_.now() - std::chrono::days(90), at_.now()}, {}, {}, {}}, {}).value().rows;
  }
  std::vector<std::string> jobs() {
    std::vector<std::string> out;
    const auto listing = store().jobs({}, at_.now(), {}).value();
    for (const JobSummary& job : listing.rows) out.push_back(job.job_id);
    return out;
  }
  std::size_t entries(std::string_view prefix) { return buffer_->scan(prefix).size(); }
  // A run with a line of each kind that leaves an entry.
  void feed_all() {
    feed({line(R"("event":"run.started")"), line(R"("event":"dq","table":"t","check":"c","status":"fail")", 1),
          line(R"("event":"dataset","dataset":"d","status":"success")", 2),
          R"({"ts":"2026-03-01T00:00:03Z","event":"heartbeat","service":"api","instance":"i"})",
          line(R"("event":"run.finished","status":"success")", 4)});
  }

  At at_;
  std::optional<KeptHistory> kept_;
};

TEST_F(KeptHistoryTest, ARunThatMovesInTimeIsListedOnceBeforeAndAfterARestart) {
  feed({line(R"("event":"run.started")", 30)});
  feed({line(R"("msg":"an earlier line")", 10)});
  ASSERT_THAT(runs(), SizeIs(1));
  EXPECT_EQ(to_rfc3339(runs()[0].scheduled_at), "2026-03-01T00:00:10.000000Z");
  open();
  feed({line(R"("scheduled_at":"2026-02-28T00:00:00Z")", 40)});
  ASSERT_THAT(runs(), SizeIs(1));
  EXPECT_EQ(to_rfc3339(runs()[0].scheduled_at), "2026-02-28T00:00:00.000000Z");
  EXPECT_EQ(entries(kRunTimes), 1u);
}

TEST_F(KeptHistoryTest, RunsOfABufferWithoutAnIndexAreListedOnceItIsMade) {
  feed_all();
  std::vector<std::string> keys;
  for (const StateEntry& entry : buffer_->scan("e/")) keys.push_back(entry.key);
  buffer_->forget(keys);
  // Of a time when nobody kept it up.
  ASSERT_TRUE(buffer_->put(timed_key(kRunTimes, {at_.now(), Uuid{}}), "stale"));
  ASSERT_THAT(runs(), IsEmpty());
  ASSERT_TRUE(index_kept_runs(*buffer_));
  ASSERT_THAT(runs(), SizeIs(1));
  EXPECT_EQ(runs()[0].status, "success");
  EXPECT_THAT(jobs(), ElementsAre("orders"));
  EXPECT_EQ(entries(kRunTimes), 1u);
}

TEST_F(KeptHistoryTest, TheIndexIsMadeAnewAfterATimeWithPostgres) {
  ASSERT_TRUE(index_kept_runs(*buffer_));
  feed({line(R"("event":"run.started")", 30)});
  forget_index(*buffer_);
  Commit commit;  // as an agent with PostgreSQL writes it
  auto record = decode_run_record(buffer_->scan("r/").at(0).value);
  record->run.scheduled_stated = *parse_rfc3339("2026-02-01T00:00:00Z");
  commit.state.push_back({run_key(record->run.run_id), encode_run_record(*record)});
  ASSERT_TRUE(buffer_->append(commit));
  ASSERT_TRUE(index_kept_runs(*buffer_));
  ASSERT_THAT(runs(), SizeIs(1));
  EXPECT_EQ(to_rfc3339(runs()[0].scheduled_at), "2026-02-01T00:00:00.000000Z");
}

TEST_F(KeptHistoryTest, WhatNobodySpokeOfForTheRetentionIsForgottenWithAllThatHangsOnIt) {
  feed_all();
  HistoryRetention retention(kept());
  const TimePoint first = *parse_rfc3339("2026-03-01T00:00:00Z"), last = *parse_rfc3339("2026-03-01T00:00:05Z");
  EXPECT_THAT(retention.expired(first + kHistoryKept, 1), IsEmpty());
  // A run scheduled long ago goes on.
  feed({R"({"ts":"2026-03-01T00:00:05Z","job_id":"old","run_id":"r2","event":"run.started",)"
        R"("scheduled_at":"2025-06-01T00:00:00Z"})"});
  EXPECT_THAT(retention.expired(first + kHistoryKept, 1), IsEmpty());
  EXPECT_GT(entries("e/"), 8u);
  buffer_->forget(retention.expired(last + kHistoryKept + std::chrono::days(1), 1));
  for (const StateEntry& entry : buffer_->scan("e/")) ADD_FAILURE() << testing::PrintToString(entry.key);
  EXPECT_EQ(entries("r/"), 2u) << "their records say what is counted: agent/old_runs.h lets them go";
  EXPECT_THAT(jobs(), IsEmpty());
}

TEST_F(KeptHistoryTest, PlacesInChunksThatAreGoneAreForgottenAPartAtATime) {
  for (int i = 0; i < 5; ++i) feed({line(R"("msg":"on")", i)});
  HistoryRetention retention(kept());
  const Sequence oldest = buffer_->appended().sequence;  // all but the last are gone
  EXPECT_THAT(retention.expired(at_.now(), oldest, 3), SizeIs(3));
  buffer_->forget(retention.expired(at_.now(), oldest, 3));
  HistoryRetention anew(kept());
  buffer_->forget(anew.expired(at_.now(), oldest));
  EXPECT_EQ(entries(kLinePlaces), 1u);
}

TEST_F(KeptHistoryTest, LinesOfARunAreThereAsLongAsTheirChunksAre) {
  feed({line(R"("msg":"first")", 1)});
  feed({line(R"("msg":"second")", 2)});
  const Uuid run = runs().at(0).run_id;
  const auto messages = [&] {
    std::vector<std::string> out;
    const auto listing = store().events(run, {}, {}).value();
    for (const LogEventRow& row : listing->rows) out.push_back(row.message.value_or("-"));
    return out;
  };
  EXPECT_THAT(messages(), SizeIs(2));
  // A place that leads nowhere.
  ASSERT_TRUE(buffer_->put(line_place_key(run, 1'000'000), ""));
  EXPECT_THAT(messages(), SizeIs(2));
  const auto late = store(std::chrono::milliseconds(-1)).events(run, {}, {});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(late.error().message, testing::HasSubstr("57014"));
}

}  // namespace
}  // namespace runtail
