#include "tests/support/table_digests.h"

#include <set>

namespace runtail::test {
namespace {

const std::set<std::string> kBookkeeping = {
    "etl_jobs.created_at",        "etl_jobs.updated_at",           "dq_check_definitions.updated_at",
    "dq_observations.stored_in",  "summary_dirty.since",           "source_files.confirm",
    "source_files.first_seen_at", "source_files.last_advanced_at", "source_facts.last_advanced_at",
    "source_files.covers_until",  "source_facts.covers_until",     "summary_dirty.day"};
const std::set<std::string> kOtherTables = {"run_state_changes", "schema_migrations", "identity_key", "summary_dirty",
                                            "metric_snapshots",  "fleet_counts",      "fleet_totals"};

// Rows in which an agent tells of itself.
std::string without_own_rows(const std::string& table) {
  if (table == "service_heartbeats") return " WHERE t.service <> 'runtail'";
  return table == "source_files" || table == "source_facts" ? " WHERE t.stream NOT LIKE '%/runtail/self'" : "";
}

}  // namespace

std::map<std::string, std::string> table_digests(const Sql& sql) {
  std::map<std::string, std::string> columns;
  for (const std::string& name : sql.rows(
           "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
           "WHERE c.relnamespace = 'observability'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
           "AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1")) {
    const std::string table = name.substr(0, name.find('.')), column = name.substr(name.find('.') + 1);
    if (kOtherTables.contains(table) || kBookkeeping.contains(name) || column == "agent_id") continue;
    std::string& list = columns[table];
    list += (list.empty() ? "t." : ", t.") + column;
  }
  std::map<std::string, std::string> out;
  for (const auto& [table, list] : columns) {
    const std::string digest = sql.rows(
        "SELECT count(*) || ' ' || md5(string_agg(r, E'\\n' ORDER BY r)) FROM "
        "(SELECT ROW(" +
        list + ")::text AS r FROM observability." + table + " t" + without_own_rows(table) + ") AS rows")[0];
    if (!digest.empty()) out[table] = digest;
  }
  return out;
}

}  // namespace runtail::test
