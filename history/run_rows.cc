#include "history/run_rows.h"

#include <algorithm>
#include <tuple>

#include "core/identity.h"
#include "history/row_text.h"

namespace runtail {
namespace {

// Of a job that says nothing else, as the view `runs` has it; lines say nothing else.
constexpr std::chrono::minutes kStalledAfter{15};

std::optional<std::string> text(const RunState& run, RunText which) { return text_or_null(run.text(which)); }

void put_state(auto& row, const StateGroup& state) {
  row.status = to_string(state.status);
  row.end_reason = text_or_null(to_string(state.end_reason));
  row.verdict_source = to_string(state.verdict_source);
  row.finished_at = state.finished_at;
  row.duration_ms = state.duration_ms;
  row.ts_source = text_or_null(to_string(state.ts_source));
  row.state_rank = state.stamp.rank;
  row.state_at = state.stamp.at;
  row.state_event = state.stamp.event;
}

void put_error(auto& row, const ErrorGroup& error) {
  if (error.stamp.attempt == 0) return;
  row.error_category = text_or_null(to_string(error.category));
  row.error_code = text_or_null(error.code);
  row.error_message = text_or_null(error.message);
  row.error_rank = error.stamp.rank;
  row.error_at = error.stamp.at;
  row.error_event = error.stamp.event;
}

}  // namespace

RunView run_view(const RunState& run, const RunQuality& quality, TimePoint now) {
  RunView row;
  row.run_id = run.run_id;
  row.scheduled_at = run.scheduled_at();
  row.job_id = run.job_id;
  row.external_run_id = text(run, RunText::kExternalRunId);
  row.environment = text(run, RunText::kEnvironment);
  row.service = text(run, RunText::kService);
  row.dataset = text(run, RunText::kDataset);
  row.status = to_string(run.state.status);
  row.end_reason = text_or_null(to_string(run.state.end_reason));
  row.last_event_at = run.last_event_at.value_or(TimePoint{});
  row.first_event_at = run.first_event_at.value_or(TimePoint{});
  row.stalled = !is_terminal(run.state.status) && now - row.last_event_at > kStalledAfter;
  row.start_at = run.started_at;
  row.end_at = run.state.finished_at;
  row.duration_ms = run.duration_ms();
  row.attempt_count = run.attempt_count;
  row.retries_exhausted = run.retries_exhausted;
  if (run.state.status == RunStatus::kFailed && run.error.stamp.attempt != 0) {
    row.error_category = text_or_null(to_string(run.error.category));
    row.error_code = text_or_null(run.error.code);
    row.error_message = text_or_null(run.error.message);
  }
  row.records_extracted = run.records_extracted();
  row.records_loaded = run.records_loaded();
  row.dq_status = quality.status;
  row.correlation_id = text(run, RunText::kCorrelationId);
  row.parent_run_id = run.parent_run_id;
  row.org_id = text(run, RunText::kOrgId);
  row.project_id = text(run, RunText::kProjectId);
  row.request_id = text(run, RunText::kRequestId);
  row.trace_id = text(run, RunText::kTraceId);
  row.job_type = word_or_null(run.text(RunText::kJobType), {"batch", "streaming"});
  row.verdict_source = to_string(run.state.verdict_source);
  row.queued_at = run.queued_at;
  row.exit_code = int32_or_null(run.exit_code);
  row.exit_signal = int32_or_null(run.exit_signal);
  row.max_attempts = int32_or_null(run.max_attempts);
  row.tokens_in = run.tokens_in;
  row.tokens_out = run.tokens_out;
  if (run.cost_micros) row.cost_usd = UsdMicros{*run.cost_micros};
  if (std::string metrics = run.metrics.json(); !metrics.empty()) row.metrics = Json{std::move(metrics)};
  row.dq_findings = quality.findings;
  row.agent_id = text_or_null(run.state.agent_id);
  row.ruleset = text_or_null(run.state.ruleset);
  return row;
}

std::vector<RunAttemptRow> attempt_rows_of(const RunRecord& record) {
  std::vector<RunAttemptRow> rows;
  for (const auto& [number, attempt] : record.attempts) {
    RunAttemptRow& row = rows.emplace_back();
    row.id = attempt_id_of(record.run.run_id, number);
    row.run_id = record.run.run_id;
    row.attempt_no = number;
    put_state(row, attempt.state);
    row.records_extracted_total = attempt.state.records_extracted_total;
    row.records_loaded_total = attempt.state.records_loaded_total;
    put_error(row, attempt.error);
    row.started_at = attempt.started_at;
    row.exit_code = int32_or_null(attempt.exit_code);
    row.exit_signal = int32_or_null(attempt.exit_signal);
    row.records_extracted_sum = attempt.records_extracted_sum;
    row.records_loaded_sum = attempt.records_loaded_sum;
    row.correlation_id = text_or_null(attempt.correlation_id);
    row.request_id = text_or_null(attempt.request_id);
    row.agent_id = text_or_null(attempt.agent_id);
    row.ruleset = text_or_null(attempt.ruleset);
  }
  return rows;
}

std::vector<TaskRunRow> task_rows_of(const RunRecord& record) {
  std::vector<TaskRunRow> rows;
  for (const auto& [id, task] : record.tasks) {
    TaskRunRow& row = rows.emplace_back();
    row.task_run_id = id;
    row.run_id = task.run_id;
    row.external_task_id = text_or_null(task.external_task_id);
    row.name = text_or_null(task.name);
    row.phase = word_or_null(task.phase, {"extract", "transform", "load", "dq"});
    row.dataset = text_or_null(task.dataset);
    row.table_name = text_or_null(task.table);
    row.correlation_id = text_or_null(task.correlation_id);
    row.request_id = text_or_null(task.request_id);
    row.trace_id = text_or_null(task.trace_id);
    row.span_id = text_or_null(task.span_id);
    row.ruleset = text_or_null(task.ruleset);
    row.attempt_no = task.attempt_no;
    put_state(row, task.state);
    row.state_attempt = task.state.stamp.attempt;
    row.agent_id = text_or_null(task.state.agent_id);
    put_error(row, task.error);
    if (task.error.stamp.attempt != 0) row.error_attempt = task.error.stamp.attempt;
    row.queued_at = task.queued_at;
    row.started_at = task.started_at;
    row.first_event_at = task.first_event_at;
    row.last_event_at = task.last_event_at;
    row.records_extracted = task.records_extracted;
    row.records_loaded = task.records_loaded;
  }
  std::sort(rows.begin(), rows.end(), [](const TaskRunRow& a, const TaskRunRow& b) {
    return std::tie(a.first_event_at, a.task_run_id) < std::tie(b.first_event_at, b.task_run_id);
  });
  return rows;
}

}  // namespace runtail
