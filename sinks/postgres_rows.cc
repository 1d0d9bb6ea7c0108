#include "sinks/postgres_rows.h"

namespace runtail {
namespace {

void put_state(JsonRows& rows, const StateGroup& state) {
  rows.text("status", to_string(state.status));
  rows.text("end_reason", to_string(state.end_reason));
  rows.text("verdict_source", to_string(state.verdict_source));
  rows.time("finished_at", state.finished_at);
  rows.integer("duration_ms", state.duration_ms);
  rows.text("ts_source", to_string(state.ts_source));
  rows.integer("records_extracted_total", state.records_extracted_total);
  rows.integer("records_loaded_total", state.records_loaded_total);
  rows.integer("state_attempt", state.stamp.attempt);
  rows.integer("state_rank", state.stamp.rank);
  rows.time("state_at", state.stamp.at);
  rows.uuid("state_event", state.stamp.event);
}

void put_error(JsonRows& rows, const ErrorGroup& error) {
  if (error.stamp.attempt == 0) return;
  rows.text("error_category", to_string(error.category));
  rows.text("error_code", error.code);
  rows.text("error_message", error.message);
  rows.integer("error_attempt", error.stamp.attempt);
  rows.integer("error_rank", error.stamp.rank);
  rows.time("error_at", error.stamp.at);
  rows.uuid("error_event", error.stamp.event);
}

}  // namespace

std::string job_rows(const PostgresFold& fold, TimePoint now) {
  JsonRows rows;
  for (const std::string& job_id : fold.jobs) {
    rows.begin_row();
    rows.uuid("id", job_uuid_of(job_id));
    rows.text("job_id", job_id);
    rows.time("at", now);
  }
  return rows.take();
}

std::string run_rows(const PostgresFold& fold) {
  JsonRows rows;
  for (const auto& [run_id, entry] : fold.runs) {
    const RunState& run = entry.state;
    rows.begin_row();
    rows.uuid("run_id", run_id);
    rows.time("scheduled_at", run.scheduled_at());
    rows.boolean("scheduled_stated", run.scheduled_stated.has_value());
    for (std::size_t i = 0; i < kRunTextCount; ++i) rows.text(to_string(static_cast<RunText>(i)), run.texts[i]);
    rows.uuid("parent_run_id", run.parent_run_id);
    rows.text("job_id", run.job_id);
    rows.integer("job_id_rank", run.job_id_rank);
    put_state(rows, run.state);
    rows.text("agent_id", run.state.agent_id);
    rows.text("ruleset", run.state.ruleset);
    put_error(rows, run.error);
    rows.integer("records_extracted_sum", run.records_extracted_sum);
    rows.integer("records_loaded_sum", run.records_loaded_sum);
    rows.integer("tokens_in", run.tokens_in);
    rows.integer("tokens_out", run.tokens_out);
    rows.decimal_micros("cost_usd", run.cost_micros);
    rows.time("queued_at", run.queued_at);
    rows.time("started_at", run.started_at);
    rows.time("first_event_at", run.first_event_at);
    rows.time("last_event_at", run.last_event_at);
    rows.integer("attempt_count", run.attempt_count);
    rows.integer("max_attempts", run.max_attempts);
    rows.boolean("retries_exhausted", run.retries_exhausted);
    rows.json("metrics", run.metrics.json());
  }
  return rows.take();
}

std::string attempt_rows(const PostgresFold& fold) {
  JsonRows rows;
  for (const auto& [key, attempt] : fold.attempts) {
    rows.begin_row();
    rows.uuid("id", attempt_id_of(key.first, key.second));
    rows.uuid("run_id", key.first);
    rows.integer("attempt_no", key.second);
    put_state(rows, attempt.state);
    put_error(rows, attempt.error);
    rows.time("started_at", attempt.started_at);
    rows.integer("exit_code", attempt.exit_code);
    rows.integer("exit_signal", attempt.exit_signal);
    rows.integer("records_extracted_sum", attempt.records_extracted_sum);
    rows.integer("records_loaded_sum", attempt.records_loaded_sum);
    rows.text("correlation_id", attempt.correlation_id);
    rows.text("request_id", attempt.request_id);
    rows.text("agent_id", attempt.agent_id);
    rows.text("ruleset", attempt.ruleset);
  }
  return rows.take();
}

std::string task_rows(const PostgresFold& fold) {
  JsonRows rows;
  for (const auto& [task_run_id, task] : fold.tasks) {
    rows.begin_row();
    rows.uuid("task_run_id", task_run_id);
    rows.uuid("run_id", task.run_id);
    rows.text("external_task_id", task.external_task_id);
    rows.text("name", task.name);
    rows.text("phase", task.phase);
    rows.text("dataset", task.dataset);
    rows.text("table_name", task.table);
    rows.text("correlation_id", task.correlation_id);
    rows.text("request_id", task.request_id);
    rows.text("trace_id", task.trace_id);
    rows.text("span_id", task.span_id);
    rows.text("ruleset", task.ruleset);
    rows.text("agent_id", task.state.agent_id);
    rows.integer("attempt_no", task.attempt_no);
    put_state(rows, task.state);
    put_error(rows, task.error);
    rows.time("queued_at", task.queued_at);
    rows.time("started_at", task.started_at);
    rows.time("first_event_at", task.first_event_at);
    rows.time("last_event_at", task.last_event_at);
    rows.integer("records_extracted", task.records_extracted);
    rows.integer("records_loaded", task.records_loaded);
  }
  return rows.take();
}

std::string check_rows(const PostgresFold& fold, TimePoint now) {
  std::map<Uuid, const DqResult*> checks;
  for (const auto& [key, result] : fold.results) checks.emplace(result.check_id, &result);
  JsonRows rows;
  for (const auto& [check_id, check] : checks) {
    rows.begin_row();
    rows.uuid("check_id", check_id);
    rows.text("job_id", check->job_id);
    rows.text("table_name", check->table);
    rows.text("column_name", check->column);
    rows.text("metric", check->metric);
    rows.real("threshold", check->threshold);
    rows.text("severity", check->status == DqStatus::kWarn ? "warn" : "fail");
    rows.time("at", now);
  }
  return rows.take();
}

std::string result_rows(const PostgresFold& fold, std::string_view ruleset) {
  JsonRows rows;
  for (const auto& [key, result] : fold.results) {
    rows.begin_row();
    rows.uuid("id", result.id);
    rows.time("created_at", result.created_at);
    rows.uuid("check_id", result.check_id);
    rows.uuid("run_id", result.run_id);
    rows.text("job_id", result.job_id);
    rows.integer("attempt_no", result.attempt_no);
    rows.text("type", result.type);
    rows.text("status", to_string(result.status));
    rows.text("metric", result.metric);
    rows.real("value", result.value);
    rows.real("threshold", result.threshold);
    rows.text("table_name", result.table);
    rows.text("column_name", result.column);
    rows.text("correlation_id", result.correlation_id);
    rows.text("request_id", result.request_id);
    rows.text("ruleset", ruleset);
  }
  return rows.take();
}

std::string observation_rows(const PostgresFold& fold) {
  JsonRows rows;
  for (const auto& [key, seen] : fold.observations) {
    rows.begin_row();
    rows.uuid("id", seen.id);
    rows.time("observed_at", seen.observed_at);
    rows.uuid("run_id", seen.run_id);
    rows.text("job_id", seen.job_id);
    rows.integer("attempt_no", seen.attempt_no ? std::optional<std::int64_t>(*seen.attempt_no) : std::nullopt);
    rows.text("table_name", seen.table);
    rows.text("kind", to_string(seen.kind));
    rows.integer("row_count", seen.row_count);
    rows.json("data", seen.data);
    rows.uuid("event_id", seen.event_id);
  }
  return rows.take();
}

std::string dataset_rows(const PostgresFold& fold) {
  JsonRows rows;
  for (const auto& [id, row] : fold.datasets) {
    rows.begin_row();
    rows.uuid("id", id);
    rows.text("environment", row.environment);
    rows.text("dataset", row.dataset);
    rows.text("job_id", row.job_id);
    rows.time("last_success_at", row.last_success_at);
    rows.integer("record_count", row.record_count);
    rows.uuid("last_run_id", row.last_run_id);
    rows.text("last_status", row.last_status);
    rows.time("last_status_at", row.last_status_at);
    rows.time("last_event_at", row.last_event_at);
  }
  return rows.take();
}

}  // namespace runtail
