#include "sinks/postgres_log_row.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "core/truncate.h"

namespace runtail {
namespace {

constexpr std::size_t kErrorMessageBytesMax = 2048;

void put_text(CopyRows& rows, const FieldSet& fields, Field field) { rows.text_or_null(fields.text(field)); }

void put_int64(CopyRows& rows, const FieldSet& fields, Field field) {
  if (const auto value = fields.integer(field))
    rows.int64(*value);
  else
    rows.null();
}

void put_rounded(CopyRows& rows, const FieldSet& fields, Field field) {
  if (const auto value = fields.real(field))
    rows.int64(std::llround(*value));
  else
    rows.null();
}

// A number beyond the column says nothing about an attempt or an HTTP status: null.
void put_int32(CopyRows& rows, const FieldSet& fields, Field field) {
  const auto value = fields.integer(field);
  if (value && *value >= std::numeric_limits<std::int32_t>::min() &&
      *value <= std::numeric_limits<std::int32_t>::max()) {
    rows.int32(static_cast<std::int32_t>(*value));
  } else {
    rows.null();
  }
}

void put_word(CopyRows& rows, std::string_view word, std::initializer_list<std::string_view> known) {
  for (const std::string_view each : known) {
    if (word == each) return rows.text(word);
  }
  rows.null();
}

void put_error(CopyRows& rows, const RedactedEvent& event) {
  const FieldSet& fields = event.fields;
  const bool about_error = event.level >= Level::kError || fields.has(Field::kErrorCategory) ||
                           fields.has(Field::kErrorCode) || fields.has(Field::kErrorType) ||
                           fields.has(Field::kErrorMessage);
  rows.text_or_null(about_error ? to_string(categorise_error(fields)) : std::string_view{});
  put_text(rows, fields, Field::kErrorCode);
  put_text(rows, fields, Field::kErrorType);
  rows.text_or_null(truncate_redacted(fields.text(Field::kErrorMessage), kErrorMessageBytesMax));
  put_text(rows, fields, Field::kErrorStack);
}

void put_counts(CopyRows& rows, const RedactedEvent& event, const std::vector<std::string>& kinds) {
  if (event.counts.empty()) return rows.null();
  std::string json = "{";
  for (const RedactionCount& count : event.counts) {
    // A ruleset newer than the agent's may have named it.
    const std::string_view name = count.kind < kinds.size() ? std::string_view(kinds[count.kind]) : "other";
    if (json.size() > 1) json += ',';
    json += '"';
    json += name;
    json += "\":";
    json += std::to_string(count.count);
  }
  json += '}';
  rows.jsonb(json);
}

}  // namespace

std::span<const std::string_view> log_event_columns() {
  static constexpr std::string_view kColumns[] = {
      "event_id",       "ts",         "level",       "message",           "service",
      "environment",    "org_id",     "project_id",  "user_id",           "ip",
      "job_id",         "run_id",     "task_run_id", "attempt",           "phase",
      "dataset",        "table_name", "duration_ms", "records_extracted", "records_loaded",
      "error_category", "error_code", "error_type",  "error_message",     "error_stack",
      "http_status",    "route",      "method",      "outcome",           "source",
      "correlation_id", "request_id", "trace_id",    "span_id",           "context",
      "raw_text",       "redacted",   "pii_safe",    "redaction_counts",  "redaction_state",
      "ruleset",        "stream",     "agent_id"};
  return kColumns;
}

void append_log_row(CopyRows& rows, const RedactedEvent& event, const Uuid& event_id, const Derived& derived,
                    const Origin& origin, std::string_view stream, const DeriverSettings& settings,
                    const std::vector<std::string>& kinds) {
  const FieldSet& fields = event.fields;
  rows.begin_row(static_cast<std::int16_t>(log_event_columns().size()));
  rows.uuid(event_id);
  rows.time(event.ts);
  rows.text(to_string(event.level));
  put_text(rows, fields, Field::kMsg);
  rows.text_or_null(fields.has(Field::kService) ? fields.text(Field::kService) : std::string_view(settings.service));
  rows.text_or_null(fields.has(Field::kEnv) ? fields.text(Field::kEnv) : std::string_view(settings.environment));
  put_text(rows, fields, Field::kOrgId);
  put_text(rows, fields, Field::kProjectId);
  put_text(rows, fields, Field::kUserId);
  put_text(rows, fields, Field::kIp);
  rows.text_or_null(fields.has(Field::kJobId) ? fields.text(Field::kJobId) : origin.default_job_id);
  if (derived.run)
    rows.uuid(derived.run->run_id);
  else
    rows.null();
  if (derived.run && derived.run->has_task)
    rows.uuid(derived.run->task_run_id);
  else
    rows.null();
  put_int32(rows, fields, Field::kAttempt);
  put_text(rows, fields, Field::kPhase);
  put_text(rows, fields, Field::kDataset);
  put_text(rows, fields, Field::kTable);
  put_rounded(rows, fields, Field::kDurationMs);
  put_int64(rows, fields, Field::kRecordsExtracted);
  put_int64(rows, fields, Field::kRecordsLoaded);
  put_error(rows, event);
  put_int32(rows, fields, Field::kHttpStatus);
  put_text(rows, fields, Field::kRoute);
  put_text(rows, fields, Field::kMethod);
  put_word(rows, fields.text(Field::kOutcome), {"success", "error", "retry"});
  put_word(rows, fields.text(Field::kSource), {"api", "job", "frontend", "worker"});
  put_text(rows, fields, Field::kCorrelationId);
  put_text(rows, fields, Field::kRequestId);
  put_text(rows, fields, Field::kTraceId);
  put_text(rows, fields, Field::kSpanId);
  if (event.context.empty())
    rows.null();
  else
    rows.jsonb(event.context);
  rows.text_or_null(event.raw_text);
  rows.boolean(event.redaction_state != RedactionState::kClean);
  rows.boolean(event.pii_safe);
  put_counts(rows, event, kinds);
  rows.text(to_string(event.redaction_state));
  rows.text(settings.ruleset);
  rows.text(stream);
  rows.text(settings.agent_id);
}

}  // namespace runtail
