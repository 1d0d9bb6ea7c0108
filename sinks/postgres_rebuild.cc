#include "sinks/postgres_rebuild.h"

#include <optional>

namespace runtail {
namespace {

// Who wrote a row and by which rules, and what other rows decide.
constexpr const char* kAside = "'{agent_id,ruleset,retry_of,dq_status,dq_findings}'::text[]";

std::string replaced(std::string text, const std::string& schema) {
  const auto put = [&](std::string_view what, const std::string& with) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
      text.replace(at, what.size(), with);
    }
  };
  put("{{schema}}", quote_identifier(schema));
  put("{{aside}}", kAside);
  return text;
}

constexpr const char* kUncovered = R"(
SELECT count(*) FROM pg_temp.source_facts e LEFT JOIN {{schema}}.source_facts r
  ON (r.stream, r.file_key, r.generation) = (e.stream, e.file_key, e.generation)
WHERE r.covered IS NULL OR NOT r.covered @> e.covered)";

// Whether the database knows more of a run than these files tell.
constexpr const char* kKnowsMore = R"(
  r.verdict_source IN ('exit', 'inferred') OR r.exit_code IS DISTINCT FROM e.exit_code OR EXISTS (
    SELECT FROM {{schema}}.log_events l WHERE l.run_id = i.run_id
    AND NOT EXISTS (SELECT FROM pg_temp.log_events p WHERE p.event_id = l.event_id AND p.ts = l.ts))
    OR r.first_event_at < e.first_event_at OR r.last_event_at > e.last_event_at
FROM pg_temp.run_ids i
JOIN pg_temp.job_runs e ON e.run_id = i.run_id
LEFT JOIN {{schema}}.job_runs r ON r.run_id = i.run_id
)";

constexpr const char* kDiffering = R"(
WHERE to_jsonb(e) - {{aside}} IS DISTINCT FROM to_jsonb(r) - {{aside}}
  OR (SELECT jsonb_agg(to_jsonb(a) - {{aside}} ORDER BY a.id) FROM pg_temp.run_attempts a WHERE a.run_id = i.run_id)
    IS DISTINCT FROM
     (SELECT jsonb_agg(to_jsonb(a) - {{aside}} ORDER BY a.id) FROM {{schema}}.run_attempts a WHERE a.run_id = i.run_id)
  OR (SELECT jsonb_agg(to_jsonb(t) - {{aside}} ORDER BY t.task_run_id) FROM pg_temp.task_runs t
      WHERE t.run_id = i.run_id)
    IS DISTINCT FROM
     (SELECT jsonb_agg(to_jsonb(t) - {{aside}} ORDER BY t.task_run_id) FROM {{schema}}.task_runs t
      WHERE t.run_id = i.run_id)
ORDER BY i.run_id)";

// Columns that may be written, with a comma between.
PgOutcome<std::string> columns_of(PgConnection& connection, const std::string& schema, const std::string& table) {
  const std::optional<std::string> params[] = {quote_identifier(schema) + "." + quote_identifier(table)};
  auto found = connection.query(
      "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = $1::regclass "
      "AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
      params);
  if (!found) return found.error();
  return std::string(found->text(0, 0));
}

}  // namespace

