// What the pipeline makes of a wrapped worker whose wrapper is gone.
#include <gtest/gtest.h>

#include "agent/pipeline.h"
#include "core/run_record.h"
#include "sinks/prometheus.h"
#include "tests/support/scrape.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kMidnight = TimePoint(std::chrono::seconds(1'772'323'200));  // 2026-03-01T00:00:00Z

class HeldRunsTest : public testing::Test {
 protected:
  HeldRunsTest() {
    config_.directory = dir_.path() / "buffer";
    wrapper_run_.bytes.fill(9);
    open();
  }
  // As an agent that takes over.
  void open() {
    pipeline_.reset();
    buffer_.reset();
    published_ = std::make_unique<PublishedMetrics>();
    buffer_ = std::move(*DurableBuffer::open(config_));
    pipeline_ = std::make_unique<Pipeline>(*buffer_, Parser(built_in_dialects()), std::move(*Redactor::make({})),
                                           Deriver({}), clock_, *published_, 2000, true);
  }
  LineBlock block_of(const FileIdentity& file, std::uint64_t from, std::uint64_t to) {
    LineBlock block;
    block.position.file = file;
    block.position.source = "exec";
    block.position.emitted = block.position.resume = to;
    block.covers = {from, to};
    block.last_ts = &last_ts_;
    block.default_job_id = "etl";
    block.default_job_rank = 3;
    block.wrapper_run = wrapper_run_;
    block.wrapper_is_task = is_task_;
    block.wrapper_ids = &ids_;
    return block;
  }
  void commit(const LineBlock& block) {
    pipeline_->add(block);
    ASSERT_TRUE(pipeline_->commit());
  }
  void say(const std::string& line) {
    LineBlock block = block_of(kPipe, offset_, offset_ + line.size() + 1);
    block.lines.push_back({.offset = offset_, .length = line.size() + 1, .bytes = line});
    offset_ = block.covers.to;
    commit(block);
  }
  void note(WorkerNote::Kind kind, int second) {
    LineBlock block = block_of(kPipe, offset_, offset_ + 4096);
    WorkerNote& note = block.notes.emplace_back();
    note.kind = kind;
    note.offset = offset_;
    note.at = kMidnight + std::chrono::seconds(second);
    note.started_at = kMidnight;
    note.exit.duration_ms = second * 1000;
    note.exit.cpu_us = 1'500'000;
    note.exit.max_rss_bytes = 4096;
    offset_ = block.covers.to;
    commit(block);
  }
  // `is_known`: the agent has met the wrapper.
  void lose(int second, bool is_known = true) {
    LineBlock block = block_of({"agent/exec/(gone)", {5}, 0}, notes_, notes_ + 4096);
    if (!is_known) {
      block.wrapper_run = {};
      block.wrapper_is_task = false;
      block.wrapper_ids = nullptr;
    }
    block.wrapper_pipe = kPipe;
    WorkerNote& note = block.notes.emplace_back();
    note.kind = WorkerNote::Kind::kGone;
    note.offset = notes_;
    note.started_at = kMidnight;
    note.gone.evidence = "its wrapper is gone";
    note.gone.at = kMidnight + std::chrono::seconds(second);
    notes_ = block.covers.to;
    commit(block);
  }
  static std::string started(const std::string& run) {
    return R"({"ts":"2026-03-01T00:00:01Z","level":"INFO","msg":"m","job_id":"orders","event":"run.started","run_id":")" +
           run + "\"}";
  }
  std::vector<RunState> runs() {
    std::vector<RunState> all;
    for (const StateEntry& entry : buffer_->scan("r/")) all.push_back(decode_run_record(entry.value)->run);
    return all;
  }
  double corrections() { return test::parse_metrics(render(*published_)).sum("runtail_verdict_corrections_total", {}); }

  const FileIdentity kPipe{"agent/exec/etl", {1}, 0};
  test::TempDir dir_;
  BufferConfig config_;
  SystemClock clock_;
  std::unique_ptr<PublishedMetrics> published_;
  std::unique_ptr<DurableBuffer> buffer_;
  std::unique_ptr<Pipeline> pipeline_;
  std::optional<TimePoint> last_ts_;
  Uuid wrapper_run_;
  bool is_task_ = false;
  std::vector<std::pair<Field, std::string>> ids_;
  std::uint64_t offset_ = 0, notes_ = 0;
};

