#include "derive/deriver.h"

#include <cmath>

#include "core/truncate.h"
#include "derive/own_record.h"
#include "derive/sample.h"

namespace runtail {
namespace {

bool is_run_end(EventKind kind) { return kind == EventKind::kRunFinished || kind == EventKind::kAttemptFinished; }

bool is_task_kind(EventKind kind) { return kind == EventKind::kTaskStarted || kind == EventKind::kTaskFinished; }

// Of a line that brings a verdict: success if it states no status, and none (it runs on) if its word is no verdict.
RunStatus verdict_of(const RedactedEvent& event) {
  if (!event.status) return RunStatus::kSuccess;
  return is_terminal(*event.status) ? *event.status : RunStatus::kRunning;
}

// What the line's kind and status word say about run, attempt and task.
void read_statuses(const RedactedEvent& event, RunFact& fact) {
  const FieldSet& fields = event.fields;
  switch (event.kind) {
    case EventKind::kRunQueued:
      fact.status = fact.attempt_status = RunStatus::kQueued;
      break;
    case EventKind::kRunStarted:
    case EventKind::kAttemptStarted:
      fact.status = fact.attempt_status = RunStatus::kRunning;
      break;
    case EventKind::kRunFinished:
      fact.status = fact.attempt_status = verdict_of(event);
      break;
    case EventKind::kAttemptFinished:
      fact.attempt_status = event.attempt_failed ? RunStatus::kFailed : verdict_of(event);
      fact.status = fact.attempt_status;
      break;
    default:
      // Any line that names a run shows that it runs (an API's line only that it is known).
      fact.status = fact.attempt_status =
          fields.text(Field::kSource) == "api" ? RunStatus::kQueued : RunStatus::kRunning;
      break;
  }
  if (is_run_end(event.kind) && fact.attempt_status == RunStatus::kFailed) {
    // A failed attempt leaves the run running, unless the line itself says there will be no other. Never a looked-up
    // value: the result must not depend on the order of lines.
    const auto max_attempts = fields.integer(Field::kMaxAttempts);
    if (max_attempts && *max_attempts <= fact.attempt) fact.retries_exhausted = true;
    if (event.kind == EventKind::kAttemptFinished && !fact.retries_exhausted) fact.status = RunStatus::kRunning;
  }
  if (event.kind == EventKind::kTaskFinished) {
    fact.task_status = verdict_of(event);
  } else if (fact.has_task || event.kind == EventKind::kTaskStarted) {
    const bool waits = event.kind == EventKind::kPlain && event.status == RunStatus::kQueued;
    fact.task_status = waits ? RunStatus::kQueued : RunStatus::kRunning;
  }
}

EndReason end_reason_of(const RedactedEvent& event, RunStatus status) {
  if (const auto stated = parse_end_reason(event.fields.text(Field::kEndReason))) return *stated;
  if (event.fields.integer(Field::kExitSignal).value_or(0) > 0) return EndReason::kSignal;
  if (event.fields.integer(Field::kExitCode).value_or(0) != 0) return EndReason::kExitCode;
  return status == RunStatus::kSuccess ? EndReason::kCompleted : EndReason::kNone;
}

void read_error(const RedactedEvent& event, RunFact& fact) {
  const FieldSet& fields = event.fields;
  const bool run_failed = fact.status == RunStatus::kFailed && is_run_end(event.kind);
  const bool stated = fields.has(Field::kErrorCategory) || fields.has(Field::kErrorCode) ||
                      fields.has(Field::kErrorMessage) || fields.has(Field::kErrorType);
  const bool attempt_failed = fact.attempt_status == RunStatus::kFailed;
  const bool task_failed = fact.task_status == RunStatus::kFailed;
  if (!run_failed && !attempt_failed && !task_failed && event.level < Level::kError) return;
  fact.has_error = true;
  const bool says_something = stated || event.level >= Level::kError;
  // What the worker itself said outranks what its exit lets us guess.
  fact.error_rank = event.verdict_source != VerdictSource::kLog || !says_something ? 0
                    : run_failed && event.kind == EventKind::kRunFinished          ? 2
                                                                                   : 1;
  fact.error_category = says_something ? categorise_error(fields) : ErrorCategory::kSystem;
  fact.error_code = fields.text(Field::kErrorCode);
  fact.error_message = fields.text(Field::kErrorMessage);
  if (fact.error_message.empty() && event.level >= Level::kError) fact.error_message = fields.text(Field::kMsg);
  fact.error_message = truncate_redacted(fact.error_message, kErrorMessageBytesMax);
}

void read_counts(const RedactedEvent& event, RunFact& fact) {
  const FieldSet& fields = event.fields;
  const auto extracted = fields.integer(Field::kRecordsExtracted);
  const auto loaded = fields.integer(Field::kRecordsLoaded);
  const auto duration = fields.real(Field::kDurationMs);
  const auto duration_ms = duration ? std::optional<std::int64_t>(std::llround(*duration)) : std::nullopt;
  if (is_run_end(event.kind)) {
    // Of an end whose word is no verdict the total is neither a total nor an amount.
    if (is_terminal(*fact.attempt_status)) {
      fact.attempt_extracted_total = extracted;
      fact.attempt_loaded_total = loaded;
    }
    if (is_terminal(*fact.status)) {
      fact.records_extracted_total = extracted;
      fact.records_loaded_total = loaded;
    }
    fact.duration_ms = duration_ms;
  } else {
    fact.records_extracted = extracted;
    fact.records_loaded = loaded;
    if (event.kind == EventKind::kTaskFinished) fact.duration_ms = duration_ms;
  }
  fact.tokens_in = fields.integer(Field::kTokensIn);
  fact.tokens_out = fields.integer(Field::kTokensOut);
  if (const auto cost = fields.real(Field::kCostUsd)) {
    fact.cost_micros = static_cast<std::int64_t>(std::llround(*cost * 1e6));
  }
}

void read_times(const RedactedEvent& event, RunFact& fact) {
  const FieldSet& fields = event.fields;
  fact.scheduled_at = fields.time(Field::kScheduledAt);
  fact.queued_at = fields.time(Field::kQueuedAt);
  fact.finished_at = fields.time(Field::kFinishedAt);
  const auto started = fields.time(Field::kStartedAt);
  switch (event.kind) {
    case EventKind::kRunQueued:
      if (!fact.queued_at) fact.queued_at = event.ts;
      break;
    case EventKind::kRunStarted:
    case EventKind::kAttemptStarted:
      fact.started_at = fact.attempt_started_at = started.value_or(event.ts);
      break;
    case EventKind::kTaskStarted:
      break;
    default:
      // Of the other kinds it is the start of what they report.
      if (started && event.kind < EventKind::kHeartbeat) fact.started_at = started;
      break;
  }
}

}  // namespace

std::string_view to_string(DqKind kind) {
  static constexpr std::string_view kNames[] = {"row_count", "null_rates", "columns", "reported"};
  return kNames[static_cast<std::size_t>(kind)];
}

void Deriver::derive(const RedactedEvent& event, const Origin& origin, Derived& out, IdMemory* memory) const {
  out.tables = event.stored ? 1u << static_cast<unsigned>(Table::kLogEvents) : 0u;
  out.run.reset();
  out.dq.clear();
  out.dataset.reset();
  out.own.emplace<std::monostate>();
  out.sample.reset();
  const auto add = [&out](Table table) { out.tables |= 1u << static_cast<unsigned>(table); };
  const FieldSet& fields = event.fields;

  if (const std::string_view run_text = fields.text(Field::kRunId); !run_text.empty()) {
    RunFact& fact = out.run.emplace();
    fact.event_id = origin.ids->at(origin.offset);
    fact.at = event.ts;
    fact.ts_source = event.ts_source;
    fact.verdict_source = event.verdict_source;
    fact.agent_id = settings_.agent_id;
    fact.ruleset = settings_.ruleset;
    fact.dialect = event.dialect;
    fact.environment = fields.has(Field::kEnv) ? fields.text(Field::kEnv) : std::string_view(settings_.environment);
    fact.service = fields.has(Field::kService) ? fields.text(Field::kService) : std::string_view(settings_.service);
    const bool names_job = fields.has(Field::kJobId);
    fact.job_id = names_job ? fields.text(Field::kJobId) : origin.default_job_id;
    fact.job_id_rank = names_job ? std::int16_t{1} : origin.default_job_rank;
    const FieldValue& run_value = *fields.find(Field::kRunId);
    if (run_value.kind == FieldValue::Kind::kUuid) {
      fact.run_id = run_value.uuid;
    } else {
      fact.run_id = memory ? memory->run_id(settings_.run_namespace, fact.environment, fact.job_id, run_text)
                           : run_id_of(settings_.run_namespace, fact.environment, fact.job_id, run_text);
      fact.external_run_id = run_text;
    }
    if (const std::string_view parent = fields.text(Field::kParentRunId); !parent.empty()) {
      const std::string_view parent_job = fields.text(Field::kParentJobId);
      fact.parent_run_id =
          run_id_of(settings_.run_namespace, fact.environment, parent_job.empty() ? fact.job_id : parent_job, parent);
    }
    const auto attempt = fields.integer(Field::kAttempt);
    fact.attempt = static_cast<std::int32_t>(attempt.value_or(1));
    fact.attempt_stated = attempt.has_value();
    fact.org_id = fields.text(Field::kOrgId);
    fact.project_id = fields.text(Field::kProjectId);
    fact.correlation_id = fields.text(Field::kCorrelationId);
    fact.request_id = fields.text(Field::kRequestId);
    fact.trace_id = fields.text(Field::kTraceId);
    // A line about a dataset is about that one; the run may have more.
    if (event.kind != EventKind::kDataset) fact.dataset = fields.text(Field::kDataset);
    fact.table = fields.text(Field::kTable);
    fact.job_type = fields.text(Field::kJobType);
    fact.max_attempts = fields.integer(Field::kMaxAttempts);
    fact.retries_exhausted = fields.integer(Field::kRetriesExhausted).value_or(0) != 0;

    if (const FieldValue* metrics = fields.find(Field::kMetrics)) fact.metrics = metrics->text;

    const std::string_view task_id = fields.text(Field::kTaskRunId), task = fields.text(Field::kTask);
    const bool about_task = is_task_kind(event.kind) || event.kind == EventKind::kPlain;
    if (about_task && (!task_id.empty() || !task.empty())) {
      fact.has_task = true;
      const FieldValue* value = fields.find(Field::kTaskRunId);
      const std::string_view task_text = task_id.empty() ? task : task_id;
      fact.task_run_id = value && value->kind == FieldValue::Kind::kUuid ? value->uuid
                         : memory                                        ? memory->task_run_id(fact.run_id, task_text)
                                                                         : task_run_id_of(fact.run_id, task_text);
      fact.external_task_id = value && value->kind == FieldValue::Kind::kUuid ? std::string_view{} : task_id;
      fact.task_name = task;
      if (const auto number = fields.integer(Field::kTaskAttempt)) {
        fact.task_attempt = static_cast<std::int32_t>(*number);
      }
      fact.phase = fields.text(Field::kPhase);
      fact.span_id = fields.text(Field::kSpanId);
    }
    // A task that failed may be repeated, or be one of many: how its process ended says nothing of the run's.
    if (!fact.has_task) {
      fact.exit_code = fields.integer(Field::kExitCode);
      fact.exit_signal = fields.integer(Field::kExitSignal);
    }
    read_statuses(event, fact);
    if (fact.status && is_terminal(*fact.status)) fact.end_reason = end_reason_of(event, *fact.status);
    if (!is_terminal(*fact.status) && fact.attempt_status && is_terminal(*fact.attempt_status)) {
      fact.end_reason = end_reason_of(event, *fact.attempt_status);
    } else if (!is_terminal(*fact.status) && fact.task_status && is_terminal(*fact.task_status)) {
      fact.end_reason = end_reason_of(event, *fact.task_status);
    }
    read_times(event, fact);
    read_counts(event, fact);
    read_error(event, fact);
    add(Table::kJobRuns);
    add(Table::kRunAttempts);
    if (fact.has_task) add(Table::kTaskRuns);
  }

  if (event.kind == EventKind::kDataset) {
    if (const std::string_view dataset = fields.text(Field::kDataset); !dataset.empty()) {
      DatasetFact& fact = out.dataset.emplace();
      fact.dataset = dataset;
      const RunStatus verdict = verdict_of(event);
      if (event.status && is_terminal(verdict)) fact.status = to_string(verdict);
      fact.record_count = fields.integer(Field::kRecordCount);
      if (verdict == RunStatus::kSuccess) fact.success_at = fields.time(Field::kUpdatedAt).value_or(event.ts);
      add(Table::kDatasetStatus);
    }
  } else if (event.kind == EventKind::kRunFinished && out.run && out.run->status == RunStatus::kSuccess &&
             !out.run->dataset.empty()) {
    DatasetFact& fact = out.dataset.emplace();
    fact.dataset = out.run->dataset;
    fact.status = to_string(RunStatus::kSuccess);
    fact.record_count = fields.integer(Field::kRecordCount);
    fact.success_at = event.ts;
    add(Table::kDatasetStatus);
  }

  if (event.kind == EventKind::kDq && fields.has(Field::kTable)) {
    const std::string_view table = fields.text(Field::kTable);
    if (const auto status = dq_status_of(fields.text(Field::kStatusText))) {
      DqFact& fact = out.dq.emplace_back();
      fact.kind = DqKind::kReported;
      fact.table = table;
      fact.column = fields.text(Field::kColumn);
      fact.check = fields.text(Field::kCheck);
      fact.metric = fields.text(Field::kMetric);
      fact.value = fields.real(Field::kValue);
      fact.threshold = fields.real(Field::kThreshold);
      fact.status = *status;
      add(Table::kDqCheckResults);
    }
    const std::size_t before = out.dq.size();
    if (const auto rows = fields.integer(Field::kRowCount)) {
      out.dq.push_back({.kind = DqKind::kRowCount,
                        .table = table,
                        .row_count = rows,
                        .data = {},
                        .column = {},
                        .check = {},
                        .metric = {},
                        .value = {},
                        .threshold = {}});
    }
    for (const auto& [field, kind] :
         {std::pair(Field::kNullRates, DqKind::kNullRates), std::pair(Field::kColumns, DqKind::kColumns)}) {
      if (const FieldValue* data = fields.find(field)) {
        out.dq.push_back({.kind = kind,
                          .table = table,
                          .row_count = {},
                          .data = data->text,
                          .column = {},
                          .check = {},
                          .metric = {},
                          .value = {},
                          .threshold = {}});
      }
    }
    if (out.dq.size() > before) add(Table::kDqObservations);
  }

  if (event.kind >= EventKind::kHeartbeat) derive_own(event, origin, settings_, out);
  derive_sample(event, origin, settings_, out);
}

}  // namespace runtail
