#include "history/line_rows.h"

#include <cmath>

#include "core/digest.h"
#include "core/truncate.h"
#include "history/row_text.h"

namespace runtail {
namespace {

constexpr std::size_t kErrorMessageBytesMax = 2048, kTextRead = 8192, kJsonRead = 65536;

std::optional<std::string> field(const FieldSet& fields, Field which) { return text_or_null(fields.text(which)); }

// Characters, not bytes.
std::optional<std::string> first_of(std::optional<std::string> text) {
  if (!text || text->size() <= kTextRead) return text;
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text->size(); ++at) {
    const bool begins = (static_cast<std::uint8_t>((*text)[at]) & 0xC0) != 0x80;
    if (begins && ++characters > kTextRead) {
      text->resize(at);
      break;
    }
  }
  return text;
}

std::optional<Json> counts_of(const RedactedEvent& event, const std::vector<std::string>& kinds) {
  if (event.counts.empty()) return std::nullopt;
  std::string json;
  for (const RedactionCount& count : event.counts) {
    json += json.empty() ? "{\"" : ",\"";
    // A ruleset newer than the agent's may have named it.
    json += count.kind < kinds.size() ? kinds[count.kind] : "other";
    json += "\":" + std::to_string(count.count);
  }
  return Json{json + "}"};
}

}  // namespace

LogEventRow log_event_row(const RedactedEvent& event, const Derived& derived, const Origin& origin,
                          std::string_view stream, const DeriverSettings& settings,
                          const std::vector<std::string>& kinds) {
  const FieldSet& fields = event.fields;
  LogEventRow row;
  row.event_id = event_id_of(derived, origin);
  row.ts = event.ts;
  row.level = to_string(event.level);
  row.message = first_of(field(fields, Field::kMsg));
  row.service = text_or_null(fields.has(Field::kService) ? fields.text(Field::kService) : settings.service);
  row.environment = text_or_null(fields.has(Field::kEnv) ? fields.text(Field::kEnv) : settings.environment);
  row.org_id = field(fields, Field::kOrgId);
  row.project_id = field(fields, Field::kProjectId);
  row.user_id = field(fields, Field::kUserId);
  row.ip = field(fields, Field::kIp);
  row.job_id = text_or_null(fields.has(Field::kJobId) ? fields.text(Field::kJobId) : origin.default_job_id);
  if (derived.run) row.run_id = derived.run->run_id;
  if (derived.run && derived.run->has_task) row.task_run_id = derived.run->task_run_id;
  row.attempt = int32_or_null(fields.integer(Field::kAttempt));
  row.phase = field(fields, Field::kPhase);
  row.dataset = field(fields, Field::kDataset);
  row.table_name = field(fields, Field::kTable);
  if (const auto duration = fields.real(Field::kDurationMs)) row.duration_ms = std::llround(*duration);
  row.records_extracted = fields.integer(Field::kRecordsExtracted);
  row.records_loaded = fields.integer(Field::kRecordsLoaded);
  const bool about_error = event.level >= Level::kError || fields.has(Field::kErrorCategory) ||
                           fields.has(Field::kErrorCode) || fields.has(Field::kErrorType) ||
                           fields.has(Field::kErrorMessage);
  if (about_error) row.error_category = text_or_null(to_string(categorise_error(fields)));
  row.error_code = field(fields, Field::kErrorCode);
  row.error_type = field(fields, Field::kErrorType);
  row.error_message = text_or_null(truncate_redacted(fields.text(Field::kErrorMessage), kErrorMessageBytesMax));
  row.error_stack = first_of(field(fields, Field::kErrorStack));
  row.http_status = int32_or_null(fields.integer(Field::kHttpStatus));
  row.route = field(fields, Field::kRoute);
  row.method = field(fields, Field::kMethod);
  row.outcome = word_or_null(fields.text(Field::kOutcome), {"success", "error", "retry"});
  row.source = word_or_null(fields.text(Field::kSource), {"api", "job", "frontend", "worker"});
  row.correlation_id = field(fields, Field::kCorrelationId);
  row.request_id = field(fields, Field::kRequestId);
  row.trace_id = field(fields, Field::kTraceId);
  row.span_id = field(fields, Field::kSpanId);
  if (event.context.size() > kJsonRead) {
    row.context = Json{R"({"truncated": true})"};
  } else if (!event.context.empty()) {
    row.context = Json{std::string(event.context)};
  }
  row.raw_text = first_of(text_or_null(event.raw_text));
  row.redacted = event.redaction_state != RedactionState::kClean;
  row.pii_safe = event.pii_safe;
  row.redaction_counts = counts_of(event, kinds);
  row.redaction_state = to_string(event.redaction_state);
  row.ruleset = settings.ruleset;
  row.stream = stream;
  row.agent_id = settings.agent_id;
  return row;
}

SpanRow span_row(const SpanFact& fact) {
  SpanRow row;
  row.id = fact.id;
  row.ts = fact.start;
  row.span_id = to_hex(fact.span_id);
  row.trace_id = to_hex(fact.trace_id.bytes);
  if (fact.parent_span_id) row.parent_span_id = to_hex(*fact.parent_span_id);
  row.name = text_or_null(fact.name);
  row.span_type = text_or_null(fact.type);
  row.kind = text_or_null(fact.kind);
  row.service = text_or_null(fact.service);
  row.job_id = text_or_null(fact.job_id);
  row.run_id = fact.run_id;
  row.status = text_or_null(fact.status);
  row.duration_ms = fact.duration_ms;
  row.user_id = text_or_null(fact.user_id);
  row.session_id = text_or_null(fact.session_id);
  row.operation_type = text_or_null(fact.operation_type);
  if (!fact.metadata.empty()) row.metadata = Json{std::string(fact.metadata)};
  row.error_category = text_or_null(to_string(fact.error_category));
  row.error_message = text_or_null(fact.error_message);
  row.model = text_or_null(fact.model);
  row.provider = text_or_null(fact.provider);
  row.tokens_in = fact.tokens_in;
  row.tokens_out = fact.tokens_out;
  if (fact.cost_micros) row.cost_usd = UsdMicros{*fact.cost_micros};
  row.embedding_dims = fact.embedding_dims;
  row.batch_size = fact.batch_size;
  row.top_k = fact.top_k;
  row.results_count = fact.results_count;
  row.top_score = fact.top_score;
  row.document_id = text_or_null(fact.document_id);
  row.parser = text_or_null(fact.parser);
  row.page_count = fact.page_count;
  row.chunk_count = fact.chunk_count;
  row.chunk_size = fact.chunk_size;
  return row;
}

}  // namespace runtail
