// The fields a line can carry (docs/log-contract.md), declared once: name, type, and how redaction treats it. A dialect
// maps a tool's own paths to these names. New ones go to the end: what is in a buffer names them by their place.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace runtail {

// How the value is read and what redaction does with it.
enum class FieldType : std::uint8_t {
  kFreeText,  // scanned by every detector
  kName,      // short text from a small set (service, dataset, table): scanned like free text
  kId,        // a real UUID skips the scan, other text is scanned
  kWord,      // one of a closed set, mapped by the parser; anything else is scanned text
  kInt,       // range-checked: skips the scan
  kReal,      // finite number: skips the scan
  kBool,
  kTime,  // a valid timestamp: skips the scan
  kJson,  // a subtree, kept as a tape and scanned leaf by leaf
};

// X(enumerator, name, type)
#define RUNTAIL_FIELDS(X)                          \
  X(kMsg, "msg", kFreeText)                        \
  X(kService, "service", kName)                    \
  X(kEnv, "env", kName)                            \
  X(kCorrelationId, "correlation_id", kId)         \
  X(kRequestId, "request_id", kId)                 \
  X(kTraceId, "trace_id", kId)                     \
  X(kSpanId, "span_id", kId)                       \
  X(kParentSpanId, "parent_span_id", kId)          \
  X(kJobId, "job_id", kName)                       \
  X(kRunId, "run_id", kId)                         \
  X(kParentRunId, "parent_run_id", kId)            \
  X(kTaskRunId, "task_run_id", kId)                \
  X(kTask, "task", kName)                          \
  X(kAttempt, "attempt", kInt)                     \
  X(kPhase, "phase", kWord)                        \
  X(kDataset, "dataset", kName)                    \
  X(kTable, "table", kName)                        \
  X(kOrgId, "org_id", kId)                         \
  X(kProjectId, "project_id", kId)                 \
  X(kUserId, "user_id", kId)                       \
  X(kSource, "source", kWord)                      \
  X(kOutcome, "outcome", kWord)                    \
  X(kDurationMs, "duration_ms", kReal)             \
  X(kRecordsExtracted, "records_extracted", kInt)  \
  X(kRecordsLoaded, "records_loaded", kInt)        \
  X(kErrorCategory, "error_category", kName)       \
  X(kErrorCode, "error_code", kName)               \
  X(kErrorType, "error_type", kName)               \
  X(kErrorMessage, "error_message", kFreeText)     \
  X(kErrorStack, "error_stack", kFreeText)         \
  X(kHttpStatus, "http_status", kInt)              \
  X(kRoute, "route", kName)                        \
  X(kMethod, "method", kName)                      \
  X(kIp, "ip", kId)                                \
  X(kScheduledAt, "scheduled_at", kTime)           \
  X(kQueuedAt, "queued_at", kTime)                 \
  X(kStartedAt, "started_at", kTime)               \
  X(kFinishedAt, "finished_at", kTime)             \
  X(kMaxAttempts, "max_attempts", kInt)            \
  X(kEndReason, "end_reason", kWord)               \
  X(kExitCode, "exit_code", kInt)                  \
  X(kExitSignal, "exit_signal", kInt)              \
  X(kRetriesExhausted, "retries_exhausted", kBool) \
  X(kQueue, "queue", kName)                        \
  X(kJobType, "job_type", kWord)                   \
  X(kRowCount, "row_count", kInt)                  \
  X(kNullRates, "null_rates", kJson)               \
  X(kColumns, "columns", kJson)                    \
  X(kColumn, "column", kName)                      \
  X(kCheck, "check", kName)                        \
  X(kMetric, "metric", kName)                      \
  X(kValue, "value", kReal)                        \
  X(kThreshold, "threshold", kReal)                \
  X(kRecordCount, "record_count", kInt)            \
  X(kUpdatedAt, "updated_at", kTime)               \
  X(kTokensIn, "tokens_in", kInt)                  \
  X(kTokensOut, "tokens_out", kInt)                \
  X(kCostUsd, "cost_usd", kReal)                   \
  X(kComponent, "component", kName)                \
  X(kInUse, "in_use", kInt)                        \
  X(kSize, "size", kInt)                           \
  X(kWaiters, "waiters", kInt)                     \
  X(kStatusText, "status", kWord)                  \
  X(kWaitMs, "wait_ms", kReal)                     \
  X(kSlowQueries, "slow_queries", kInt)            \
  X(kRollbacks, "rollbacks", kInt)                 \
  X(kActive, "active", kInt)                       \
  X(kBacklog, "backlog", kInt)                     \
  X(kOldestAgeMs, "oldest_age_ms", kReal)          \
  X(kDeadLetters, "dead_letters", kInt)            \
  X(kUp, "up", kBool)                              \
  X(kLatencyMs, "latency_ms", kReal)               \
  X(kCache, "cache", kName)                        \
  X(kOp, "op", kName)                              \
  X(kInstance, "instance", kName)                  \
  X(kVersion, "version", kName)                    \
  X(kGitSha, "git_sha", kId)                       \
  X(kUptimeSeconds, "uptime_seconds", kReal)       \
  X(kCpuSeconds, "cpu_seconds", kReal)             \
  X(kRssBytes, "rss_bytes", kInt)                  \
  X(kFds, "fds", kInt)                             \
  X(kThreads, "threads", kInt)                     \
  X(kSpanName, "span_name", kName)                 \
  X(kSpanKind, "span_kind", kName)                 \
  X(kSpanType, "span_type", kWord)                 \
  X(kSessionId, "session_id", kId)                 \
  X(kOperationType, "operation_type", kName)       \
  X(kModel, "model", kName)                        \
  X(kProvider, "provider", kName)                  \
  X(kEmbeddingDims, "embedding_dims", kInt)        \
  X(kBatchSize, "batch_size", kInt)                \
  X(kTopK, "top_k", kInt)                          \
  X(kResultsCount, "results_count", kInt)          \
  X(kTopScore, "top_score", kReal)                 \
  X(kDocumentId, "document_id", kId)               \
  X(kDocumentParser, "parser", kName)              \
  X(kPageCount, "page_count", kInt)                \
  X(kChunkCount, "chunk_count", kInt)              \
  X(kChunkSize, "chunk_size", kInt)                \
  X(kRole, "role", kWord)                          \
  X(kContent, "content", kFreeText)                \
  X(kSources, "sources", kJson)                    \
  X(kCitations, "citations", kJson)                \
  X(kTurn, "turn", kInt)                           \
  X(kEventType, "event_type", kWord)               \
  X(kBytes, "bytes", kInt)                         \
  X(kTokens, "tokens", kInt)                       \
  X(kResource, "resource", kName)                  \
  X(kRecordsSynced, "records_synced", kInt)        \
  X(kCursor, "cursor", kId)                        \
  X(kParentJobId, "parent_job_id", kName)          \
  X(kMetrics, "metrics", kJson)                    \
  X(kTaskAttempt, "task_attempt", kInt)

