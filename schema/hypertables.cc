#include "schema/hypertables.h"

#include <utility>

namespace runtail {
namespace {

struct Chunks {
  std::string_view table, column, interval;
};
// Those that nothing refers to by a foreign key and that may be left out.
constexpr Chunks kChunks[] = {{"traces", "bucket", "1 day"},
                              {"spans", "ts", "1 day"},
                              {"chat_messages", "ts", "7 days"},
                              {"document_events", "ts", "1 day"},
                              {"metrics_aggregates", "bucket", "7 days"}};

}  // namespace

PgOutcome<std::optional<std::string>> timescale_schema(PgConnection& connection) {
  auto rows = connection.exec(
      "SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace "
      "WHERE e.extname = 'timescaledb'");
  if (!rows) return rows.error();
  if (rows->rows() == 0) return std::optional<std::string>();
  return std::optional(std::string(rows->text(0, 0)));
}

std::string with_hypertables(std::string_view up, const std::string& timescale) {
  std::string sql(up);
  for (const Chunks& each : kChunks) {
    const std::string name = "{{schema}}." + std::string(each.table);
    const std::size_t begin = sql.find("CREATE TABLE " + name + " (");
    if (begin == std::string::npos) continue;
    const std::string clause = " PARTITION BY RANGE (" + std::string(each.column) + ");";
    const std::size_t at = sql.find(clause, begin);
    if (at == std::string::npos) continue;
    sql.replace(at, clause.size(),
                ";\nSELECT " + quote_identifier(timescale) + ".create_hypertable($name$" + name + "$name$, '" +
                    std::string(each.column) + "', chunk_time_interval => interval '" + std::string(each.interval) +
                    "', create_default_indexes => false);");
  }
  return sql;
}

PgOutcome<std::set<std::string, std::less<>>> hypertables(PgConnection& connection, const std::string& schema) {
  std::set<std::string, std::less<>> tables;
  auto timescale = timescale_schema(connection);
  if (!timescale) return timescale.error();
  if (!*timescale) return tables;
  const std::optional<std::string> params[] = {schema};
  auto rows = connection.query(
      "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = $1", params);
  if (!rows) return rows.error();
  for (int row = 0; row < rows->rows(); ++row) tables.emplace(rows->text(row, 0));
  return tables;
}

PgOutcome<std::int64_t> drop_chunks(PgConnection& connection, const std::string& schema, const std::string& table,
                                    TimePoint bound, std::chrono::milliseconds lock_timeout) {
  auto timescale = timescale_schema(connection);
  if (!timescale) return timescale.error();
  if (!*timescale) return 0;
  // More than one statement is one transaction.
  auto dropped = connection.exec("SET LOCAL lock_timeout = " + std::to_string(lock_timeout.count()) +
                                 "; SELECT count(*) FROM " + quote_identifier(**timescale) + ".drop_chunks(" +
                                 quote_literal(quote_identifier(schema) + "." + table) + ", older_than => " +
                                 quote_literal(to_rfc3339(bound)) + "::timestamptz)");
  if (!dropped) return dropped.error();
  return dropped->integer(0, 0);
}

}  // namespace runtail