TEST_F(HeldRunsTest, WhatTheWorkerUsedIsOnItsRun) {
  say(started("r1"));
  note(WorkerNote::Kind::kEnded, 5);
  const auto all = runs();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].metrics.json(), R"({"attempt":1,"cpu_seconds":1.5,"max_rss_bytes":4096})");
}

TEST_F(HeldRunsTest, TheWrappersOwnRunIsLost) {
  say("plain");
  note(WorkerNote::Kind::kAlive, 2);
  EXPECT_TRUE(Pipeline::has_open_worker(*buffer_, kPipe));
  lose(30);
  ASSERT_EQ(runs().size(), 1u);
  const RunState run = runs()[0];
  EXPECT_EQ(run.run_id, wrapper_run_);
  EXPECT_EQ(run.state.status, RunStatus::kFailed);
  EXPECT_EQ(run.state.end_reason, EndReason::kLost);
  EXPECT_EQ(run.state.verdict_source, VerdictSource::kInferred);
  EXPECT_EQ(run.state.finished_at, kMidnight + 30s);
  EXPECT_EQ(run.error.category, ErrorCategory::kSystem);
  EXPECT_FALSE(Pipeline::has_open_worker(*buffer_, kPipe)) << "it would be told again by the next agent";
}

TEST_F(HeldRunsTest, AWorkerThatWasGoneBeforeItsFirstNoteHasARunToo) {
  lose(1);
  ASSERT_EQ(runs().size(), 1u);
  EXPECT_EQ(runs()[0].run_id, wrapper_run_);
  EXPECT_EQ(runs()[0].started_at, kMidnight);
  EXPECT_EQ(runs()[0].state.status, RunStatus::kFailed);
}

TEST_F(HeldRunsTest, TheRunsOfTheWorkersOwnNamesAreLostAndNoOtherIsMade) {
  say(started("one"));
  say(started("two"));
  lose(30);
  ASSERT_EQ(runs().size(), 2u);
  for (const RunState& run : runs()) {
    EXPECT_EQ(run.state.status, RunStatus::kFailed);
    EXPECT_EQ(run.job_id, "orders");
  }
}

TEST_F(HeldRunsTest, TheWordOfAWrapperThatComesBackCountsMore) {
  say(started("one"));
  lose(30);
  note(WorkerNote::Kind::kEnded, 40);
  ASSERT_EQ(runs().size(), 1u);
  EXPECT_EQ(runs()[0].state.status, RunStatus::kSuccess);
  EXPECT_EQ(runs()[0].state.verdict_source, VerdictSource::kExit);
  EXPECT_EQ(corrections(), 1);
  EXPECT_FALSE(Pipeline::has_open_worker(*buffer_, kPipe));
}

TEST_F(HeldRunsTest, AnAgentThatNeverMetTheWrapperEndsItsRuns) {
  say(started("one"));
  open();
  EXPECT_TRUE(Pipeline::has_open_worker(*buffer_, kPipe));
  lose(30, false);
  ASSERT_EQ(runs().size(), 1u);
  EXPECT_EQ(runs()[0].state.status, RunStatus::kFailed);
  EXPECT_FALSE(Pipeline::has_open_worker(*buffer_, kPipe));
}

TEST_F(HeldRunsTest, OfATaskTheRunGoesOn) {
  is_task_ = true;
  ids_ = {{Field::kJobId, "orders"}, {Field::kRunId, "manual-1"}, {Field::kTask, "load"}};
  for (const bool is_known : {true, false}) {
    say("plain");
    note(WorkerNote::Kind::kAlive, 2);
    if (!is_known) open();
    EXPECT_TRUE(Pipeline::has_open_worker(*buffer_, kPipe));
    lose(30, is_known);
    ASSERT_EQ(runs().size(), 1u);
    EXPECT_EQ(runs()[0].state.status, RunStatus::kRunning);
    EXPECT_TRUE(buffer_->scan("w/").empty());
    pipeline_.reset();
    open();
  }
}

}  // namespace
}  // namespace runtail
