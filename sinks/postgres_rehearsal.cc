#include "sinks/postgres_rehearsal.h"

#include <algorithm>

#include "sinks/postgres_start.h"

namespace runtail {
namespace {

constexpr int kExamplesMax = 5;

struct ComparedTable {
  const char* table;
  const char* key;       // columns of the primary key; "e" and "r" are the expected and the stored row
  const char* expected;  // which expected rows have to be there
  const char* extra;     // which stored rows may not be there without being expected
};

// What depends on lines of other files too is not compared: dataset_status, traces, aggregates, heartbeats, providers.
constexpr ComparedTable kCompared[] = {
    {"job_runs", "run_id", "true",
     "r.job_id IN (SELECT job_id FROM pg_temp.job_runs) AND "
     "r.first_event_at BETWEEN (SELECT min(first_event_at) FROM pg_temp.job_runs) AND "
     "(SELECT max(last_event_at) FROM pg_temp.job_runs) AND NOT EXISTS (SELECT FROM {{schema}}.log_events l "
     "WHERE l.run_id = r.run_id AND l.stream NOT IN (SELECT stream FROM pg_temp.source_files))"},
    {"run_attempts", "id", "true", "r.run_id IN (SELECT run_id FROM pg_temp.run_ids)"},
    {"task_runs", "task_run_id", "true", "r.run_id IN (SELECT run_id FROM pg_temp.run_ids)"},
    {"dq_observations", "id, observed_at", "true", "r.run_id IN (SELECT run_id FROM pg_temp.run_ids)"},
    {"dq_check_results", "id, created_at", "true",
     "r.type = 'reported' AND r.run_id IN (SELECT run_id FROM pg_temp.run_ids)"},
    {"log_events", "event_id, ts", "(e.level IN ('WARN', 'ERROR', 'FATAL') OR {{all_lines}})",
     "r.ts BETWEEN (SELECT min(ts) FROM pg_temp.log_events) AND (SELECT max(ts) FROM pg_temp.log_events) AND "
     "EXISTS (SELECT FROM windows w WHERE w.stream = r.stream AND r.ts BETWEEN w.first AND w.last)"},
    {"spans", "id, ts", "true", "false"},
    {"chat_messages", "id, ts", "true", "false"},
    {"document_events", "id, ts", "true", "false"},
};

// Who wrote a row and by which rules, and what other rows than those of the files decide.
constexpr const char* kAside = "'{agent_id,ruleset,redaction_counts,retry_of,dq_status,dq_findings,stored_in}'::text[]";

void replace(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

std::string joined(const std::string& key) {
  std::string out;
  for (std::size_t at = 0; at < key.size();) {
    const std::size_t end = std::min(key.find(", ", at), key.size());
    const std::string column = key.substr(at, end - at);
    out += (out.empty() ? "" : " AND ") + ("r." + column + " = e." + column);
    at = end + 2;
  }
  return out;
}

std::string first_column(const std::string& key) { return key.substr(0, key.find(',')); }

std::string comparison(const ComparedTable& each, const std::string& schema, bool all_lines) {
  std::string sql = R"(
WITH windows AS MATERIALIZED (
  SELECT stream, min(ts) AS first, max(ts) AS last FROM pg_temp.log_events GROUP BY stream
), differing AS (
  SELECT 'missing' AS what, e.{{id}}::text AS example FROM pg_temp.{{table}} e
  WHERE {{expected}} AND NOT EXISTS (SELECT FROM {{schema}}.{{table}} r WHERE {{same}})
  UNION ALL
  SELECT 'changed', e.{{id}}::text || ' (' || (
    SELECT string_agg(a.key, ', ' ORDER BY a.key) FROM jsonb_each(to_jsonb(e)) a
    JOIN jsonb_each(to_jsonb(r)) b ON b.key = a.key WHERE a.value <> b.value AND a.key <> ALL({{aside}})) || ')'
  FROM pg_temp.{{table}} e JOIN {{schema}}.{{table}} r ON {{same}}
  WHERE to_jsonb(e) - {{aside}} <> to_jsonb(r) - {{aside}}
  UNION ALL
  SELECT 'extra', r.{{id}}::text FROM {{schema}}.{{table}} r
  WHERE {{extra}} AND NOT EXISTS (SELECT FROM pg_temp.{{table}} e WHERE {{same}}))
SELECT what, count(*), array_to_string((array_agg(example ORDER BY example))[1:{{examples}}], E'\n')
FROM differing GROUP BY what ORDER BY what)";
  replace(sql, "{{expected}}", each.expected);
  replace(sql, "{{extra}}", each.extra);
  replace(sql, "{{all_lines}}", all_lines ? "true" : "false");
  replace(sql, "{{same}}", joined(each.key));
  replace(sql, "{{id}}", first_column(each.key));
  replace(sql, "{{table}}", each.table);
  replace(sql, "{{aside}}", kAside);
  replace(sql, "{{examples}}", std::to_string(kExamplesMax));
  replace(sql, "{{schema}}", quote_identifier(schema));
  return sql;
}

}  // namespace

PgOutcome<void> make_rehearsal_tables(PgConnection& connection, const std::string& schema,
                                      const std::vector<std::string>& absent) {
  for (const std::string_view table : written_tables()) {
    if (std::find(absent.begin(), absent.end(), table) != absent.end()) continue;
    const std::string name = quote_identifier(table);
    auto made = connection.exec("CREATE TEMP TABLE " + name + " (LIKE " + quote_identifier(schema) + "." + name +
                                " INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING INDEXES)");
    if (!made) return made.error();
  }
  // A run that moves to another month takes its row along, and a run that goes its attempts.
  auto bound = connection.exec(
      "ALTER TABLE pg_temp.job_runs ADD FOREIGN KEY (run_id, scheduled_at) REFERENCES pg_temp.run_ids (run_id, "
      "scheduled_at) ON UPDATE CASCADE ON DELETE CASCADE");
  if (!bound) return bound.error();
  return {};
}

PgOutcome<std::vector<RowDifference>> compare_rehearsal(PgConnection& connection, const std::string& schema,
                                                        const std::vector<std::string>& absent, bool all_lines) {
  std::vector<RowDifference> out;
  for (const ComparedTable& each : kCompared) {
    if (std::find(absent.begin(), absent.end(), each.table) != absent.end()) continue;
    if (auto analyzed = connection.exec("ANALYZE pg_temp." + std::string(each.table)); !analyzed) {
      return analyzed.error();
    }
    auto found = connection.exec(comparison(each, schema, all_lines));
    if (!found) return found.error();
    for (int row = 0; row < found->rows(); ++row) {
      RowDifference& difference = out.emplace_back();
      difference.table = each.table;
      difference.what = found->text(row, 0);
      difference.rows = static_cast<std::uint64_t>(found->integer(row, 1));
      std::string_view examples = found->text(row, 2);
      while (!examples.empty()) {
        const std::size_t end = std::min(examples.find('\n'), examples.size());
        difference.examples.emplace_back(examples.substr(0, end));
        examples.remove_prefix(std::min(end + 1, examples.size()));
      }
    }
  }
  return out;
}

}  // namespace runtail
