#include "sinks/postgres_record_writer.h"

namespace runtail {
namespace {

PgOutcome<PgResult> run(PgConnection& connection, const std::string& statement, std::string rows) {
  const std::optional<std::string> params[] = {std::move(rows)};
  return connection.query(statement, params);
}

// Merged first, which locks the rows; then what is computed of them.
PgOutcome<void> merge_aggregates(PgConnection& connection, const PostgresRecordStatements& sql,
                                 const PostgresAggregateFold& aggregates) {
  auto merged = run(connection, sql.merge_aggregates, aggregates.rows());
  if (!merged) return merged.error();
  JsonRows rows;
  for (int row = 0; row < merged->rows(); ++row) {
    const auto quantiles =
        quantiles_of_row(merged->text(row, 2), merged->text(row, 3), static_cast<double>(merged->integer(row, 4)) / 1e6,
                         static_cast<double>(merged->integer(row, 5)) / 1e6);
    if (!quantiles) continue;
    rows.begin_row();
    rows.text("id", merged->text(row, 0));
    rows.time("bucket", from_micros(merged->integer(row, 1)));
    rows.real("p50", quantiles->p50);
    rows.real("p95", quantiles->p95);
    rows.real("p99", quantiles->p99);
  }
  if (rows.empty()) return {};
  auto set = run(connection, sql.set_quantiles, rows.take());
  if (!set) return set.error();
  return {};
}

}  // namespace

PgOutcome<RecordCounts> write_records(PgConnection& connection, const PostgresRecordStatements& sql,
                                      PostgresRecordFold& fold, const PostgresAggregateFold& aggregates) {
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
  if (std::string rows = fold.take_snapshots(); !rows.empty()) {
    auto done = run(connection, sql.insert_snapshots, std::move(rows));
    if (!done) return done.error();
    there[Table::kMetricSnapshots] = fold.snapshots() - static_cast<std::uint64_t>(done->affected());
  }
  if (std::string rows = fold.take_providers(); !rows.empty()) {
    if (auto done = run(connection, sql.upsert_providers, std::move(rows)); !done) return done.error();
  }
  if (std::string rows = fold.take_heartbeats(); !rows.empty()) {
    if (auto done = run(connection, sql.upsert_heartbeats, std::move(rows)); !done) return done.error();
  }
  if (!aggregates.empty()) {
    if (auto done = merge_aggregates(connection, sql, aggregates); !done) return done.error();
  }
  return there;
}

}  // namespace runtail
