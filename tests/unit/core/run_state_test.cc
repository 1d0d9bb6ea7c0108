#include "core/run_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/run_record.h"
#include "tests/support/scale.h"

namespace runtail {
namespace {

TimePoint at(int second) { return from_micros(1'772'323'200'000'000 + second * 1'000'000LL); }

Uuid id(int n) {
  Uuid out;
  out.bytes[15] = static_cast<std::uint8_t>(n);
  out.bytes[14] = static_cast<std::uint8_t>(n >> 8);
  return out;
}

RunFact fact(int n, int second, std::optional<RunStatus> status, int attempt = 1) {
  RunFact out;
  out.run_id = id(1);
  out.event_id = id(n);
  out.at = at(second);
  out.attempt = attempt;
  out.status = out.attempt_status = status;
  out.job_id = "orders";
  out.job_id_rank = 1;
  return out;
}

RunState folded(const std::vector<RunFact>& facts) {
  RunState run;
  for (const RunFact& each : facts) run.apply(each);
  return run;
}

TEST(RunState, TerminalWinsWithinAnAttemptWhateverCameLast) {
  const RunState run =
      folded({fact(1, 0, RunStatus::kRunning), fact(2, 5, RunStatus::kFailed), fact(3, 9, RunStatus::kRunning)});
  EXPECT_EQ(run.state.status, RunStatus::kFailed);
  EXPECT_EQ(run.state.finished_at, at(5));
}

TEST(RunState, HigherAttemptWinsOverATerminalLowerOne) {
  const RunState run = folded({fact(1, 9, RunStatus::kFailed, 1), fact(2, 1, RunStatus::kRunning, 2)});
  EXPECT_EQ(run.state.status, RunStatus::kRunning);
  EXPECT_EQ(run.attempt_count, 2);
}

TEST(RunState, LogOutranksExitOutranksInferred) {
  RunFact inferred = fact(1, 30, RunStatus::kFailed), by_exit = fact(2, 20, RunStatus::kFailed),
          by_log = fact(3, 10, RunStatus::kSuccess);
  inferred.verdict_source = VerdictSource::kInferred;
  by_exit.verdict_source = VerdictSource::kExit;
  EXPECT_EQ(folded({inferred, by_exit}).state.verdict_source, VerdictSource::kExit);
  EXPECT_EQ(folded({inferred, by_exit, by_log}).state.status, RunStatus::kSuccess);
}

TEST(RunState, ALaterRealLineUndoesAnInferredVerdict) {
  RunFact inferred = fact(1, 10, RunStatus::kFailed);
  inferred.verdict_source = VerdictSource::kInferred;
  EXPECT_EQ(folded({inferred, fact(2, 11, RunStatus::kRunning)}).state.status, RunStatus::kRunning);
}

TEST(RunState, TotalOfTheTerminalLineWinsOverTheSum) {
  RunFact part = fact(1, 1, RunStatus::kRunning), end = fact(2, 2, RunStatus::kSuccess);
  part.records_loaded = 600;
  end.records_loaded_total = 1500;
  const RunState run = folded({part, part, end});
  EXPECT_EQ(run.records_loaded_sum, 1200);
  EXPECT_EQ(run.records_loaded(), 1500);
}

TEST(RunState, StatedScheduleBeatsTheEarliestEvent) {
  RunFact late = fact(1, 5, RunStatus::kQueued);
  late.scheduled_at = at(-100);
  EXPECT_EQ(folded({fact(2, 0, RunStatus::kRunning)}).scheduled_at(), at(0));
  EXPECT_EQ(folded({fact(2, 0, RunStatus::kRunning), late}).scheduled_at(), at(-100));
}

TEST(RunState, SetOnceKeepsTheSmallerOfTwoAndCountsIt) {
  RunFact one = fact(1, 0, RunStatus::kRunning), other = fact(2, 1, RunStatus::kRunning);
  one.correlation_id = "b";
  other.correlation_id = "a";
  RunState run;
  FieldConflicts conflicts;
  run.apply(one, &conflicts);
  run.apply(other, &conflicts);
  EXPECT_EQ(run.text(RunText::kCorrelationId), "a");
  EXPECT_EQ(conflicts, FieldConflicts{"correlation_id"});
}

TEST(RunState, ARunThatEndedBeforeItStartedHasNoDuration) {
  RunFact start = fact(1, 9, RunStatus::kRunning), end = fact(2, 2, RunStatus::kSuccess);
  start.started_at = start.at;
  EXPECT_EQ(folded({start, end}).duration_ms(), std::nullopt);
  end.at = at(10);
  EXPECT_EQ(folded({start, end}).duration_ms(), 1000);
  end.at = at(10) + std::chrono::microseconds(500);
  EXPECT_EQ(folded({start, end}).duration_ms(), 1001) << "rounded as the database rounds";
}

TEST(RunState, SumsStayAtTheirBound) {
  RunFact part = fact(1, 0, RunStatus::kRunning);
  part.cost_micros = kCostMicrosMax - 1;
  part.records_loaded = kSumMax;
  part.tokens_in = 1;
  RunState run;
  run.apply(part);
  EXPECT_EQ(run.cost_micros, kCostMicrosMax - 1);
  for (int i = 0; i < 3; ++i) run.apply(part);
  EXPECT_EQ(run.cost_micros, kCostMicrosMax);
  EXPECT_EQ(run.records_loaded_sum, kSumMax);
  EXPECT_EQ(run.tokens_in, 4);
}

TEST(RunState, OfTwoAgentsTheRunShowsTheVerdictsAndTheAttemptTheSmaller) {
  RunFact start = fact(1, 0, RunStatus::kRunning), end = fact(2, 5, RunStatus::kSuccess);
  start.has_task = end.has_task = true;
  start.task_status = RunStatus::kRunning;
  end.task_status = RunStatus::kSuccess;
  start.agent_id = "a";
  end.agent_id = "b";
  start.ruleset = "new";
  end.ruleset = "old";
  RunRecord record;
  for (const RunFact& each : {start, end}) record.apply(each);
  EXPECT_EQ(record.run.state.agent_id + record.run.state.ruleset, "bold");
  const AttemptState& attempt = record.attempts.at(1);
  EXPECT_EQ(attempt.agent_id + attempt.ruleset, "anew");
  const TaskState& task = record.tasks.begin()->second;
  EXPECT_EQ(task.state.agent_id + task.ruleset, "bnew");
}

// A scheduler repeats a task, and the run goes on as the attempt it is.
TEST(RunState, ANewTryOfATaskMovesTheTaskAndNotTheRun) {
  RunRecord record;
  const auto of_task = [&](int n, int second, RunStatus status, int task_attempt) {
    RunFact each = fact(n, second, RunStatus::kRunning);
    each.has_task = true;
    each.task_run_id = id(100);
    each.task_status = status;
    each.task_attempt = task_attempt;
    return each;
  };
  record.apply(of_task(1, 0, RunStatus::kRunning, 1));
  record.apply(of_task(2, 1, RunStatus::kFailed, 1));
  const TaskState& task = record.tasks.at(id(100));
  EXPECT_EQ(task.state.status, RunStatus::kFailed);
  record.apply(of_task(3, 2, RunStatus::kRunning, 2));
  EXPECT_EQ(task.state.status, RunStatus::kRunning);
  record.apply(of_task(4, 9, RunStatus::kFailed, 1));  // late
  record.apply(of_task(5, 3, RunStatus::kSuccess, 2));
  EXPECT_EQ(task.state.status, RunStatus::kSuccess);
  EXPECT_EQ(task.attempt_no, 2);
  EXPECT_EQ(record.run.attempt_count, 1);
  EXPECT_EQ(record.attempts.size(), 1u);
  // The run's own line knows of no attempt.
  record.apply(fact(6, 10, RunStatus::kSuccess));
  EXPECT_EQ(record.run.state.status, RunStatus::kSuccess);
}

TEST(RunRecord, ThoseOfEarlierLayoutsAreRead) {
  RunRecord record;
  record.apply(fact(1, 0, RunStatus::kRunning));
  record.loaded_counted = 7;
  std::string bytes = encode_run_record(record);
  // The second knew nothing of queues (three empty texts, a flag, an empty text at the end); its mark was all ones.
  bytes.resize(bytes.size() - 5);
  EXPECT_EQ(decode_run_record(bytes), std::nullopt) << "of neither layout";
  bytes[15] = '\xFF';
  EXPECT_EQ(decode_run_record(bytes), record);
  // The first had no agent and no ruleset in attempts (here the two empty texts before the counts of tasks and of what
  // is counted, and the 7), and no mark before it.
  bytes.erase(bytes.size() - 5, 2);
  EXPECT_EQ(decode_run_record(bytes), std::nullopt) << "of neither layout";
  EXPECT_EQ(decode_run_record(std::string_view(bytes).substr(16)), record);
  bytes[15] = '\x01';
  EXPECT_EQ(decode_run_record(bytes), std::nullopt) << "of a layout to come";
}

TEST(RunState, AnyOrderGivesTheSameRun) {
  const std::uint64_t seed = test::seed();
  std::mt19937_64 random(seed);
  const auto below = [&](int bound) { return static_cast<int>(random() % static_cast<unsigned>(bound)); };
  static const std::string kTexts[] = {"", "a", "b", "c"};
  static const std::string kAgents[] = {"agent-1", "agent-2", ""};
  const int histories = test::by_scale(2'000, 100'000);
  for (int history = 0; history < histories; ++history) {
    std::vector<RunFact> facts;
    for (int n = 0, count = 2 + below(8); n < count; ++n) {
      // Clocks are skewed: a run may end before it starts, and two lines may share an instant.
      RunFact each =
          fact(n, below(4), below(5) ? std::optional(static_cast<RunStatus>(below(6))) : std::nullopt, 1 + below(3));
      if (below(3) == 0) each.attempt_status = static_cast<RunStatus>(below(6));
      each.verdict_source = static_cast<VerdictSource>(below(3));
      each.end_reason = static_cast<EndReason>(below(7));
      each.agent_id = kAgents[below(3)];
      each.ruleset = kTexts[below(4)];
      if (below(2)) each.records_loaded = below(4) ? below(100) : kSumMax - below(3);
      if (below(2)) each.cost_micros = below(4) ? below(100) : kCostMicrosMax - below(3);
      if (below(3) == 0) each.records_loaded_total = below(100);
      if (below(2)) each.duration_ms = below(100);
      if (below(2)) each.scheduled_at = at(below(10));
      if (below(2)) each.queued_at = at(below(10));
      if (below(2)) each.finished_at = at(below(10));
      if (below(2)) each.started_at = each.attempt_started_at = at(below(10));
      if (below(2)) each.exit_code = below(3);
      if (below(3) == 0) each.exit_signal = below(3);
      if (below(3) == 0) each.metrics = below(2) ? R"({"rows":3,"cpu":1.5})" : R"({"rows":4,"wait":-1})";
      if (below(3) == 0) each.max_attempts = 1 + below(3);
      each.retries_exhausted = below(5) == 0;
      each.correlation_id = kTexts[below(4)];
      if (below(3) == 0) each.parent_run_id = id(200 + below(3));
      each.job_id = kTexts[1 + below(3)];
      each.job_id_rank = static_cast<std::int16_t>(1 + below(4));
      each.has_error = below(2);
      each.error_rank = static_cast<std::int16_t>(below(3));
      each.error_message = kTexts[below(4)];
      each.has_task = below(2);
      each.task_run_id = id(100 + below(2));
      each.task_status = static_cast<RunStatus>(below(6));
      if (below(2)) each.task_attempt = 1 + below(3);
      facts.push_back(each);
    }
    RunRecord forward;
    for (const RunFact& each : facts) forward.apply(each);
    std::shuffle(facts.begin(), facts.end(), random);
    RunRecord shuffled;
    for (const RunFact& each : facts) shuffled.apply(each);
    ASSERT_EQ(forward, shuffled) << "history " << history << ", seed " << seed;
    ASSERT_GE(forward.run.duration_ms().value_or(0), 0);
    const auto back = decode_run_record(encode_run_record(forward));
    ASSERT_TRUE(back);
    ASSERT_EQ(*back, forward);
    // Told again, only amounts change.
    for (RunFact& each : facts) {
      each.records_loaded = each.records_extracted = each.tokens_in = each.tokens_out = each.cost_micros = std::nullopt;
      if (below(2)) shuffled.apply(each);
    }
    ASSERT_EQ(forward, shuffled) << "history " << history << ", seed " << seed;
  }
}

}  // namespace
}  // namespace runtail