PgOutcome<void> rebuild_from_rehearsal(PgConnection& connection, const std::string& schema, const std::string& agent_id,
                                       Rebuild& done) {
  auto uncovered = connection.exec(replaced(kUncovered, schema));
  if (!uncovered) return uncovered.error();
  if (uncovered->integer(0, 0) > 0) {
    return PgError{"55000", "not all of these files is in the database yet: replay them first"};
  }
  auto differing =
      connection.exec(replaced(std::string("SELECT i.run_id, r.status, e.status, ") + kKnowsMore + kDiffering, schema));
  if (!differing) return differing.error();
  std::string copies;
  for (const char* table : {"job_runs", "run_attempts", "task_runs"}) {
    auto columns = columns_of(connection, schema, table);
    if (!columns) return columns.error();
    copies += std::string("INSERT INTO {{schema}}.") + table + " (" + *columns + ") SELECT " + *columns +
              " FROM pg_temp." + table + " WHERE run_id = {{run}};";
  }
  const std::string lock = replaced(R"(
BEGIN ISOLATION LEVEL READ COMMITTED;
INSERT INTO {{schema}}.etl_jobs SELECT j.* FROM pg_temp.etl_jobs j JOIN pg_temp.job_runs e ON e.job_id = j.job_id
  WHERE e.run_id = {{run}} ON CONFLICT DO NOTHING;
INSERT INTO {{schema}}.run_ids SELECT * FROM pg_temp.run_ids WHERE run_id = {{run}} ON CONFLICT DO NOTHING;
SELECT FROM {{schema}}.run_ids WHERE run_id = {{run}} FOR UPDATE)",
                                    schema);
  // What the agent stored since the first look counts, too: behind the lock it stores no more of this run.
  const std::string look = replaced(std::string("SELECT ") + kKnowsMore + "WHERE i.run_id = {{run}}", schema);
  const std::string anew = replaced(R"(
INSERT INTO {{schema}}.summary_dirty
  SELECT job_id, coalesce(environment, ''), (scheduled_at AT TIME ZONE 'UTC')::date, now() FROM (
    SELECT job_id, environment, scheduled_at FROM {{schema}}.job_runs WHERE run_id = {{run}}
    UNION SELECT job_id, environment, scheduled_at FROM pg_temp.job_runs WHERE run_id = {{run}}) AS days
  ON CONFLICT DO NOTHING;
INSERT INTO {{schema}}.run_state_changes
  SELECT gen_random_uuid(), e.run_id, e.state_attempt, 'rebuild', r.status, e.status, e.verdict_source, e.state_event,
    {{agent}}, e.state_at
  FROM pg_temp.job_runs e LEFT JOIN {{schema}}.job_runs r ON r.run_id = e.run_id WHERE e.run_id = {{run}};
UPDATE pg_temp.job_runs e SET retry_of = r.retry_of, dq_status = r.dq_status, dq_findings = r.dq_findings
  FROM {{schema}}.job_runs r WHERE r.run_id = e.run_id AND e.run_id = {{run}};
DELETE FROM {{schema}}.job_runs WHERE run_id = {{run}};
DELETE FROM {{schema}}.run_attempts WHERE run_id = {{run}};
DELETE FROM {{schema}}.task_runs WHERE run_id = {{run}};
UPDATE {{schema}}.run_ids r SET scheduled_at = e.scheduled_at, scheduled_stated = e.scheduled_stated
  FROM pg_temp.run_ids e WHERE e.run_id = r.run_id AND r.run_id = {{run}};
)" + copies + "COMMIT",
                                    schema);

  for (int row = 0; row < differing->rows(); ++row) {
    const std::string run(differing->text(row, 0));
    if (differing->boolean(row, 3)) {
      done.left.push_back(run);
      continue;
    }
    const auto of_run = [&](std::string sql) {
      for (const auto& [what, with] :
           {std::pair(std::string("{{run}}"), quote_literal(run) + "::uuid"), {"{{agent}}", quote_literal(agent_id)}}) {
        for (std::size_t at = 0; (at = sql.find(what, at)) != std::string::npos; at += with.size()) {
          sql.replace(at, what.size(), with);
        }
      }
      return sql;
    };
    auto made = connection.exec(of_run(lock));
    if (made) made = connection.exec(of_run(look));
    if (made && made->rows() == 1 && made->boolean(0, 0)) {
      if (auto undone = connection.exec("ROLLBACK"); !undone) return undone.error();
      done.left.push_back(run);
      continue;
    }
    if (made) made = connection.exec(of_run(anew));
    if (!made) {
      const PgError error = made.error();
      if (connection.is_alive()) (void)connection.exec("ROLLBACK");
      return error;
    }
    done.runs.push_back({run, std::string(differing->text(row, 1)), std::string(differing->text(row, 2))});
  }
  return {};
}

}  // namespace runtail
