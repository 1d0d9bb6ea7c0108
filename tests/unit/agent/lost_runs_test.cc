// What the pipeline makes of a worker that is gone.
#include "core/run_record.h"
#include "tests/unit/agent/pipeline_scene.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kMidnight = TimePoint(std::chrono::seconds(1'772'323'200));  // 2026-03-01T00:00:00Z

class LostRunsTest : public PipelineScene {
 protected:
  LostRunsTest() { follow(); }
  void follow() { pipeline_->follow_runs_of("etl"); }
  void restart() {
    open();
    follow();
  }
  LineBlock block_of(const std::string& source, const std::string& stream) {
    LineBlock block;
    block.position.file = {stream, {1}, 0};
    block.position.source = source;
    block.last_ts = &last_ts_;
    block.covers.from = offset_;
    block.default_job_id = "agent/" + source;
    return block;
  }
  void commit(LineBlock& block) {
    block.covers.to = block.position.emitted = block.position.resume = offset_;
    pipeline_->add(block);
    ASSERT_TRUE(pipeline_->commit());
  }
  void feed(const std::vector<std::string>& lines, const std::string& source = "etl") {
    LineBlock block = block_of(source, "agent/" + source);
    for (const std::string& line : lines) {
      block.lines.push_back({.offset = offset_, .length = line.size() + 1, .bytes = line});
      offset_ += line.size() + 1;
    }
    commit(block);
  }
  void tell(const WorkerGone& gone, const std::string& source = "etl") {
    LineBlock block = block_of(source, "agent/" + source + "/worker");
    block.notes.push_back({.kind = WorkerNote::Kind::kGone, .offset = offset_, .gone = gone});
    offset_ += 4096;
    commit(block);
  }
  static WorkerGone at(int second) {
    WorkerGone gone;
    gone.evidence = "its process ended";
    gone.at = kMidnight + std::chrono::seconds(second);
    return gone;
  }
  static std::string line(const std::string& run, int second, const std::string& members) {
    char time[32];
    std::snprintf(time, sizeof time, "2026-03-01T00:%02d:%02dZ", second / 60, second % 60);
    return std::string(R"({"ts":")") + time +
           R"(","level":"INFO","msg":"m","env":"prod","service":"s","job_id":"orders","run_id":")" + run + "\"," +
           members + "}";
  }
  RunState run(const std::string& text) {
    for (const StateEntry& entry : buffer_->scan("r/")) {
      auto record = decode_run_record(entry.value);
      if (record && record->run.text(RunText::kExternalRunId) == text) return record->run;
    }
    return {};
  }
  RunStatus status(const std::string& text) { return run(text).state.status; }
};

TEST_F(LostRunsTest, OpenRunsOfTheSourceFailAsInferred) {
  feed({line("done", 0, R"("event":"run.started")"), line("open", 1, R"("event":"run.started")"),
        line("done", 2, R"("event":"run.finished","status":"success")")});
  feed({line("other", 3, R"("event":"run.started")")}, "api");
  WorkerGone gone = at(9);
  gone.reason = EndReason::kSignal;
  gone.exit_signal = 9;
  tell(gone);
  const RunState open = run("open");
  EXPECT_EQ(open.state.status, RunStatus::kFailed);
  EXPECT_EQ(open.state.verdict_source, VerdictSource::kInferred);
  EXPECT_EQ(open.state.end_reason, EndReason::kSignal);
  EXPECT_EQ(open.state.finished_at, kMidnight + 9s);
  EXPECT_EQ(open.exit_signal, 9);
  EXPECT_EQ(open.error.category, ErrorCategory::kSystem);
  EXPECT_NE(open.error.message.find("its process ended"), std::string::npos);
  EXPECT_EQ(open.job_id, "orders");
  EXPECT_EQ(open.text(RunText::kDialect), "native");
  EXPECT_EQ(status("done"), RunStatus::kSuccess);
  EXPECT_EQ(status("other"), RunStatus::kRunning) << "another source's";
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "failed"}}), 1);
  EXPECT_EQ(value("trialsync_job_failures_total", {{"error_category", "System"}}), 1);
  EXPECT_EQ(value("runtail_field_conflicts_total"), 0);
  EXPECT_EQ(value("runtail_lines_total"), 4) << "a note is no line";
}

TEST_F(LostRunsTest, TwoDeathsEndARunOnce) {
  feed({line("open", 1, R"("event":"run.started")")});
  tell(at(9));
  tell(at(10));
  EXPECT_EQ(run("open").state.finished_at, kMidnight + 9s);
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "failed"}}), 1);
}

TEST_F(LostRunsTest, AnAgentThatCameBackKnowsTheRuns) {
  feed({line("open", 1, R"("event":"run.started")"), line("done", 1, R"("event":"run.started")")});
  feed({line("done", 2, R"("event":"run.finished","status":"success")")});
  restart();
  tell(at(9));
  EXPECT_EQ(status("open"), RunStatus::kFailed);
  EXPECT_EQ(status("done"), RunStatus::kSuccess);
  restart();
  tell(at(20));
  EXPECT_EQ(run("open").state.finished_at, kMidnight + 9s);
}

