#include "agent/pipeline.h"

#include <gtest/gtest.h>

#include "core/event_codec.h"
#include "tests/unit/agent/pipeline_scene.h"

namespace runtail {
namespace {

using PipelineTest = PipelineScene;

TEST_F(PipelineTest, CountsEachVerdictOfARunAndAttemptOnce) {
  feed(
      {line(R"("event":"run.started")"), line(R"("event":"run.finished","status":"failed","error_category":"db")", 5)});
  feed(
      {line(R"("event":"run.finished","status":"failed","error_category":"db")", 5), line(R"("records_loaded":3)", 6)});
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "failed"}}), 1);
  EXPECT_EQ(value("trialsync_job_failures_total", {{"error_category", "DB"}}), 1);
  feed({line(R"("event":"run.started","attempt":2)", 7),
        line(R"("event":"run.finished","attempt":2,"status":"success")", 9)});
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "success"}}), 1);
  EXPECT_EQ(value("trialsync_job_retries_total"), 1);
  EXPECT_EQ(value("trialsync_job_duration_seconds_count"), 2);
}

TEST_F(PipelineTest, BothVerdictsCountEvenWithinOneBlock) {
  feed({line(R"("event":"run.finished","status":"failed")", 5),
        line(R"("event":"run.finished","attempt":2,"status":"success")", 9)});
  EXPECT_EQ(value("trialsync_jobs_total"), 2);
}

TEST_F(PipelineTest, ALaterVerdictOfTheSameAttemptIsACorrection) {
  feed({line(R"("event":"run.finished","status":"failed")", 5),
        line(R"("event":"run.finished","status":"success")", 9)});
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "success"}}), 1);
  EXPECT_EQ(value("runtail_verdict_corrections_total", {{"from", "failed"}, {"to", "success"}}), 1);
}

TEST_F(PipelineTest, RecordsLoadedGrowsByAmountsAndAtTheEndByTheRest) {
  feed({line(R"("records_loaded":600,"table":"t")"),
        line(R"("event":"run.finished","status":"success","records_loaded":1500,"table":"t")", 9)});
  EXPECT_EQ(value("trialsync_records_loaded_total"), 1500);
  EXPECT_EQ(value("runtail_total_disagreements_total"), 0);
}

TEST_F(PipelineTest, ATotalBelowTheSumSubtractsNothingAndIsCounted) {
  feed({line(R"("records_loaded":600)"), line(R"("event":"run.finished","status":"success","records_loaded":100)", 9)});
  EXPECT_EQ(value("trialsync_records_loaded_total"), 600);
  EXPECT_EQ(value("runtail_total_disagreements_total"), 1);
}

TEST_F(PipelineTest, AnUnknownStatusWordIsCountedAndIsNoVerdict) {
  feed({line(R"("event":"run.finished","status":"exploded")", 5), line(R"("status":"purple")", 6),
        line(R"("event":"order_created","status":"success")", 7)});
  EXPECT_EQ(value("trialsync_jobs_total"), 0);
  EXPECT_EQ(value("runtail_unknown_status_total", {{"dialect", "native"}}), 2);
  EXPECT_EQ(value("runtail_contract_violations_total", {{"field", "status"}}), 2);
}

TEST_F(PipelineTest, AmountsOfAJobWithoutARunMoveTheCounter) {
  const auto no_run = [](const std::string& members) {
    return R"({"ts":"2026-03-01T00:00:00Z","level":"INFO","msg":"m","job_id":"orders",)" + members + "}";
  };
  feed({no_run(R"("records_loaded":600,"table":"t")"), no_run(R"("records_loaded":5,"table":"t")")});
  EXPECT_EQ(value("trialsync_records_loaded_total", {{"job_id", "orders"}, {"table", "t"}}), 605);
  feed({no_run(R"("event":"run.finished","status":"success","records_loaded":605)"),
        R"({"level":"INFO","msg":"m","records_loaded":7})"});
  EXPECT_EQ(value("trialsync_records_loaded_total"), 605) << "a total of no run, an amount of no job";
}

TEST_F(PipelineTest, ARunThatEndedBeforeItStartedHasNoDuration) {
  feed({line(R"("event":"run.started")", 9), line(R"("event":"run.finished","status":"success")", 2)});
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "success"}}), 1);
  EXPECT_EQ(value("trialsync_job_duration_seconds_count"), 0);
}

TEST_F(PipelineTest, CountersGoOnWhereTheyWereAfterARestart) {
  feed({line(R"("event":"run.finished","status":"failed")", 5), "plain text", ""});
  open();
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "failed"}}), 1);
  feed({line(R"("event":"run.finished","status":"failed")", 5)});
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "failed"}}), 1);
  EXPECT_EQ(value("runtail_lines_read_total"), 4);
  EXPECT_EQ(value("runtail_lines_total", {{"outcome", "stored"}}), 3);
  EXPECT_EQ(value("runtail_lines_total", {{"outcome", "dropped"}}), 1);
  EXPECT_EQ(value("runtail_lines_dropped_total", {{"rule", "empty"}}), 1);
}

