// The run fold: how many facts about one run, attempt or task become one row.
// Every rule is commutative and associative, and all but the sums idempotent: the order of lines does not matter.
// One definition: used by the agent, the local history, and the tests of the SQL upsert.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/run_metrics.h"
#include "core/time.h"
#include "core/uuid.h"
#include "core/words.h"

namespace runtail {

// Order of facts: the greatest wins.
struct Stamp {
  std::int32_t attempt = 0;  // >= 1; 0 only in "no fact yet"
  std::int16_t rank =
      -1;  // state: 0 queued, 1 running or inferred, 2 by exit, 3 by log. error: 0 guessed, 1 line, 2 terminal
  TimePoint at{};
  Uuid event;
  auto operator<=>(const Stamp&) const = default;
};

// Sums of counts and of costs stay at these: the columns hold no more (numeric(10,6)), and two such counts still add up
// within 64 bits. Amounts are never negative, so it is the same whatever the order.
inline constexpr std::int64_t kSumMax = 4'000'000'000'000'000'000;
inline constexpr std::int64_t kCostMicrosMax = 9'999'999'999;

std::int16_t state_rank(RunStatus status, VerdictSource source);

// Rounded; none if there is no end, or it lies before the start.
std::optional<std::int64_t> milliseconds_between(TimePoint start, const std::optional<TimePoint>& end);

// Moves as one: all of the greatest stamp's values, or none.
struct StateGroup {
  Stamp stamp;
  RunStatus status = RunStatus::kRunning;
  EndReason end_reason = EndReason::kNone;
  VerdictSource verdict_source = VerdictSource::kLog;
  TsSource ts_source = TsSource::kLine;
  std::optional<TimePoint> finished_at;
  std::optional<std::int64_t> duration_ms;
  std::optional<std::int64_t> records_extracted_total;
  std::optional<std::int64_t> records_loaded_total;
  std::string agent_id;  // not of an attempt: set-once there
  std::string ruleset;   // of runs only: set-once in attempts and tasks
  bool operator==(const StateGroup&) const = default;
};

// Shown only while the status is failed.
struct ErrorGroup {
  Stamp stamp;
  ErrorCategory category = ErrorCategory::kNone;
  std::string code;
  std::string message;  // <= 2048 bytes, redacted
  bool operator==(const ErrorGroup&) const = default;
};

// What one line says about the run it names. Views are read during apply() only.
struct RunFact {
  Uuid run_id;
  Uuid event_id;
  TimePoint at{};
  std::int32_t attempt = 1;
  bool attempt_stated = false;

  std::optional<RunStatus> status;  // moves the run's state
  std::optional<RunStatus>
      attempt_status;  // moves the attempt's state; equals `status` but for attempt.finished failed
  EndReason end_reason = EndReason::kNone;
  VerdictSource verdict_source = VerdictSource::kLog;
  TsSource ts_source = TsSource::kLine;
  std::optional<TimePoint> scheduled_at;  // as stated
  std::optional<TimePoint> queued_at, started_at, attempt_started_at, finished_at;
  std::optional<std::int64_t> duration_ms;
  // Totals on a terminal line; amounts on any other.
  std::optional<std::int64_t> records_extracted_total, records_loaded_total;
  std::optional<std::int64_t> attempt_extracted_total, attempt_loaded_total;
  std::optional<std::int64_t> records_extracted, records_loaded, tokens_in, tokens_out;
  std::optional<std::int64_t> cost_micros;  // USD * 10^6
  std::optional<std::int64_t> exit_code, exit_signal, max_attempts;
  bool retries_exhausted = false;
  std::string_view metrics;  // JSON object of numbers, or ""

  bool has_error = false;  // the error group below is a fact
  std::int16_t error_rank = 0;
  ErrorCategory error_category = ErrorCategory::kNone;
  std::string_view error_code, error_message;

  std::string_view job_id;       // never empty
  std::int16_t job_id_rank = 4;  // 1 line, 2 dialect, 3 configured for the source, 4 stream
  std::string_view external_run_id, service, environment, org_id, project_id, correlation_id, request_id, trace_id,
      dataset, dialect, job_type, agent_id, ruleset;
  std::optional<Uuid> parent_run_id;

