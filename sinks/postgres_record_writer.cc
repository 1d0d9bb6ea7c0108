#include "sinks/postgres_record_writer.h"

namespace runtail {
namespace {

PgOutcome<PgResult> run(PgConnection& connection, const std::string& statement, std::string rows) {
  const std::optional<std::string> params[] = {std::move(rows)};
  return connection.query(statement, params);
}

}  // namespace

PgOutcome<RecordCounts> write_records(PgConnection& connection, const PostgresRecordStatements& sql,
                                      PostgresRecordFold& fold) {
  RecordCounts there;
  if (std::string rows = fold.take_spans(); !rows.empty()) {
    auto done = run(connection, sql.insert_spans, std::move(rows));
    if (!done) return done.error();
    there[Table::kSpans] = there[Table::kTraces] = fold.spans() - static_cast<std::uint64_t>(done->integer(0, 0));
  }
  if (std::string rows = fold.take_chats(); !rows.empty()) {
    auto done = run(connection, sql.insert_chats, std::move(rows));
    if (!done) return done.error();
    there[Table::kChatMessages] = fold.chats() - static_cast<std::uint64_t>(done->affected());
  }
  if (std::string rows = fold.take_documents(); !rows.empty()) {
    auto done = run(connection, sql.insert_documents, std::move(rows));
    if (!done) return done.error();
    there[Table::kDocumentEvents] = fold.documents() - static_cast<std::uint64_t>(done->affected());
  }
  if (std::string rows = fold.take_providers(); !rows.empty()) {
    if (auto done = run(connection, sql.upsert_providers, std::move(rows)); !done) return done.error();
  }
  if (std::string rows = fold.take_heartbeats(); !rows.empty()) {
    if (auto done = run(connection, sql.upsert_heartbeats, std::move(rows)); !done) return done.error();
  }
  return there;
}

}  // namespace runtail