TEST_F(PipelineTest, WhatIsLeftOutStillCountsAndStillTellsOfItsRun) {
  const std::vector<std::string> lines = {
      line(R"("event":"run.started")"), line(R"("task":"load","phase":"load","records_loaded":600)", 1),
      R"({"ts":"2026-03-01T00:00:02Z","level":"WARN","msg":"slow","service":"etl"})",
      R"({"ts":"2026-03-01T00:00:02Z","level":"INFO","msg":"of no run","service":"etl"})",
      line(R"("event":"run.finished","status":"success","records_loaded":1500)", 3)};
  feed(lines);
  const auto everything = [&] {
    return std::vector<double>{value("trialsync_log_events_total", {{"level", "INFO"}}),
                               value("trialsync_records_loaded_total"), value("trialsync_jobs_total"),
                               value("runtail_records_total", {{"table", "job_runs"}}),
                               value("runtail_records_total", {{"table", "task_runs"}})};
  };
  const std::vector<double> unfiltered = everything();
  EXPECT_EQ(unfiltered, (std::vector<double>{4, 1500, 1, 3, 1}));

  std::filesystem::remove_all(config_.directory);
  offset_ = 0;
  open();
  pipeline_->filter_lines(LineFilter({{{"any", "WARN"}}, {{"WARN", "0"}}}, ""));
  feed(lines);
  EXPECT_EQ(everything(), unfiltered);
  EXPECT_EQ(value("runtail_lines_total", {{"outcome", "stored"}}), 2);
  EXPECT_EQ(value("runtail_lines_total", {{"outcome", "level_filtered"}}), 2);
  EXPECT_EQ(value("runtail_lines_total", {{"outcome", "sampled"}}), 1);
  EXPECT_EQ(value("runtail_records_total", {{"table", "log_events"}}), 2);
  EXPECT_EQ(value("runtail_ledger_imbalance"), 0);
  // In the buffer is what has something to deliver.
  int kept = 0;
  for (const SequencedChunk& each : *buffer_->read_after(0, 100)) {
    for (EventReader reader(each.chunk.events); reader.next();) ++kept;
  }
  EXPECT_EQ(kept, 3);
}

TEST_F(PipelineTest, AScrapeShowsOnlyWhatIsCommitted) {
  feed({line(R"("event":"run.started")")});
  LineBlock block;
  block.position.file = {"agent/etl", {1}, 0};
  block.position.source = "etl";
  block.last_ts = &last_ts_;
  const std::string text = line(R"("event":"run.finished","status":"success")", 9);
  block.covers = {offset_, offset_ + text.size() + 1};
  block.lines.push_back({offset_, text.size() + 1, text, false, {}});
  pipeline_->add(block);
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "success"}}), 0);
  EXPECT_EQ(value("runtail_lines_read_total"), 1);
  ASSERT_TRUE(pipeline_->commit());
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "success"}}), 1);
}

TEST_F(PipelineTest, AChangedColumnListIsSchemaDrift) {
  const std::string first = R"("event":"dq","table":"t","columns":[{"name":"id","type":"int"}])";
  feed({line(first), line(first)});
  EXPECT_EQ(value("trialsync_dq_schema_drift_total"), 0);
  open();
  feed({line(R"("event":"dq","table":"t","columns":[{"name":"id","type":"text"}])")});
  EXPECT_EQ(value("trialsync_dq_schema_drift_total", {{"job_id", "orders"}, {"table", "t"}}), 1);
  feed({line(R"("event":"dq","table":"t","null_rates":{"email":0.25,"name":0})")});
  EXPECT_EQ(value("trialsync_dq_null_rate", {{"column", "email"}}), 0.25);
}

TEST_F(PipelineTest, UntimedLinesTakeTheTimeBeforeThemElseTheFirstAfter) {
  feed({"head of file", line(R"("phase":"load")", 7), "  at frame 1"});
  feed({"  at frame 2"});
  const auto chunks = buffer_->read_after(0, 100);
  std::vector<std::string> seen;
  for (const SequencedChunk& each : *chunks) {
    for (EventReader reader(each.chunk.events); reader.next();) {
      seen.push_back(std::string(to_string(reader.event().ts_source)) + " " +
                     to_rfc3339(reader.event().ts).substr(17, 2));
    }
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"next 07", "line 07", "previous 07", "previous 07"}));
}

TEST_F(PipelineTest, ATooLongLineIsSetAsideWithItsLength) {
  LineBlock block;
  block.position.file = {"agent/etl", {1}, 0};
  block.position.source = "etl";
  block.last_ts = &last_ts_;
  block.covers = {0, 64 << 20};
  block.lines.push_back({0, 64 << 20, {}, true, {}});
  pipeline_->add(block);
  ASSERT_TRUE(pipeline_->commit());
  EXPECT_EQ(value("runtail_lines_total", {{"outcome", "dead_lettered"}}), 1);
  EXPECT_EQ(value("runtail_dead_letters_total", {{"reason", "too_long"}}), 1);
  EXPECT_EQ(buffer_->scan("d/").size(), 1u);
}

}  // namespace
}  // namespace runtail