enum class Field : std::uint8_t {
#define RUNTAIL_ENUM(enumerator, name, type) enumerator,
  RUNTAIL_FIELDS(RUNTAIL_ENUM)
#undef RUNTAIL_ENUM
};

struct FieldSpec {
  std::string_view name;
  FieldType type;
};

inline constexpr FieldSpec kFieldSpecs[] = {
#define RUNTAIL_SPEC(enumerator, name, type) {name, FieldType::type},
    RUNTAIL_FIELDS(RUNTAIL_SPEC)
#undef RUNTAIL_SPEC
};
inline constexpr std::size_t kFieldCount = sizeof kFieldSpecs / sizeof kFieldSpecs[0];
static_assert(kFieldCount <= 128, "FieldSet keeps presence in two 64-bit words");

constexpr const FieldSpec& spec_of(Field field) { return kFieldSpecs[static_cast<std::size_t>(field)]; }

constexpr std::optional<Field> find_field(std::string_view name) {
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    if (kFieldSpecs[i].name == name) return static_cast<Field>(i);
  }
  return std::nullopt;
}

inline constexpr std::string_view kPhaseWords[] = {"extract", "transform", "load", "dq"};
inline constexpr std::string_view kSourceWords[] = {"api", "job", "frontend", "worker"};
inline constexpr std::string_view kOutcomeWords[] = {"success", "error", "retry"};
inline constexpr std::string_view kJobTypeWords[] = {"batch", "streaming"};
inline constexpr std::string_view kSpanTypeWords[] = {"llm", "embedding", "retrieval", "parse", "chunk"};
inline constexpr std::string_view kRoleWords[] = {"user", "assistant", "system", "tool"};
inline constexpr std::string_view kEventTypeWords[] = {"upload", "parse",  "chunk",    "embed",
                                                       "index",  "delete", "reprocess"};

// All a field of type kWord may hold, folded; empty: words.h or the dialect lists them, or the field is of another
// type.
constexpr std::span<const std::string_view> words_of(Field field) {
  switch (field) {
    case Field::kPhase:
      return kPhaseWords;
    case Field::kSource:
      return kSourceWords;
    case Field::kOutcome:
      return kOutcomeWords;
    case Field::kJobType:
      return kJobTypeWords;
    case Field::kSpanType:
      return kSpanTypeWords;
    case Field::kRole:
      return kRoleWords;
    case Field::kEventType:
      return kEventTypeWords;
    default:
      return {};
  }
}

}  // namespace runtail
