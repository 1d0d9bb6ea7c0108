#include "history/trace_queries.h"

namespace runtail {
namespace {

template <typename Row>
Query<Row> rows_where(std::string_view name, const char* column, const auto& value, const TimeRange& range,
                      const char* order, int limit, int skip = 0) {
  Statement statement("SELECT " + select_list<Row>() + " FROM {{schema}}." + std::string(Row::kTable) + " WHERE " +
                      column + " = ");
  statement.bind(value).add(" AND ts >= ").bind(range.from).add(" AND ts < ").bind(range.to);
  statement.page_follows().add(" ORDER BY ").add(order).limit(limit).skip(skip);
  return std::move(statement).template as<Row>(name);
}

}  // namespace

Query<SpanRow> spans_of_trace(const std::string& trace_id, const TimeRange& range, int limit) {
  return rows_where<SpanRow>("spans_of_trace", "trace_id", trace_id, range, "ts, id", limit);
}
Query<SpanRow> spans_of_run(const Uuid& run_id, const TimeRange& range, int limit, int skip) {
  return rows_where<SpanRow>("spans_of_run", "run_id", run_id, range, "ts, id", limit, skip);
}
Query<ChatMessageRow> messages_of_session(const std::string& session_id, const TimeRange& range, int limit) {
  return rows_where<ChatMessageRow>("messages_of_session", "session_id", session_id, range, "ts, id", limit);
}
Query<DocumentEventRow> events_of_document(const std::string& document_id, const TimeRange& range, int limit) {
  return rows_where<DocumentEventRow>("events_of_document", "document_id", document_id, range, "ts DESC, id", limit);
}

}  // namespace runtail
