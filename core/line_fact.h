// What a line of a kind of its own states, beside what it says of a run: one record each of spans, conversations,
// documents, providers and services. Plain views into the event it was derived from: valid as long as that is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "core/time.h"
#include "core/uuid.h"
#include "core/words.h"

namespace runtail {

// 8 bytes as W3C Trace Context has them; written as 16 hex digits.
using SpanId = std::array<std::uint8_t, 8>;

// A step of a trace. Insert only; its trace adds up what its spans say.
struct SpanFact {
  Uuid id;          // of trace and span
  TimePoint start;  // never after the line that reports it
  Uuid trace_id;    // its 16 bytes, never nil
  SpanId span_id{};
  std::optional<SpanId> parent_span_id;
  bool is_root = false;                       // names no parent
  std::string_view name, kind, type, status;  // type: words_of(kSpanType) or ""; status: "ok", "error" or ""
  std::string_view service, environment, job_id, user_id, session_id, operation_type, correlation_id, request_id;
  std::string_view model, provider, document_id, parser;
  std::string_view error_message, metadata;  // metadata: JSON or ""
  ErrorCategory error_category = ErrorCategory::kNone;
  std::optional<Uuid> run_id;
  std::optional<double> duration_ms, top_score;
  std::optional<std::int64_t> tokens_in, tokens_out, cost_micros;
  std::optional<std::int32_t> embedding_dims, batch_size, top_k, results_count, page_count, chunk_count, chunk_size;
};

// A message of a conversation. Insert only.
struct ChatFact {
  Uuid id;  // of the event
  TimePoint at;
  std::string_view session_id;  // never empty
  std::string_view role;        // words_of(kRole) or ""
  std::string_view content, sources, citations, user_id, trace_id, span_id, model, metadata;
  std::optional<std::int32_t> turn;
  std::optional<std::int64_t> tokens_in, tokens_out, cost_micros;
  bool redacted = false, pii_safe = true;
};

// A step in the processing of a document. Insert only.
struct DocumentFact {
  Uuid id;  // of the event
  TimePoint at;
  std::string_view document_id;  // never empty
  std::string_view event_type;   // words_of(kEventType)
  std::string_view status;       // "started", "success", "failed" or ""
  std::string_view job_id, trace_id, user_id, error_message, metadata;
  ErrorCategory error_category = ErrorCategory::kNone;
  std::optional<Uuid> run_id;
  std::optional<std::int64_t> duration_ms, tokens, bytes, cost_micros;
  std::optional<std::int32_t> page_count, chunk_count;
};

// How far a resource of a provider is synchronised: the newest by (state_at, state_event) is the row.
struct ProviderSyncFact {
  Uuid id;  // of provider and resource
  TimePoint state_at;
  Uuid state_event;
  std::string_view provider;  // never empty
  std::string_view resource, cursor, error_message, metadata;
  std::string_view status;  // "idle", "running", "success" or "error"
  ErrorCategory error_category = ErrorCategory::kNone;
  std::optional<TimePoint> started_at, finished_at, success_at;  // success_at: this line states a success
  std::optional<std::int64_t> records_synced;
};

// A service is alive: the newest by (at, event_id) is the row.
struct HeartbeatFact {
  Uuid id;  // of service and instance
  TimePoint at;
  Uuid event_id;
  std::string_view service;  // never empty
  std::string_view instance, environment, version, git_sha;
  std::string_view status;  // "ok", "degraded", "stopping" or "down"
  std::optional<TimePoint> started_at;
  std::optional<double> uptime_seconds, cpu_seconds;
  std::optional<std::int64_t> rss_bytes, fds, threads;
  // Of an agent's own: config_digest, lag_bytes, lag_seconds, buffer_bytes and lost_bytes as members of a JSON object; "" of a
  // line's.
  std::string_view agent_members;
};

// One series as it was at a time. Insert only.
struct SnapshotFact {
  Uuid id;  // of agent, series and time
  TimePoint at;
  std::string_view members;  // name, value_type, labels and the values, as members of a JSON object; never empty
};

using OwnRecord =
    std::variant<std::monostate, SpanFact, ChatFact, DocumentFact, ProviderSyncFact, HeartbeatFact, SnapshotFact>;

}  // namespace runtail
