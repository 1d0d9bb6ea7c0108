// Traces (one row for each UTC day of one) and their spans. Optional group.
#pragma once

#include "schema/row.h"

namespace runtail {

struct TraceRow {
  static constexpr std::string_view kTable = "traces";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  TimePoint bucket{};
  std::string trace_id;
  std::optional<std::string> root_span_id, name, service, environment, job_id;
  std::optional<Uuid> run_id;
  std::optional<std::string> user_id, session_id, operation_type, correlation_id, request_id;
  std::optional<Json> metadata;
  std::optional<std::string> status;
  std::optional<TimePoint> started_at, ended_at;
  std::optional<std::int64_t> span_count, error_count, tokens_in, tokens_out;
  std::optional<UsdMicros> cost_usd;
  bool operator==(const TraceRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("bucket", row.bucket);
    visit("trace_id", row.trace_id);
    visit("root_span_id", row.root_span_id);
    visit("name", row.name);
    visit("service", row.service);
    visit("environment", row.environment);
    visit("job_id", row.job_id);
    visit("run_id", row.run_id);
    visit("user_id", row.user_id);
    visit("session_id", row.session_id);
    visit("operation_type", row.operation_type);
    visit("correlation_id", row.correlation_id);
    visit("request_id", row.request_id);
    visit("metadata", row.metadata);
    visit("status", row.status);
    visit("started_at", row.started_at);
    visit("ended_at", row.ended_at);
    visit("span_count", row.span_count);
    visit("error_count", row.error_count);
    visit("tokens_in", row.tokens_in);
    visit("tokens_out", row.tokens_out);
    visit("cost_usd", row.cost_usd);
  }
};

struct SpanRow {
  static constexpr std::string_view kTable = "spans";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = true;

  Uuid id;
  TimePoint ts{};
  std::string span_id, trace_id;
  std::optional<std::string> parent_span_id, name, span_type, kind, service, job_id;
  std::optional<Uuid> run_id;
  std::optional<std::string> status;
  std::optional<double> duration_ms;
  std::optional<std::string> user_id, session_id, operation_type;
  std::optional<Json> metadata;
  std::optional<std::string> error_category, error_message, model, provider;
  std::optional<std::int64_t> tokens_in, tokens_out;
  std::optional<UsdMicros> cost_usd;
  std::optional<std::int32_t> embedding_dims, batch_size, top_k, results_count;
  std::optional<double> top_score;
  std::optional<std::string> document_id, parser;
  std::optional<std::int32_t> page_count, chunk_count, chunk_size;
  bool operator==(const SpanRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("ts", row.ts);
    visit("span_id", row.span_id);
    visit("trace_id", row.trace_id);
    visit("parent_span_id", row.parent_span_id);
    visit("name", row.name);
    visit("span_type", row.span_type);
    visit("kind", row.kind);
    visit("service", row.service);
    visit("job_id", row.job_id);
    visit("run_id", row.run_id);
    visit("status", row.status);
    visit("duration_ms", row.duration_ms);
    visit("user_id", row.user_id);
    visit("session_id", row.session_id);
    visit("operation_type", row.operation_type);
    visit("metadata", row.metadata);
    visit("error_category", row.error_category);
    visit("error_message", row.error_message);
    visit("model", row.model);
    visit("provider", row.provider);
    visit("tokens_in", row.tokens_in);
    visit("tokens_out", row.tokens_out);
    visit("cost_usd", row.cost_usd);
    visit("embedding_dims", row.embedding_dims);
    visit("batch_size", row.batch_size);
    visit("top_k", row.top_k);
    visit("results_count", row.results_count);
    visit("top_score", row.top_score);
    visit("document_id", row.document_id);
    visit("parser", row.parser);
    visit("page_count", row.page_count);
    visit("chunk_count", row.chunk_count);
    visit("chunk_size", row.chunk_size);
  }
};

}  // namespace runtail
