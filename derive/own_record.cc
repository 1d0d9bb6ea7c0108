#include "derive/own_record.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/own_facts.h"
#include "core/truncate.h"

namespace runtail {
namespace {

// Most a cost column holds, numeric(10,6).
constexpr std::int64_t kCostMicrosMax = 9'999'999'999;

// Hex digits of exactly that many bytes, in either case and with dashes anywhere; else false.
template <std::size_t kSize>
bool read_hex(std::string_view text, std::array<std::uint8_t, kSize>& into) {
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '-') continue;
    const int value = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (value < 0 || digits == 2 * kSize) return false;
    into[digits / 2] = static_cast<std::uint8_t>(into[digits / 2] << 4 | value);
    ++digits;
  }
  return digits == 2 * kSize;
}

struct Meaning {
  std::string_view word, means;
};

// Words without case; space, '-' and '_' are equal. "" if the word is not listed.
template <std::size_t kCount>
std::string_view meaning_of(std::string_view text, const Meaning (&words)[kCount]) {
  const auto same = [text](const Meaning& each) {
    return std::equal(text.begin(), text.end(), each.word.begin(), each.word.end(), [](char a, char b) {
      if (a == ' ' || a == '-') a = '_';
      if (a >= 'A' && a <= 'Z') a = static_cast<char>(a - 'A' + 'a');
      return a == b;
    });
  };
  const auto found = std::find_if(std::begin(words), std::end(words), same);
  return found == std::end(words) ? std::string_view{} : found->means;
}

constexpr Meaning kSpanStatuses[] = {{"ok", "ok"},           {"success", "ok"},    {"succeeded", "ok"},
                                     {"completed", "ok"},    {"unset", "ok"},      {"error", "error"},
                                     {"failed", "error"},    {"failure", "error"}, {"timeout", "error"},
                                     {"cancelled", "error"}, {"canceled", "error"}};
constexpr Meaning kDocumentStatuses[] = {{"started", "started"},     {"start", "started"},     {"running", "started"},
                                         {"in_progress", "started"}, {"success", "success"},   {"ok", "success"},
                                         {"succeeded", "success"},   {"completed", "success"}, {"done", "success"},
                                         {"failed", "failed"},       {"failure", "failed"},    {"error", "failed"}};
constexpr Meaning kSyncStatuses[] = {{"idle", "idle"},           {"running", "running"},   {"started", "running"},
                                     {"in_progress", "running"}, {"success", "success"},   {"ok", "success"},
                                     {"succeeded", "success"},   {"completed", "success"}, {"done", "success"},
                                     {"error", "error"},         {"failed", "error"},      {"failure", "error"}};
constexpr Meaning kHeartbeatStatuses[] = {{"", "ok"},
                                          {"ok", "ok"},
                                          {"up", "ok"},
                                          {"healthy", "ok"},
                                          {"running", "ok"},
                                          {"stopping", "stopping"},
                                          {"draining", "stopping"},
                                          {"down", "down"},
                                          {"stopped", "down"}};

std::string_view known(Field field, std::string_view word) {
  const auto words = words_of(field);
  return std::find(words.begin(), words.end(), word) == words.end() ? std::string_view{} : word;
}

// Of a JSON object: what stands between its braces.
std::string_view members_of(std::string_view object) {
  return object.size() < 2 ? std::string_view{} : object.substr(1, object.size() - 2);
}

