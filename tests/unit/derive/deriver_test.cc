#include "derive/deriver.h"

#include <gtest/gtest.h>

#include "parsers/parser.h"
#include "redaction/redactor.h"

namespace runtail {
namespace {

// From the text of a line, by the real parser and redactor.
class DeriverTest : public testing::Test {
 protected:
  DeriverTest() {
    DeriverSettings settings;
    settings.agent_id = "agent";
    settings.environment = "prod";
    deriver_.emplace(settings);
  }
  const Derived& derive(std::string_view members) {
    line_ = R"({"ts":"2026-03-01T00:00:02Z","level":"INFO","msg":"m","job_id":"orders","run_id":"r1",)" +
            std::string(members) + "}";
    deriver_->derive(redactor_.redact(parser_.parse(line_)), {&ids_, 100, "default-job", 3}, derived_);
    return derived_;
  }
  static TimePoint at(const char* text) { return *parse_rfc3339(text); }

  Parser parser_{built_in_dialects()};
  Redactor redactor_ = Redactor::make({}).value();
  std::optional<Deriver> deriver_;
  EventIds ids_{FileIdentity{"agent/etl", {}, 0}};
  std::string line_;
  Derived derived_;
};

TEST_F(DeriverTest, AnyLineThatNamesARunTouchesIt) {
  const Derived& derived = derive(R"("service":"etl")");
  ASSERT_TRUE(derived.run);
  EXPECT_EQ(derived.run->status, RunStatus::kRunning);
  EXPECT_EQ(derived.run->external_run_id, "r1");
  EXPECT_EQ(derived.run->run_id, run_id_of(default_run_namespace(), "prod", "orders", "r1"));
  EXPECT_EQ(derived.run->event_id, ids_.at(100));
  EXPECT_TRUE(derived.has(Table::kLogEvents));
  EXPECT_TRUE(derived.has(Table::kJobRuns));
  EXPECT_FALSE(derived.has(Table::kTaskRuns));
}

TEST_F(DeriverTest, AnApiLineOnlyKnowsOfTheRun) {
  EXPECT_EQ(derive(R"("source":"api")").run->status, RunStatus::kQueued);
}

TEST_F(DeriverTest, AFailedAttemptLeavesTheRunRunningUnlessTheLineSaysItWasTheLast) {
  const RunFact open = *derive(R"("event":"attempt.finished","status":"failed","attempt":1)").run;
  EXPECT_EQ(open.status, RunStatus::kRunning);
  EXPECT_EQ(open.attempt_status, RunStatus::kFailed);
  const RunFact last = *derive(R"("event":"attempt.finished","status":"failed","attempt":2,"max_attempts":2)").run;
  EXPECT_EQ(last.status, RunStatus::kFailed);
  EXPECT_TRUE(last.retries_exhausted);
  EXPECT_EQ(derive(R"("event":"attempt.finished","status":"failed","retries_exhausted":true)").run->status,
            RunStatus::kFailed);
  EXPECT_EQ(derive(R"("event":"attempt.finished","status":"success","attempt":2)").run->status, RunStatus::kSuccess);
}

TEST_F(DeriverTest, AnUnknownStatusWordEndsNothing) {
  const RunFact run = *derive(R"("event":"run.finished","status":"exploded","records_loaded":7,"duration_ms":5)").run;
  EXPECT_EQ(run.status, RunStatus::kRunning) << "as any line that names the run";
  EXPECT_EQ(run.attempt_status, RunStatus::kRunning);
  EXPECT_EQ(run.end_reason, EndReason::kNone);
  EXPECT_FALSE(run.has_error);
  EXPECT_FALSE(run.records_loaded || run.records_loaded_total || run.attempt_loaded_total)
      << "neither an amount nor the total of an end";
  EXPECT_EQ(derive(R"("event":"attempt.finished","status":"exploded")").run->attempt_status, RunStatus::kRunning);
  const RunFact task = *derive(R"("event":"task.finished","task":"t","status":"exploded")").run;
  EXPECT_EQ(task.task_status, RunStatus::kRunning);
  EXPECT_EQ(derive(R"("event":"order_created","status":"success")").run->status, RunStatus::kRunning);
}

TEST_F(DeriverTest, AFinishedLineWithoutAStatusWordEndedWell) {
  EXPECT_EQ(derive(R"("event":"run.finished")").run->status, RunStatus::kSuccess);
  EXPECT_EQ(derive(R"("event":"attempt.finished")").run->attempt_status, RunStatus::kSuccess);
  EXPECT_EQ(derive(R"("event":"task.finished","task":"t")").run->task_status, RunStatus::kSuccess);
}

TEST_F(DeriverTest, AFinishedLineWhoseWordIsNoVerdictEndsNothing) {
  EXPECT_EQ(derive(R"("event":"run.finished","status":"running")").run->status, RunStatus::kRunning);
  EXPECT_EQ(derive(R"("event":"task.finished","task":"t","status":"queued")").run->task_status, RunStatus::kRunning);
  EXPECT_EQ(derive(R"("event":"task.finished","task":"t","status":"retry")").run->task_status, RunStatus::kRunning);
}

TEST_F(DeriverTest, ARunFinishedForRetryIsAFailedAttempt) {
  for (const char* word : {"retry", "up for retry"}) {
    const RunFact run = *derive(R"("event":"run.finished","status":")" + std::string(word) + "\"").run;
    EXPECT_EQ(run.status, RunStatus::kRunning) << word;
    EXPECT_EQ(run.attempt_status, RunStatus::kFailed) << word;
  }
}

TEST_F(DeriverTest, AStatusBesideATaskIsTheTasks) {
  const RunFact failed = *derive(R"("task":"load","status":"failed")").run;
  EXPECT_EQ(failed.task_status, RunStatus::kFailed);
  EXPECT_EQ(failed.status, RunStatus::kRunning);
  const RunFact queued = *derive(R"("task":"load","status":"queued")").run;
  EXPECT_EQ(queued.task_status, RunStatus::kQueued);
  EXPECT_EQ(queued.status, RunStatus::kRunning);
  const RunFact retried = *derive(R"("task":"load","status":"retry")").run;
  EXPECT_EQ(retried.task_status, RunStatus::kRunning);
  EXPECT_EQ(retried.attempt_status, RunStatus::kRunning) << "a task's retry is no attempt of the run";
}

TEST_F(DeriverTest, ATasksExitIsNeitherItsRunsNorItsAttempts) {
  for (const char* line :
       {R"("event":"task.finished","task":"load","status":"failed","exit_code":3)", R"("task":"load","exit_code":3)"}) {
    const RunFact run = *derive(line).run;
    EXPECT_EQ(run.exit_code, std::nullopt) << line;
  }
  const RunFact killed = *derive(R"("event":"task.finished","task":"load","status":"failed","exit_signal":9)").run;
  EXPECT_EQ(killed.exit_signal, std::nullopt);
  EXPECT_EQ(killed.end_reason, EndReason::kSignal) << "of the task";
  EXPECT_EQ(derive(R"("event":"attempt.finished","status":"failed","exit_code":3)").run->exit_code, 3);
  EXPECT_EQ(derive(R"("event":"run.finished","task":"load","status":"failed","exit_code":3)").run->exit_code, 3);
}

TEST_F(DeriverTest, ATaskAttemptIsTheTasksAlone) {
  const RunFact run = *derive(R"("event":"task.started","task":"load","task_attempt":2)").run;
  EXPECT_EQ(run.task_attempt, 2);
  EXPECT_EQ(run.attempt, 1);
  EXPECT_EQ(derive(R"("event":"run.started","task_attempt":2)").run->task_attempt, std::nullopt);
}

TEST_F(DeriverTest, ARunThatFailsInItsLastAttemptHasExhaustedItsRetries) {
  EXPECT_TRUE(
      derive(R"("event":"run.finished","status":"failed","attempt":3,"max_attempts":3)").run->retries_exhausted);
  EXPECT_FALSE(
      derive(R"("event":"run.finished","status":"failed","attempt":2,"max_attempts":3)").run->retries_exhausted);
  EXPECT_FALSE(
      derive(R"("event":"run.finished","status":"success","attempt":3,"max_attempts":3)").run->retries_exhausted);
}

TEST_F(DeriverTest, AFractionOfAMillisecondIsRounded) {
  EXPECT_EQ(derive(R"("event":"run.finished","status":"success","duration_ms":12.7)").run->duration_ms, 13);
  EXPECT_EQ(derive(R"("event":"task.finished","task":"t","duration_ms":0.2)").run->duration_ms, 0);
}

TEST_F(DeriverTest, CostIsKeptInMillionths) {
  EXPECT_EQ(derive(R"("cost_usd":0.0000015)").run->cost_micros, 2);
  EXPECT_EQ(derive(R"("cost_usd":9999.999999)").run->cost_micros, 9'999'999'999);
}

TEST_F(DeriverTest, ADatasetsOutcomeIsItsStatusWordAndNeverTheLevel) {
  const auto success = [this](const std::string& members) {
    const Derived& derived = derive(R"("event":"dataset","dataset":"d","updated_at":"2026-02-28T12:00:00Z")" + members);
    EXPECT_TRUE(derived.dataset);
    return derived.dataset->success_at.has_value();
  };
  EXPECT_TRUE(success(""));
  EXPECT_TRUE(success(R"(,"level":"ERROR","status":"success")"));
  EXPECT_TRUE(success(R"(,"level":"ERROR")"));
  EXPECT_TRUE(success(R"(,"status":"Completed")"));
  for (const char* word : {"failed", "error", "cancelled", "skipped", "running", "timeout", "queued", "purple"}) {
    EXPECT_FALSE(success(R"(,"status":")" + std::string(word) + "\"")) << word;
  }
  EXPECT_EQ(derived_.dataset->status, "") << "an unknown word changes no state";
  success(R"(,"status":"Timed out")");
  EXPECT_EQ(derived_.dataset->status, "failed");
}

TEST_F(DeriverTest, CountsAreAmountsOnTheWayAndTotalsAtTheEnd) {
  const RunFact part = *derive(R"("task":"load","records_loaded":600)").run;
  EXPECT_EQ(part.records_loaded, 600);
  EXPECT_FALSE(part.records_loaded_total);
  const RunFact end =
      *derive(R"("event":"run.finished","status":"success","records_loaded":1500,"duration_ms":358000)").run;
  EXPECT_FALSE(end.records_loaded);
  EXPECT_EQ(end.records_loaded_total, 1500);
  EXPECT_EQ(end.duration_ms, 358000);
  EXPECT_EQ(end.end_reason, EndReason::kCompleted);
}

TEST_F(DeriverTest, ATaskIsKnownByItsIdElseItsName) {
  const RunFact named = *derive(R"("task":"load_orders","phase":"load","event":"task.started")").run;
  EXPECT_TRUE(named.has_task);
  EXPECT_EQ(named.task_run_id, task_run_id_of(named.run_id, "load_orders"));
  EXPECT_EQ(named.task_status, RunStatus::kRunning);
  const RunFact by_id =
      *derive(R"("task_run_id":"0af7651c-1234-4abc-8def-0123456789ab","event":"task.finished","status":"failed")").run;
  EXPECT_EQ(to_string(by_id.task_run_id), "0af7651c-1234-4abc-8def-0123456789ab");
  EXPECT_EQ(by_id.task_status, RunStatus::kFailed);
  EXPECT_EQ(by_id.status, RunStatus::kRunning) << "a failed task does not fail its run";
}

TEST_F(DeriverTest, TheTerminalLinesErrorOutranksAnErrorLine) {
  const RunFact line = *derive(R"("error_category":"db","level":"ERROR")").run;
  EXPECT_EQ(line.error_rank, 1);
  const RunFact end =
      *derive(R"("event":"run.finished","status":"failed","error_code":"E401","error":{"message":"no"})").run;
  EXPECT_EQ(end.error_rank, 2);
  EXPECT_EQ(end.error_category, ErrorCategory::kApi);
  EXPECT_EQ(end.error_message, "no");
  const RunFact guessed = *derive(R"("event":"run.finished","status":"failed")").run;
  EXPECT_EQ(guessed.error_rank, 0);
  EXPECT_EQ(guessed.error_category, ErrorCategory::kSystem);
}

TEST_F(DeriverTest, LevelNeverEndsARun) { EXPECT_EQ(derive(R"("level":"FATAL")").run->status, RunStatus::kRunning); }

TEST_F(DeriverTest, ErrorMessagesAreCutTo2KiBWithoutCuttingAMarker) {
  const std::string text = std::string(2040, 'x') + " mail bob@example.com and more";
  const RunFact fact = *derive(R"("event":"run.finished","status":"failed","error_message":")" + text + "\"").run;
  EXPECT_LE(fact.error_message.size(), 2048u);
  EXPECT_EQ(fact.error_message.find("bob"), std::string_view::npos);
  EXPECT_EQ(fact.error_message.find("[REDACTED"), std::string_view::npos);
}

