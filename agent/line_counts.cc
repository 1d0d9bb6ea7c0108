#include "agent/line_counts.h"

#include <algorithm>
#include <cctype>

#include "core/bytes.h"

namespace runtail {
namespace {

constexpr double kSecondsPerMs = 1e-3;

// What an instance said last.
struct KnownInstance {
  std::int64_t at_us = 0;
  double cpu_seconds = 0;
  std::string version, git_sha;
};

Cause cause_of(const RedactedEvent& event, const Derived& derived) {
  return {derived.run ? derived.run->run_id : Uuid{}, event.fields.text(Field::kTraceId), event.ts};
}

std::string encode(const KnownInstance& known) {
  std::string bytes;
  ByteWriter writer(bytes);
  writer.zigzag(known.at_us);
  writer.real(known.cpu_seconds);
  writer.text(known.version);
  writer.text(known.git_sha);
  return bytes;
}

std::optional<KnownInstance> decode(std::string_view bytes) {
  KnownInstance known;
  ByteReader reader(bytes);
  known.at_us = reader.zigzag();
  known.cpu_seconds = reader.real();
  known.version = reader.text();
  known.git_sha = reader.text();
  if (reader.failed()) return std::nullopt;
  return known;
}

}  // namespace

void LineCounts::count(const RedactedEvent& event, const Derived& derived, std::string_view service) {
  switch (event.kind) {
    case EventKind::kHttp:
      count_http(event.fields, cause_of(event, derived),
                 event.fields.has(Field::kService) ? event.fields.text(Field::kService) : service);
      break;
    case EventKind::kPool:
      count_pool(event.fields);
      break;
    case EventKind::kQueue:
      count_queue(event.fields);
      break;
    case EventKind::kCache:
      count_cache(event.fields);
      break;
    default:
      break;
  }
  if (const auto* span = std::get_if<SpanFact>(&derived.own)) {
    count_span(*span, cause_of(event, derived));
  } else if (const auto* chat = std::get_if<ChatFact>(&derived.own)) {
    metrics_.add(Metric::kChatMessagesTotal, {chat->role}, 1);
  } else if (const auto* document = std::get_if<DocumentFact>(&derived.own)) {
    metrics_.add(Metric::kDocumentEventsTotal, {document->event_type, document->status}, 1);
  } else if (const auto* sync = std::get_if<ProviderSyncFact>(&derived.own)) {
    metrics_.add(Metric::kProviderSyncTotal, {sync->provider, sync->status}, 1);
  } else if (const auto* beat = std::get_if<HeartbeatFact>(&derived.own)) {
    count_heartbeat(*beat);
  }
}

void LineCounts::set(Metric metric, std::string_view label, const FieldSet& fields, Field field, double scale) {
  if (const auto integer = fields.integer(field)) {
    metrics_.set(metric, {label}, static_cast<double>(*integer) * scale);
  } else if (const auto real = fields.real(field)) {
    metrics_.set(metric, {label}, *real * scale);
  }
}

void LineCounts::count_http(const FieldSet& fields, const Cause& cause, std::string_view service) {
  const std::string_view route = fields.text(Field::kRoute);
  std::string method(fields.text(Field::kMethod));
  std::transform(method.begin(), method.end(), method.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto status = fields.integer(Field::kHttpStatus);
  // A line of nothing but what is in work reports no request.
  if (status || !route.empty() || !method.empty()) {
    metrics_.add(Metric::kApiRequestsTotal, {route, method, status ? std::to_string(*status) : std::string()}, 1);
  }
  if (const auto ms = fields.real(Field::kDurationMs)) {
    metrics_.observe(Metric::kApiRequestDuration, {route, method}, *ms * kSecondsPerMs, &cause);
  }
  set(Metric::kHttpRequestsActive, service, fields, Field::kActive);
}

void LineCounts::count_pool(const FieldSet& fields) {
  const std::string_view component = fields.text(Field::kComponent);
  set(Metric::kDbPoolInUse, component, fields, Field::kInUse);
  set(Metric::kDbPoolSize, component, fields, Field::kSize);
  set(Metric::kDbPoolWaiters, component, fields, Field::kWaiters);
  set(Metric::kDbPoolWait, component, fields, Field::kWaitMs, kSecondsPerMs);
  for (const auto& [field, metric] : {std::pair(Field::kSlowQueries, Metric::kDbSlowQueriesTotal),
                                      std::pair(Field::kRollbacks, Metric::kDbRollbacksTotal)}) {
    if (const auto amount = fields.integer(field)) metrics_.add(metric, {component}, static_cast<double>(*amount));
  }
}

void LineCounts::count_queue(const FieldSet& fields) {
  const std::string_view queue = fields.text(Field::kQueue);
  set(Metric::kQueueBacklog, queue, fields, Field::kBacklog);
  set(Metric::kQueueOldestAge, queue, fields, Field::kOldestAgeMs, kSecondsPerMs);
  set(Metric::kQueueDeadLetters, queue, fields, Field::kDeadLetters);
  set(Metric::kQueueUp, queue, fields, Field::kUp);
  if (const auto ms = fields.real(Field::kLatencyMs)) {
    metrics_.observe(Metric::kQueueOperation, {queue}, *ms * kSecondsPerMs);
  }
}

void LineCounts::count_cache(const FieldSet& fields) {
  const std::string_view cache = fields.text(Field::kCache);
  set(Metric::kCacheUp, cache, fields, Field::kUp);
  if (const auto ms = fields.real(Field::kLatencyMs)) {
    metrics_.observe(Metric::kCacheOperation, {cache, fields.text(Field::kOp)}, *ms * kSecondsPerMs);
  }
}

void LineCounts::count_span(const SpanFact& span, const Cause& cause) {
  if (span.duration_ms) metrics_.observe(Metric::kSpanDuration, {span.type}, *span.duration_ms * kSecondsPerMs, &cause);
  if (span.tokens_in) metrics_.add(Metric::kLlmTokensTotal, {"in"}, static_cast<double>(*span.tokens_in));
  if (span.tokens_out) metrics_.add(Metric::kLlmTokensTotal, {"out"}, static_cast<double>(*span.tokens_out));
  if (span.cost_micros) metrics_.add(Metric::kLlmCostTotal, {}, static_cast<double>(*span.cost_micros) / 1e6);
}

// The processor time of a service is that of all its instances: each adds what it used since it spoke last. Less than
// last time: it was started again.
void LineCounts::count_heartbeat(const HeartbeatFact& beat) {
  const std::string key = "h/" + std::string(beat.service) + '\x1F' + std::string(beat.instance);
  const std::string& bytes = known_.get(key);
  const auto known = bytes.empty() ? std::nullopt : decode(bytes);
  const std::int64_t at_us = to_micros(beat.at);
  if (known && at_us <= known->at_us) return;  // read late
  KnownInstance now = known.value_or(KnownInstance{});
  now.at_us = at_us;
  if (beat.cpu_seconds) {
    const bool started_again = *beat.cpu_seconds < now.cpu_seconds;
    metrics_.add(Metric::kProcessCpuTotal, {beat.service},
                 started_again ? *beat.cpu_seconds : *beat.cpu_seconds - now.cpu_seconds);
    now.cpu_seconds = *beat.cpu_seconds;
  }
  const auto set = [&](Metric metric, const auto& value) {
    if (value) metrics_.set(metric, {beat.service}, static_cast<double>(*value));
  };
  set(Metric::kUptimeSeconds, beat.uptime_seconds);
  set(Metric::kProcessMemory, beat.rss_bytes);
  set(Metric::kProcessFds, beat.fds);
  set(Metric::kProcessThreads, beat.threads);
  if (!beat.version.empty() || !beat.git_sha.empty()) {
    const bool was_other = !now.version.empty() || !now.git_sha.empty();
    if (was_other && (now.version != beat.version || now.git_sha != beat.git_sha)) {
      metrics_.set(Metric::kBuildInfo, {beat.service, now.version, now.git_sha}, 0);
    }
    metrics_.set(Metric::kBuildInfo, {beat.service, beat.version, beat.git_sha}, 1);
    now.version = beat.version;
    now.git_sha = beat.git_sha;
  }
  known_.put(key, encode(now));
}

}  // namespace runtail