// A number beyond the column says nothing.
std::optional<std::int32_t> small(const FieldSet& fields, Field field) {
  const auto value = fields.integer(field);
  if (!value || *value < 0 || *value > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return static_cast<std::int32_t>(*value);
}

std::optional<std::int64_t> cost_micros(const FieldSet& fields) {
  const auto cost = fields.real(Field::kCostUsd);
  if (!cost || !(*cost >= 0) || *cost * 1e6 > static_cast<double>(kCostMicrosMax)) return std::nullopt;
  return std::llround(*cost * 1e6);
}

TimePoint before(TimePoint at, double milliseconds) {
  return at - std::chrono::microseconds(std::llround(milliseconds * 1000));
}

struct Line {
  const RedactedEvent& event;
  const Origin& origin;
  const DeriverSettings& settings;
  const Derived& derived;
  const FieldSet& fields = event.fields;

  std::string_view text(Field field) const { return fields.text(field); }
  std::string_view or_else(Field field, std::string_view otherwise) const {
    return fields.has(field) ? fields.text(field) : otherwise;
  }
  std::string_view job_id() const { return or_else(Field::kJobId, origin.default_job_id); }
  std::string_view service() const { return or_else(Field::kService, settings.service); }
  std::string_view environment() const { return or_else(Field::kEnv, settings.environment); }
  std::optional<Uuid> run_id() const { return derived.run ? std::optional(derived.run->run_id) : std::nullopt; }
  Uuid id() const { return event_id_of(derived, origin); }
  bool has_error(bool failed) const {
    return failed || fields.has(Field::kErrorCategory) || fields.has(Field::kErrorCode) ||
           fields.has(Field::kErrorType) || fields.has(Field::kErrorMessage);
  }
  void read_error(bool failed, auto& fact) const {
    if (!has_error(failed)) return;
    fact.error_category = categorise_error(fields);
    fact.error_message = truncate_redacted(text(Field::kErrorMessage), kErrorMessageBytesMax);
  }
  void read_amounts(auto& fact) const {
    fact.tokens_in = fields.integer(Field::kTokensIn);
    fact.tokens_out = fields.integer(Field::kTokensOut);
    fact.cost_micros = cost_micros(fields);
  }
};

void derive_span(const Line& line, Derived& out) {
  const FieldSet& fields = line.fields;
  SpanFact fact;
  if (!read_hex(line.text(Field::kTraceId), fact.trace_id.bytes) || fact.trace_id.is_nil() ||
      !read_hex(line.text(Field::kSpanId), fact.span_id)) {
    return;
  }
  fact.id = span_uuid_of(fact.trace_id, to_hex(fact.span_id));
  const std::string_view parent = line.text(Field::kParentSpanId);
  fact.is_root = parent.empty();
  if (SpanId id{}; read_hex(parent, id)) fact.parent_span_id = id;
  fact.duration_ms = fields.real(Field::kDurationMs);
  // A line tells of a span once it is over, so it cannot have begun later; a clock that says so must not ask for
  // partitions of days to come.
  const TimePoint at = line.event.ts;
  fact.start = std::min(at, fields.time(Field::kStartedAt).value_or(before(at, fact.duration_ms.value_or(0))));
  fact.name = line.text(Field::kSpanName);
  fact.kind = line.text(Field::kSpanKind);
  fact.type = known(Field::kSpanType, line.text(Field::kSpanType));
  fact.status = meaning_of(line.text(Field::kStatusText), kSpanStatuses);
  fact.service = line.service();
  fact.environment = line.environment();
  fact.job_id = line.job_id();
  fact.run_id = line.run_id();
  fact.user_id = line.text(Field::kUserId);
  fact.session_id = line.text(Field::kSessionId);
  fact.operation_type = line.text(Field::kOperationType);
  fact.correlation_id = line.text(Field::kCorrelationId);
  fact.request_id = line.text(Field::kRequestId);
  fact.model = line.text(Field::kModel);
  fact.provider = line.text(Field::kProvider);
  fact.document_id = line.text(Field::kDocumentId);
  fact.parser = line.text(Field::kDocumentParser);
  fact.metadata = line.event.context;
  fact.top_score = fields.real(Field::kTopScore);
  fact.embedding_dims = small(fields, Field::kEmbeddingDims);
  fact.batch_size = small(fields, Field::kBatchSize);
  fact.top_k = small(fields, Field::kTopK);
  fact.results_count = small(fields, Field::kResultsCount);
  fact.page_count = small(fields, Field::kPageCount);
  fact.chunk_count = small(fields, Field::kChunkCount);
  fact.chunk_size = small(fields, Field::kChunkSize);
  line.read_amounts(fact);
  line.read_error(fact.status == "error", fact);
  out.own = fact;
  out.tables |= set_of(Table::kSpans) | set_of(Table::kTraces);
}

void derive_chat(const Line& line, Derived& out) {
  ChatFact fact;
  fact.session_id = line.text(Field::kSessionId);
  if (fact.session_id.empty()) return;
  fact.id = line.id();
  fact.at = line.event.ts;
  fact.role = known(Field::kRole, line.text(Field::kRole));
  fact.content = line.text(Field::kContent);
  if (const FieldValue* sources = line.fields.find(Field::kSources)) fact.sources = sources->text;
  if (const FieldValue* citations = line.fields.find(Field::kCitations)) fact.citations = citations->text;
  fact.user_id = line.text(Field::kUserId);
  fact.trace_id = line.text(Field::kTraceId);
  fact.span_id = line.text(Field::kSpanId);
  fact.model = line.text(Field::kModel);
  fact.metadata = line.event.context;
  fact.turn = small(line.fields, Field::kTurn);
  line.read_amounts(fact);
  fact.redacted = line.event.redaction_state != RedactionState::kClean;
  fact.pii_safe = line.event.pii_safe;
  out.own = fact;
  out.tables |= set_of(Table::kChatMessages);
}

void derive_document(const Line& line, Derived& out) {
  const FieldSet& fields = line.fields;
  DocumentFact fact;
  fact.document_id = line.text(Field::kDocumentId);
  fact.event_type = known(Field::kEventType, line.text(Field::kEventType));
  if (fact.document_id.empty() || fact.event_type.empty()) return;
  fact.id = line.id();
  fact.at = line.event.ts;
  fact.status = meaning_of(line.text(Field::kStatusText), kDocumentStatuses);
  fact.job_id = line.job_id();
  fact.run_id = line.run_id();
  fact.trace_id = line.text(Field::kTraceId);
  fact.user_id = line.text(Field::kUserId);
  fact.metadata = line.event.context;
  if (const auto duration = fields.real(Field::kDurationMs)) fact.duration_ms = std::llround(*duration);
  fact.tokens = fields.integer(Field::kTokens);
  fact.bytes = fields.integer(Field::kBytes);
  fact.cost_micros = cost_micros(fields);
  fact.page_count = small(fields, Field::kPageCount);
  fact.chunk_count = small(fields, Field::kChunkCount);
  line.read_error(fact.status == "failed", fact);
  out.own = fact;
  out.tables |= set_of(Table::kDocumentEvents);
}

void derive_provider_sync(const Line& line, Derived& out) {
  const FieldSet& fields = line.fields;
  ProviderSyncFact fact;
  fact.provider = line.text(Field::kProvider);
  fact.status = meaning_of(line.text(Field::kStatusText), kSyncStatuses);
  if (fact.provider.empty() || fact.status.empty()) return;
  fact.resource = line.text(Field::kResource);
  fact.id = provider_sync_id_of(fact.provider, fact.resource);
  fact.state_at = line.event.ts;
  fact.state_event = line.id();
  fact.cursor = line.text(Field::kCursor);
  fact.metadata = line.event.context;
  fact.records_synced = fields.integer(Field::kRecordsSynced);
  fact.started_at = fields.time(Field::kStartedAt);
  const bool ended = fact.status == "success" || fact.status == "error";
  if (ended) {
    fact.finished_at = fields.time(Field::kFinishedAt).value_or(line.event.ts);
    const auto duration = fields.real(Field::kDurationMs);
    if (!fact.started_at && duration) fact.started_at = before(*fact.finished_at, *duration);
    if (fact.status == "success") fact.success_at = fact.finished_at;
  } else if (fact.status == "running" && !fact.started_at) {
    fact.started_at = line.event.ts;
  }
  line.read_error(fact.status == "error", fact);
  out.own = fact;
  out.tables |= set_of(Table::kProviderSyncStatus);
}

void derive_heartbeat(const Line& line, Derived& out) {
  const FieldSet& fields = line.fields;
  HeartbeatFact fact;
  fact.service = line.service();
  const bool is_own = line.event.kind == EventKind::kAgentHeartbeat;
  if (fact.service.empty() || (fact.service == kOwnService && !is_own)) return;
  if (is_own) fact.agent_members = members_of(line.event.context);
  fact.instance = line.text(Field::kInstance);
  fact.id = heartbeat_id_of(fact.service, fact.instance);
  fact.at = line.event.ts;
  fact.event_id = line.id();
  fact.environment = line.environment();
  fact.version = line.text(Field::kVersion);
  fact.git_sha = line.text(Field::kGitSha);
  fact.status = meaning_of(line.text(Field::kStatusText), kHeartbeatStatuses);
  // Alive, and saying something nobody knows of its state: that is not well.
  if (fact.status.empty()) fact.status = "degraded";
  fact.uptime_seconds = fields.real(Field::kUptimeSeconds);
  fact.cpu_seconds = fields.real(Field::kCpuSeconds);
  fact.started_at = fields.time(Field::kStartedAt);
  // Within the calendar: a service is not older than ten years.
  if (!fact.started_at && fact.uptime_seconds && *fact.uptime_seconds >= 0 && *fact.uptime_seconds <= 315'360'000) {
    fact.started_at = before(fact.at, *fact.uptime_seconds * 1000);
  }
  fact.rss_bytes = fields.integer(Field::kRssBytes);
  fact.fds = fields.integer(Field::kFds);
  fact.threads = fields.integer(Field::kThreads);
  out.own = fact;
  out.tables |= set_of(Table::kServiceHeartbeats);
}

void derive_snapshot(const Line& line, Derived& out) {
  SnapshotFact fact;
  fact.members = members_of(line.event.context);
  if (fact.members.empty()) return;
  fact.at = line.event.ts;
  fact.id = snapshot_id_of(line.settings.agent_id, line.text(Field::kMetric), fact.at);
  out.own = fact;
  out.tables |= set_of(Table::kMetricSnapshots);
}

}  // namespace

void derive_own(const RedactedEvent& event, const Origin& origin, const DeriverSettings& settings, Derived& out) {
  const Line line{event, origin, settings, out};
  switch (event.kind) {
    case EventKind::kSpan:
      return derive_span(line, out);
    case EventKind::kChat:
      return derive_chat(line, out);
    case EventKind::kDocument:
      return derive_document(line, out);
    case EventKind::kProviderSync:
      return derive_provider_sync(line, out);
    case EventKind::kHeartbeat:
    case EventKind::kAgentHeartbeat:
      return derive_heartbeat(line, out);
    case EventKind::kMetricSnapshot:
      return derive_snapshot(line, out);
    default:
      return;
  }
}

}  // namespace runtail