  // The task the line is about, if any.
  bool has_task = false;
  Uuid task_run_id;
  std::string_view external_task_id, task_name, phase, table, span_id;
  std::optional<RunStatus> task_status;
  std::optional<std::int32_t> task_attempt;  // of the task itself; none: that of the run
};

// Set-once texts of a run, in the order of columns.
enum class RunText : std::uint8_t {
  kExternalRunId,
  kService,
  kEnvironment,
  kOrgId,
  kProjectId,
  kCorrelationId,
  kRequestId,
  kTraceId,
  kDataset,
  kDialect,
  kJobType,
};
inline constexpr std::size_t kRunTextCount = 11;
std::string_view to_string(RunText text);  // the column: "external_run_id"

// Names of columns.
using FieldConflicts = std::vector<std::string_view>;

struct RunState {
  Uuid run_id;
  std::string job_id;
  std::int16_t job_id_rank = 99;
  std::array<std::string, kRunTextCount> texts;  // set-once; "" is null
  std::optional<Uuid> parent_run_id;             // set-once
  StateGroup state;                              // stamp.attempt 0: no state fact yet
  ErrorGroup error;
  std::optional<TimePoint> scheduled_stated;               // min of stated ones
  std::optional<TimePoint> queued_at, started_at;          // min
  std::optional<TimePoint> first_event_at, last_event_at;  // min, max; set by the first apply()
  std::int32_t exit_attempt = 0;                           // attempt the exit values are of
  std::optional<std::int64_t> exit_code, exit_signal;      // highest attempt, set-once within
  std::optional<std::int64_t> records_extracted_sum, records_loaded_sum, tokens_in, tokens_out, cost_micros;
  std::int32_t attempt_count = 0;            // max
  std::optional<std::int64_t> max_attempts;  // max
  bool retries_exhausted = false;            // or
  RunMetrics metrics;                        // of the highest attempt

  bool operator==(const RunState&) const = default;

  // Appends the set-once fields that met two values to `conflicts`, if given.
  void apply(const RunFact& fact, FieldConflicts* conflicts = nullptr);

  TimePoint scheduled_at() const { return scheduled_stated ? *scheduled_stated : first_event_at.value_or(TimePoint{}); }
  std::optional<std::int64_t> records_loaded() const {
    return state.records_loaded_total ? state.records_loaded_total : records_loaded_sum;
  }
  std::optional<std::int64_t> records_extracted() const {
    return state.records_extracted_total ? state.records_extracted_total : records_extracted_sum;
  }
  // Stated, else finished - started; none where clocks disagree so much that it ended before it started.
  std::optional<std::int64_t> duration_ms() const;
  std::string_view text(RunText which) const { return texts[static_cast<std::size_t>(which)]; }
};

struct AttemptState {
  Uuid run_id;
  std::int32_t attempt_no = 1;
  StateGroup state;
  ErrorGroup error;
  std::optional<TimePoint> started_at;                 // min
  std::optional<std::int64_t> exit_code, exit_signal;  // set-once
  std::optional<std::int64_t> records_extracted_sum, records_loaded_sum;
  std::string correlation_id, request_id, agent_id, ruleset;  // set-once

  bool operator==(const AttemptState&) const = default;
  void apply(const RunFact& fact);
};

struct TaskState {
  Uuid task_run_id;
  Uuid run_id;
  std::int32_t attempt_no = 1;  // max
  std::string external_task_id, name, phase, dataset, table, correlation_id, request_id, trace_id, span_id,
      ruleset;  // set-once
  StateGroup state;
  ErrorGroup error;
  std::optional<TimePoint> queued_at, started_at, first_event_at, last_event_at;
  std::optional<std::int64_t> records_extracted, records_loaded;  // sums

  bool operator==(const TaskState&) const = default;
  void apply(const RunFact& fact);
};

}  // namespace runtail