TEST_F(DeriverTest, AStatedScheduleIsKept) {
  EXPECT_EQ(derive(R"("event":"run.queued","scheduled_at":"2026-02-28T23:30:00Z")").run->scheduled_at,
            at("2026-02-28T23:30:00Z"));
}

TEST_F(DeriverTest, OneDqLineMayCarrySeveralObservations) {
  const Derived& derived = derive(
      R"("event":"dq","table":"stg.orders","row_count":5,"null_rates":{"email":0.12},"columns":[{"name":"id","type":"int"}])");
  ASSERT_EQ(derived.dq.size(), 3u);
  EXPECT_EQ(derived.dq[0].row_count, 5);
  EXPECT_EQ(derived.dq[1].data, R"({"email":0.12})");
  EXPECT_TRUE(derived.has(Table::kDqObservations));
  EXPECT_FALSE(derived.has(Table::kDqCheckResults));
}

TEST_F(DeriverTest, AReportedCheckNeverFailsTheRun) {
  const Derived& derived = derive(R"("event":"dq","table":"t","check":"freshness","status":"error")");
  ASSERT_EQ(derived.dq.size(), 1u);
  EXPECT_EQ(derived.dq[0].kind, DqKind::kReported);
  EXPECT_EQ(derived.dq[0].status, DqStatus::kFail);
  EXPECT_EQ(derived.run->status, RunStatus::kRunning);
}

