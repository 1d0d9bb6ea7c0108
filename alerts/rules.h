// What alert rules say of a job, from facts of its history. Pure: no I/O, no clock but `now`, and no memory: the same
// facts give the same answer in whatever order they came. What is told to whom, once, is the state's (alert_state.h).
//
//   JobFailed            fires when the last run that ended failed and no retry is pending; cleared by a success
//   RetryExhausted       fires when that run has no attempt left; cleared by a success
//   ConsecutiveFailures  fires when the last `count` runs that ended all failed; cleared by a success
//   RetrySurge           fires while more than `count` retries began within `window`
//   NoRecentRuns         late_start: no run began within the expected period, or at the time of the schedule, and
//                        `late_by`; cleared by the next start.
//                        long_run: a run is open for longer than `long_run`; cleared by its end
//   DQRowCountDelta, DQNullRateSpike, SchemaDriftDetected   fire while a check's latest result is warn or fail
//
// Runs that were cancelled or skipped say nothing. Runs count in the order in which they ended, so a failure that
// arrives late, and is older than a success, changes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alerts/quality.h"
#include "core/time.h"
#include "core/uuid.h"
#include "core/words.h"

namespace runtail {

enum class RuleKind : std::uint8_t {
  kJobFailed,
  kRetryExhausted,
  kConsecutiveFailures,
  kRetrySurge,
  kNoRecentRuns,
  kDqRowCountDelta,
  kDqNullRateSpike,
  kSchemaDriftDetected,
};
// As alert_rules.kind has them: "JobFailed". No value for kinds that are not of a job.
std::optional<RuleKind> to_rule_kind(std::string_view word);
std::string_view to_string(RuleKind kind);

struct AlertRule {
  Uuid id;
  std::string name;
  RuleKind kind = RuleKind::kJobFailed;
  std::string jobs = "*";  // a job id, in which * stands for any text
  std::string severity = "warning";
  int count = 3;  // failures in a row; retries that are not yet too many
  std::chrono::milliseconds window = std::chrono::minutes(30);
  // How long a failed run that has attempts left is waited for.
  std::chrono::milliseconds retry_grace = std::chrono::minutes(5);
  // When runs are due: a period, or a cron expression (core/cron.h). Neither: the job's own period, else its own
  // schedule.
  std::optional<std::chrono::milliseconds> expected_every;
  std::string schedule;
  // Of a schedule kLateBy where it is zero.
  std::chrono::milliseconds late_by{0};
  std::optional<std::chrono::milliseconds> long_run;
};

// Of schedules: how late a run may begin, and how early it may have begun.
inline constexpr std::chrono::minutes kLateBy{5}, kEarlyBy{1};

bool matches(std::string_view pattern, std::string_view job_id);

struct JudgedRun {
  Uuid id;
  RunStatus status = RunStatus::kRunning;
  std::optional<TimePoint> started_at;
  std::optional<TimePoint> ended_at;  // of one that ended
  int attempt = 1;
  std::optional<int> max_attempts;
  bool retries_exhausted = false;
  std::optional<Uuid> retry_of;
};
// The latest result of a check.
struct ResultFact {
  Uuid check_id, result_id;
  CheckType type = CheckType::kRowCountDelta;
  std::string table;
  DqStatus status = DqStatus::kPass;
  TimePoint at{};
  std::optional<Uuid> run_id;
};
struct JobFacts {
  std::string job_id;
  TimePoint known_since{};  // a job that never ran is late from here
  std::optional<std::chrono::milliseconds> expected_every;
  std::string schedule;            // a cron expression, or words, which say nothing here
  std::vector<JudgedRun> runs;     // at least the last `count` that ended, all that are open, and the last that began
  std::vector<TimePoint> retries;  // when second and later attempts began, within the window at least
  std::vector<ResultFact> results;
};

struct RuleFinding {
  // kUnchanged: the facts neither raise nor clear it, or they cannot be trusted yet.
  enum class State : std::uint8_t { kFiring, kCleared, kUnchanged };
  State state = State::kUnchanged;
  std::string table;                    // DQ and drift
  std::string reason;                   // NoRecentRuns: late_start, long_run
  TimePoint since{};                    // of the fact that fires or clears it
  std::optional<TimePoint> began = {};  // since when it has been so without a break, if that is earlier
  bool goes_on =
      false;  // no event of that time but a state that lasts: a job that does not run is as dead an hour later
  std::optional<Uuid> run_id;
  std::optional<ResultFact> result;
};
struct RuleFindings {
  std::vector<RuleFinding> all;
  // When time alone may change the answer.
  std::optional<TimePoint> look_again;
};

// `read_until`: all that was written before is read; silence after it proves nothing.
RuleFindings judge(const AlertRule& rule, const JobFacts& facts, TimePoint now, TimePoint read_until);

// What makes an alert this one: rule name, job, table, reason, severity. Never a run or a text.
std::string dedupe_key(const AlertRule& rule, std::string_view job_id, const RuleFinding& finding);

}  // namespace runtail
