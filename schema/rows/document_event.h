// A step of document processing. Optional group.
#pragma once

#include "schema/row.h"

namespace runtail {

struct DocumentEventRow {
  static constexpr std::string_view kTable = "document_events";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = true;

  Uuid id;
  TimePoint ts{};
  std::string document_id, event_type;
  std::optional<std::string> status, job_id;
  std::optional<Uuid> run_id;
  std::optional<std::string> trace_id, user_id;
  std::optional<std::int64_t> duration_ms;
  std::optional<std::int32_t> page_count, chunk_count;
  std::optional<std::int64_t> tokens;
  std::optional<UsdMicros> cost_usd;
  std::optional<std::int64_t> bytes;
  std::optional<std::string> error_category, error_message;
  std::optional<Json> metadata;
  bool operator==(const DocumentEventRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("ts", row.ts);
    visit("document_id", row.document_id);
    visit("event_type", row.event_type);
    visit("status", row.status);
    visit("job_id", row.job_id);
    visit("run_id", row.run_id);
    visit("trace_id", row.trace_id);
    visit("user_id", row.user_id);
    visit("duration_ms", row.duration_ms);
    visit("page_count", row.page_count);
    visit("chunk_count", row.chunk_count);
    visit("tokens", row.tokens);
    visit("cost_usd", row.cost_usd);
    visit("bytes", row.bytes);
    visit("error_category", row.error_category);
    visit("error_message", row.error_message);
    visit("metadata", row.metadata);
  }
};

}  // namespace runtail
