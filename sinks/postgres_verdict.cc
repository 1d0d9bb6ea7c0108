#include "sinks/postgres_verdict.h"

#include <algorithm>
#include <iterator>

namespace runtail {
namespace {

bool starts_with_any(std::string_view state, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return state.starts_with(prefix); });
}

// The server was not reached, or not trusted: libpq's own words.
std::string remedy_for_connection(std::string_view message) {
  const auto says = [&](std::string_view words) { return message.find(words) != std::string_view::npos; };
  if (says("does not match host name")) {
    return "postgres.url must name the server as its certificate does (host=NAME, hostaddr=ADDRESS)";
  }
  if (says("certificate verify failed") || says("root certificate")) {
    return "name the CA of the server's certificate in sslrootcert of postgres.url, or in PGSSLROOTCERT";
  }
  if (says("does not support SSL")) return "switch ssl on in the server, or choose another sslmode in postgres.url";
  return {};
}

std::string remedy_for(const PgError& error, const std::string& schema) {
  const std::string_view state = error.sqlstate;
  if (state.empty()) return remedy_for_connection(error.message);
  if (state.starts_with("28")) return "check the user of postgres.url, postgres.password_file and pg_hba.conf";
  if (state == "3D000") return "create the database, or mend its name in postgres.url; then run: runtail migrate";
  if (state == "42501") return "grant the user of postgres.url the rights of the writer role on schema " + schema;
  if (state == "23514") return "run: runtail migrate --maintain";
  if (state.starts_with("XX")) return "the server reports damage or an internal error; see its log";
  if (state == "25006" || state == "25P02")
    return "the server is a standby or read-only; point postgres.url at the primary";
  if (state == "53100") return "the disk of the database server is full; make room there";
  if (state == "53300")
    return "all connections of the server are taken; raise max_connections, or go through PgBouncer";
  if (state.starts_with("53")) return "the server lacks memory or another resource; see its log";
  if (state == "55P03") return "another session holds a lock the writer needs; see pg_locks and pg_stat_activity";
  if (state == "57014") {
    return "the server is slow or was told to cancel; see pg_stat_activity, or raise postgres.statement_timeout";
  }
  return {};
}

}  // namespace

PgVerdict judge(const PgError& error) {
  const std::string_view state = error.sqlstate;
  if (error.is_connection_failure()) return PgVerdict::kRetry;
  if (state == "23514") return error.constraint_name.empty() ? PgVerdict::kPartitionMissing : PgVerdict::kBadRow;
  if (state == "23503") return PgVerdict::kParentGone;
  if (state == "23505") return PgVerdict::kDuplicateRow;
  // 21000 is two rows for one key: row by row there can be no two.
  if (starts_with_any(state, {"22", "23502", "54", "21000"})) return PgVerdict::kBadRow;
  // 26000, 42P05: a pooler lost or doubled a statement.
  if (starts_with_any(state, {"40001", "40P01", "53", "55P03", "57", "25006", "58", "26000", "42P05"})) {
    return PgVerdict::kRetry;
  }
  return PgVerdict::kOperator;
}

bool is_about_schema(const PgError& error) {
  for (const std::string_view state : {"3F000", "42P01", "42703", "42704", "42804", "42883", "42P10"}) {
    if (error.sqlstate == state) return true;
  }
  return false;
}

std::string_view dead_letter_reason(const PgError& error) {
  if (error.sqlstate.starts_with("23")) return "constraint";
  return error.sqlstate.starts_with("54") ? "too_large" : "bad_value";
}

std::string explain(const PgError& error, const std::string& schema) {
  std::string text = error.message;
  if (!error.sqlstate.empty()) text += " (SQLSTATE " + error.sqlstate + ')';
  const std::string remedy = remedy_for(error, schema);
  return remedy.empty() ? text : text + "; " + remedy;
}

PgError partition_missing(std::string_view table) {
  PgError error("23514", "no partition of table " + std::string(table) + " for the time of a row");
  error.table_name = table;
  return error;
}

}  // namespace runtail
