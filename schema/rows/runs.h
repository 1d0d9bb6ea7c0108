// Runs, attempts, tasks and the history of their states. Which member wins over which: core/run_state.h.
#pragma once

#include "schema/row.h"

namespace runtail {

struct RunIdRow {
  static constexpr std::string_view kTable = "run_ids";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid run_id;
  TimePoint scheduled_at{};
  bool scheduled_stated = false;
  bool operator==(const RunIdRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("run_id", row.run_id);
    visit("scheduled_at", row.scheduled_at);
    visit("scheduled_stated", row.scheduled_stated);
  }
};

struct JobRunRow {
  static constexpr std::string_view kTable = "job_runs";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = false;

  Uuid run_id;
  TimePoint scheduled_at{};
  std::optional<std::string> external_run_id;
  std::optional<Uuid> parent_run_id, retry_of;
  std::optional<std::string> service, environment, org_id, project_id, correlation_id, request_id, trace_id, dataset,
      dialect, job_type;
  std::string job_id;
  std::int16_t job_id_rank = 0;
  std::string status;
  std::optional<std::string> end_reason;
  std::string verdict_source;
  std::optional<TimePoint> finished_at;
  std::optional<std::int64_t> duration_ms;
  std::optional<std::string> agent_id, ts_source, ruleset;
  std::optional<std::int64_t> records_extracted_total, records_loaded_total;
  std::int32_t state_attempt = 0;
  std::int16_t state_rank = 0;
  TimePoint state_at{};
  Uuid state_event;
  std::optional<std::string> error_category, error_code, error_message;
  std::optional<std::int32_t> error_attempt;
  std::optional<std::int16_t> error_rank;
  std::optional<TimePoint> error_at;
  std::optional<Uuid> error_event;
  std::optional<std::int32_t> exit_code, exit_signal;
  std::optional<Json> metrics;
  std::optional<std::int64_t> records_extracted_sum, records_loaded_sum, tokens_in, tokens_out;
  std::optional<UsdMicros> cost_usd;
  std::optional<TimePoint> queued_at, started_at;
  TimePoint first_event_at{}, last_event_at{};
  std::int32_t attempt_count = 0;
  std::optional<std::int32_t> max_attempts;
  bool retries_exhausted = false;
  std::optional<std::int64_t> records_extracted, records_loaded;
  std::optional<std::string> dq_status;
  std::optional<Json> dq_findings;
  bool operator==(const JobRunRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("run_id", row.run_id);
    visit("scheduled_at", row.scheduled_at);
    visit("external_run_id", row.external_run_id);
    visit("parent_run_id", row.parent_run_id);
    visit("retry_of", row.retry_of);
    visit("service", row.service);
    visit("environment", row.environment);
    visit("org_id", row.org_id);
    visit("project_id", row.project_id);
    visit("correlation_id", row.correlation_id);
    visit("request_id", row.request_id);
    visit("trace_id", row.trace_id);
    visit("dataset", row.dataset);
    visit("dialect", row.dialect);
    visit("job_type", row.job_type);
    visit("job_id", row.job_id);
    visit("job_id_rank", row.job_id_rank);
    visit("status", row.status);
    visit("end_reason", row.end_reason);
    visit("verdict_source", row.verdict_source);
    visit("finished_at", row.finished_at);
    visit("duration_ms", row.duration_ms);
    visit("agent_id", row.agent_id);
    visit("ts_source", row.ts_source);
    visit("ruleset", row.ruleset);
    visit("records_extracted_total", row.records_extracted_total);
    visit("records_loaded_total", row.records_loaded_total);
    visit("state_attempt", row.state_attempt);
    visit("state_rank", row.state_rank);
    visit("state_at", row.state_at);
    visit("state_event", row.state_event);
    visit("error_category", row.error_category);
    visit("error_code", row.error_code);
    visit("error_message", row.error_message);
    visit("error_attempt", row.error_attempt);
    visit("error_rank", row.error_rank);
    visit("error_at", row.error_at);
    visit("error_event", row.error_event);
    visit("exit_code", row.exit_code);
    visit("exit_signal", row.exit_signal);
    visit("metrics", row.metrics);
    visit("records_extracted_sum", row.records_extracted_sum);
    visit("records_loaded_sum", row.records_loaded_sum);
    visit("tokens_in", row.tokens_in);
    visit("tokens_out", row.tokens_out);
    visit("cost_usd", row.cost_usd);
    visit("queued_at", row.queued_at);
    visit("started_at", row.started_at);
    visit("first_event_at", row.first_event_at);
    visit("last_event_at", row.last_event_at);
    visit("attempt_count", row.attempt_count);
    visit("max_attempts", row.max_attempts);
    visit("retries_exhausted", row.retries_exhausted);
    visit.computed("records_extracted", row.records_extracted);
    visit.computed("records_loaded", row.records_loaded);
    visit("dq_status", row.dq_status);
    visit("dq_findings", row.dq_findings);
  }
};

struct RunAttemptRow {
  static constexpr std::string_view kTable = "run_attempts";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id, run_id;
  std::int32_t attempt_no = 0;
  std::string status;
  std::optional<std::string> end_reason;
  std::string verdict_source;
  std::optional<TimePoint> finished_at;
  std::optional<std::int64_t> duration_ms;
  std::optional<std::string> ts_source;
  std::optional<std::int64_t> records_extracted_total, records_loaded_total;
  std::int16_t state_rank = 0;
  TimePoint state_at{};
  Uuid state_event;
  std::optional<std::string> error_category, error_code, error_message;
  std::optional<std::int16_t> error_rank;
  std::optional<TimePoint> error_at;
  std::optional<Uuid> error_event;
  std::optional<TimePoint> started_at;
  std::optional<std::int32_t> exit_code, exit_signal;
  std::optional<std::int64_t> records_extracted_sum, records_loaded_sum;
  std::optional<std::string> correlation_id, request_id, agent_id, ruleset;
  bool operator==(const RunAttemptRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("run_id", row.run_id);
    visit("attempt_no", row.attempt_no);
    visit("status", row.status);
    visit("end_reason", row.end_reason);
    visit("verdict_source", row.verdict_source);
    visit("finished_at", row.finished_at);
    visit("duration_ms", row.duration_ms);
    visit("ts_source", row.ts_source);
    visit("records_extracted_total", row.records_extracted_total);
    visit("records_loaded_total", row.records_loaded_total);
    visit("state_rank", row.state_rank);
    visit("state_at", row.state_at);
    visit("state_event", row.state_event);
    visit("error_category", row.error_category);
    visit("error_code", row.error_code);
    visit("error_message", row.error_message);
    visit("error_rank", row.error_rank);
    visit("error_at", row.error_at);
    visit("error_event", row.error_event);
    visit("started_at", row.started_at);
    visit("exit_code", row.exit_code);
    visit("exit_signal", row.exit_signal);
    visit("records_extracted_sum", row.records_extracted_sum);
    visit("records_loaded_sum", row.records_loaded_sum);
    visit("correlation_id", row.correlation_id);
    visit("request_id", row.request_id);
    visit("agent_id", row.agent_id);
    visit("ruleset", row.ruleset);
  }
};

struct TaskRunRow {
  static constexpr std::string_view kTable = "task_runs";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid task_run_id, run_id;
  std::optional<std::string> external_task_id, name, phase, dataset, table_name, correlation_id, request_id, trace_id,
      span_id, ruleset;
  std::int32_t attempt_no = 0;
  std::string status;
  std::optional<std::string> end_reason;
  std::string verdict_source;
  std::optional<TimePoint> finished_at;
  std::optional<std::int64_t> duration_ms;
  std::optional<std::string> agent_id, ts_source;
  std::int32_t state_attempt = 0;
  std::int16_t state_rank = 0;
  TimePoint state_at{};
  Uuid state_event;
  std::optional<std::string> error_category, error_code, error_message;
  std::optional<std::int32_t> error_attempt;
  std::optional<std::int16_t> error_rank;
  std::optional<TimePoint> error_at;
  std::optional<Uuid> error_event;
  std::optional<TimePoint> queued_at, started_at, first_event_at, last_event_at;
  std::optional<std::int64_t> records_extracted, records_loaded;
  bool operator==(const TaskRunRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("task_run_id", row.task_run_id);
    visit("run_id", row.run_id);
    visit("external_task_id", row.external_task_id);
    visit("name", row.name);
    visit("phase", row.phase);
    visit("dataset", row.dataset);
    visit("table_name", row.table_name);
    visit("correlation_id", row.correlation_id);
    visit("request_id", row.request_id);
    visit("trace_id", row.trace_id);
    visit("span_id", row.span_id);
    visit("ruleset", row.ruleset);
    visit("attempt_no", row.attempt_no);
    visit("status", row.status);
    visit("end_reason", row.end_reason);
    visit("verdict_source", row.verdict_source);
    visit("finished_at", row.finished_at);
    visit("duration_ms", row.duration_ms);
    visit("agent_id", row.agent_id);
    visit("ts_source", row.ts_source);
    visit("state_attempt", row.state_attempt);
    visit("state_rank", row.state_rank);
    visit("state_at", row.state_at);
    visit("state_event", row.state_event);
    visit("error_category", row.error_category);
    visit("error_code", row.error_code);
    visit("error_message", row.error_message);
    visit("error_attempt", row.error_attempt);
    visit("error_rank", row.error_rank);
    visit("error_at", row.error_at);
    visit("error_event", row.error_event);
    visit("queued_at", row.queued_at);
    visit("started_at", row.started_at);
    visit("first_event_at", row.first_event_at);
    visit("last_event_at", row.last_event_at);
    visit("records_extracted", row.records_extracted);
    visit("records_loaded", row.records_loaded);
  }
};

struct RunStateChangeRow {
  static constexpr std::string_view kTable = "run_state_changes";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = true;

  Uuid id, run_id;
  std::int32_t attempt_no = 0;
  std::string field;
  std::optional<std::string> old_value, new_value;
  std::string verdict_source;
  Uuid event_id;
  std::string agent_id;
  TimePoint at{};
  std::int64_t stored_in = 0;
  bool operator==(const RunStateChangeRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("run_id", row.run_id);
    visit("attempt_no", row.attempt_no);
    visit("field", row.field);
    visit("old", row.old_value);
    visit("new", row.new_value);
    visit("verdict_source", row.verdict_source);
    visit("event_id", row.event_id);
    visit("agent_id", row.agent_id);
    visit("at", row.at);
    visit("stored_in", row.stored_in);
  }
};

}  // namespace runtail