// Nobody saw the death, or the worker's clock is ahead: the verdict still comes after all that is known.
TEST_F(LostRunsTest, TheVerdictIsLaterThanTheRunsLastLine) {
  feed({line("open", 30, R"("event":"run.started")")});
  WorkerGone gone;
  gone.evidence = "its process is gone";
  tell(gone);
  EXPECT_EQ(status("open"), RunStatus::kFailed);
  EXPECT_EQ(run("open").state.finished_at, kMidnight + 30s + 1us);
  feed({line("ahead", 50, R"("event":"run.started")")});
  tell(at(40));
  EXPECT_EQ(status("ahead"), RunStatus::kFailed);
}

TEST_F(LostRunsTest, RunsOfTheNextWorkerGoOn) {
  feed({line("first", 1, R"("event":"run.started")"), line("next", 12, R"("event":"run.started")")});
  WorkerGone gone = at(9);
  gone.next_at = kMidnight + 11s;
  tell(gone);
  EXPECT_EQ(status("first"), RunStatus::kFailed);
  EXPECT_EQ(status("next"), RunStatus::kRunning);
  tell(at(20));
  EXPECT_EQ(status("next"), RunStatus::kFailed);
}

TEST_F(LostRunsTest, ALaterLineCorrectsIt) {
  feed({line("ok", 1, R"("event":"run.started")"), line("lives", 1, R"("event":"run.started")")});
  tell(at(9));
  feed({line("ok", 5, R"("event":"run.finished","status":"success")")});  // late, and stamped before the verdict
  EXPECT_EQ(status("ok"), RunStatus::kSuccess);
  EXPECT_EQ(run("ok").state.verdict_source, VerdictSource::kLog);
  EXPECT_EQ(value("runtail_verdict_corrections_total", {{"from", "failed"}, {"to", "success"}}), 1);
  feed({line("lives", 15, R"("phase":"load")")});
  EXPECT_EQ(status("lives"), RunStatus::kRunning);
  tell(at(30));
  EXPECT_EQ(run("lives").state.finished_at, kMidnight + 30s);
}

TEST_F(LostRunsTest, ItIsTheOpenAttemptThatFails) {
  feed({line("r", 1, R"("event":"run.started")"), line("r", 2, R"("event":"attempt.finished","status":"failed")"),
        line("r", 3, R"("event":"attempt.started","attempt":2)")});
  tell(at(9));
  EXPECT_EQ(status("r"), RunStatus::kFailed);
  EXPECT_EQ(run("r").state.stamp.attempt, 2);
}

TEST_F(LostRunsTest, ARunThatAnotherSourceSawEndIsLeftAlone) {
  feed({line("r", 1, R"("event":"run.started")")});
  feed({line("r", 5, R"("event":"run.finished","status":"success")")}, "api");
  tell(at(9));
  EXPECT_EQ(status("r"), RunStatus::kSuccess);
  EXPECT_EQ(value("trialsync_jobs_total", {{"status", "failed"}}), 0);
}

TEST(Verdicts, AnInferredOneNeverOverwritesOneByExit) {
  const auto verdict = [](VerdictSource source, RunStatus status, int second) {
    RunFact fact;
    fact.run_id.bytes.fill(1);
    fact.event_id.bytes.fill(static_cast<std::uint8_t>(second));
    fact.at = kMidnight + std::chrono::seconds(second);
    fact.status = fact.attempt_status = status;
    fact.verdict_source = source;
    fact.job_id = "j";
    return fact;
  };
  const RunFact exit = verdict(VerdictSource::kExit, RunStatus::kSuccess, 5);
  const RunFact inferred = verdict(VerdictSource::kInferred, RunStatus::kFailed, 9);
  for (const bool exit_first : {true, false}) {
    RunState run;
    run.apply(exit_first ? exit : inferred);
    run.apply(exit_first ? inferred : exit);
    EXPECT_EQ(run.state.status, RunStatus::kSuccess);
    EXPECT_EQ(run.state.verdict_source, VerdictSource::kExit);
  }
}

TEST(OpenRuns, AreBoundedAndReadBack) {
  OpenRuns open;
  RunFact fact;
  fact.status = RunStatus::kRunning;
  for (std::size_t i = 0; i < OpenRuns::kMax + 10; ++i) {
    fact.run_id.bytes[0] = static_cast<std::uint8_t>(i);
    fact.run_id.bytes[1] = static_cast<std::uint8_t>(i >> 8);
    open.take(fact);
  }
  EXPECT_EQ(open.runs().size(), OpenRuns::kMax);
  const auto bytes = open.take_changed();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(OpenRuns::decode(*bytes).runs(), open.runs());
  EXPECT_EQ(open.take_changed(), std::nullopt);
  fact.run_id = open.runs().begin()->first;
  open.take(fact);
  EXPECT_EQ(open.take_changed(), std::nullopt) << "nothing new";
  fact.status = RunStatus::kSuccess;
  open.take(fact);
  EXPECT_EQ(open.runs().size(), OpenRuns::kMax - 1);
  EXPECT_TRUE(open.take_changed());
}

TEST(OpenRuns, AWorkerThatNamedARunIsKnownToHaveThoughNoneIsOpen) {
  OpenRuns open = OpenRuns::decode(std::nullopt);
  EXPECT_FALSE(open.has_named_any());
  RunFact fact;
  fact.status = RunStatus::kSuccess;  // its first word of it was its end
  open.take(fact);
  EXPECT_TRUE(open.has_named_any());
  const auto bytes = open.take_changed();
  ASSERT_TRUE(bytes);
  EXPECT_TRUE(OpenRuns::decode(*bytes).has_named_any());
}

}  // namespace
}  // namespace runtail