TEST_F(DeriverTest, AReportedCheckWithoutAKnownStatusIsNoResult) {
  for (const char* members :
       {R"("event":"dq","table":"t","check":"c")", R"("event":"dq","table":"t","check":"c","status":"purple")"}) {
    const Derived& derived = derive(members);
    EXPECT_TRUE(derived.dq.empty()) << members;
    EXPECT_FALSE(derived.has(Table::kDqCheckResults)) << members;
  }
  const std::pair<const char*, DqStatus> words[] = {
      {"PASSED", DqStatus::kPass}, {"ok", DqStatus::kPass}, {"Warning", DqStatus::kWarn}, {"FAILED", DqStatus::kFail}};
  for (const auto& [word, status] : words) {
    const Derived& derived = derive(R"("event":"dq","table":"t","check":"c","status":")" + std::string(word) + "\"");
    ASSERT_EQ(derived.dq.size(), 1u) << word;
    EXPECT_EQ(derived.dq[0].status, status) << word;
  }
}

TEST_F(DeriverTest, SuccessWithADatasetUpdatesIt) {
  EXPECT_TRUE(derive(R"("event":"run.finished","status":"success","dataset":"orders_clean")").dataset);
  EXPECT_FALSE(derive(R"("event":"run.finished","status":"failed","dataset":"orders_clean")").dataset);
}

}  // namespace
}  // namespace runtail
