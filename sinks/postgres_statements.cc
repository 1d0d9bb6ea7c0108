#include "sinks/postgres_statements.h"

#include <span>
#include <utility>
#include <vector>

#include "core/run_state.h"
#include "schema/pg.h"
#include "schema/run_quality.h"
#include "sinks/postgres_log_row.h"

namespace runtail {
namespace {

// How the value of a column and that of a new row become one; core/run_state.h says the same in
// C++, and a test holds the two together.
enum class Merge {
  kKeep,  // key columns, and what never changes
  kOnce,  // set-once: null loses, of two values the smaller in byte order stays (least() does both)
  kMin,
  kMax,
  kOr,
  kSum,      // up to kSumMax
  kCost,     // up to kCostMicrosMax
  kState,    // moves with the state group
  kError,    // moves with the error group
  kJob,      // ranked: lower rank, then smaller
  kMetrics,  // as core/run_metrics.h
};

struct Column {
  std::string_view name;
  std::string_view type;
  Merge merge = Merge::kKeep;
};

struct Upsert {
  std::string_view table;
  std::string_view key;          // conflict target; also the order of rows
  std::vector<Column> columns;   // members of the JSON rows
  std::string_view state_stamp;  // columns of the stamp, in order of weight
  std::string_view error_stamp;
  // A column taken from a table joined to the rows instead of from them.
  std::string_view joined_column, join;
  std::string_view returning;
};

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// "a, b" with "t." before each: "(t.a, t.b)".
std::string stamp_of(std::string_view row, std::string_view columns) {
  const std::string prefix = std::string(row) + '.';
  return '(' + prefix + replace_all(std::string(columns), ", ", ", " + prefix) + ')';
}

// least() passes over nulls, so it may see none.
std::string bounded_sum(const std::string& old, const std::string& fresh, const std::string& max) {
  return "CASE WHEN " + old + " IS NULL OR " + fresh + " IS NULL THEN coalesce(" + old + ", " + fresh +
         ") ELSE least(" + old + " + " + fresh + ", " + max + ") END";
}

// The attempt is in the object: of one attempt it is the same in both, and so the greater of the two.
constexpr std::string_view kMergedMetrics = R"(CASE
  WHEN {{old}} IS NULL OR {{fresh}} IS NULL THEN coalesce({{old}}, {{fresh}})
  WHEN ({{old}}->>'attempt')::int <> ({{fresh}}->>'attempt')::int THEN
    CASE WHEN ({{old}}->>'attempt')::int > ({{fresh}}->>'attempt')::int THEN {{old}} ELSE {{fresh}} END
  ELSE jsonb_build_object('attempt', {{old}}->'attempt') || coalesce((SELECT jsonb_object_agg(u.key, u.value) FROM (
    SELECT key, max(value::numeric) AS value
    FROM (SELECT * FROM jsonb_each_text({{old}}) UNION ALL SELECT * FROM jsonb_each_text({{fresh}})) both_of_them
    WHERE key <> 'attempt' GROUP BY key ORDER BY key COLLATE "C" LIMIT {{members}}) u), '{}') END)";

std::string merged(const Upsert& upsert, const Column& column) {
  const std::string old = "t." + std::string(column.name), fresh = "excluded." + std::string(column.name);
  const auto newer = [](std::string_view stamp) { return stamp_of("excluded", stamp) + " > " + stamp_of("t", stamp); };
  switch (column.merge) {
    case Merge::kKeep:
      break;
    case Merge::kOnce:
    case Merge::kMin:
      return "least(" + old + ", " + fresh + ")";
    case Merge::kMax:
      return "greatest(" + old + ", " + fresh + ")";
    case Merge::kOr:
      return old + " OR " + fresh;
    case Merge::kSum:
      return bounded_sum(old, fresh, std::to_string(kSumMax));
    case Merge::kCost:
      return bounded_sum(old, fresh, std::to_string(kCostMicrosMax) + " / 1000000.0");
    case Merge::kState:
      return "CASE WHEN " + newer(upsert.state_stamp) + " THEN " + fresh + " ELSE " + old + " END";
    case Merge::kError:
      return "CASE WHEN excluded.error_at IS NOT NULL AND (t.error_at IS NULL OR " + newer(upsert.error_stamp) +
             ") THEN " + fresh + " ELSE " + old + " END";
    case Merge::kMetrics:
      return replace_all(replace_all(replace_all(std::string(kMergedMetrics), "{{old}}", old), "{{fresh}}", fresh),
                         "{{members}}", std::to_string(RunMetrics::kMembersMax));
    case Merge::kJob:
      return "CASE WHEN (excluded.job_id_rank, excluded.job_id) < (t.job_id_rank, t.job_id) THEN " + fresh + " ELSE " +
             old + " END";
  }
  return old;
}

std::string upsert_sql(const std::string& schema, const Upsert& upsert) {
  std::string names, values, types, changes;
  const auto append = [](std::string& list, std::string_view item) {
    if (!list.empty()) list += ", ";
    list += item;
  };
  if (!upsert.joined_column.empty()) {
    append(names, upsert.joined_column);
    append(values, "r." + std::string(upsert.joined_column));
  }
  for (const Column& column : upsert.columns) {
    append(names, column.name);
    append(values, "f." + std::string(column.name));
    append(types, std::string(column.name) + ' ' + std::string(column.type));
    if (column.merge != Merge::kKeep) append(changes, std::string(column.name) + " = " + merged(upsert, column));
  }
  const std::string table(upsert.table), first(upsert.columns.front().name);
  std::string sql = "INSERT INTO " + schema + '.' + table + " AS t (" + names + ") SELECT " + values +
                    " FROM json_to_recordset($1::json) AS f(" + types + ')';
  if (!upsert.join.empty()) sql += ' ' + replace_all(std::string(upsert.join), "{{schema}}", schema);
  sql += " ORDER BY f." + first + " ON CONFLICT (" + std::string(upsert.key) + ") DO UPDATE SET " + changes;
  if (!upsert.returning.empty()) sql += " RETURNING " + std::string(upsert.returning);
  return sql;
}

void add_state(std::vector<Column>& columns, bool with_attempt) {
  for (const Column& column : std::initializer_list<Column>{{"status", "text"},
                                                            {"end_reason", "text"},
                                                            {"verdict_source", "text"},
                                                            {"finished_at", "timestamptz"},
                                                            {"duration_ms", "bigint"},
                                                            {"ts_source", "text"},
                                                            {"state_rank", "smallint"},
                                                            {"state_at", "timestamptz"},
                                                            {"state_event", "uuid"}}) {
    columns.push_back({column.name, column.type, Merge::kState});
  }
  if (with_attempt) columns.push_back({"state_attempt", "integer", Merge::kState});
}

void add_error(std::vector<Column>& columns, bool with_attempt) {
  for (const Column& column : std::initializer_list<Column>{{"error_category", "text"},
                                                            {"error_code", "text"},
                                                            {"error_message", "text"},
                                                            {"error_rank", "smallint"},
                                                            {"error_at", "timestamptz"},
                                                            {"error_event", "uuid"}}) {
    columns.push_back({column.name, column.type, Merge::kError});
  }
  if (with_attempt) columns.push_back({"error_attempt", "integer", Merge::kError});
}

void add(std::vector<Column>& columns, Merge merge, std::string_view type,
         std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) columns.push_back({name, type, merge});
}

constexpr std::string_view kStamp = "state_attempt, state_rank, state_at, state_event";
constexpr std::string_view kErrorStamp = "error_attempt, error_rank, error_at, error_event";

Upsert runs() {
  Upsert out{.table = "job_runs",
             .key = "run_id, scheduled_at",
             .columns = {{"run_id", "uuid"}},
             .state_stamp = kStamp,
             .error_stamp = kErrorStamp,
             .joined_column = "scheduled_at",
             .join = "JOIN {{schema}}.run_ids r ON r.run_id = f.run_id",
             .returning = "t.job_id, coalesce(t.environment, ''), (t.scheduled_at AT TIME ZONE 'UTC')::date"};
  add(out.columns, Merge::kOnce, "text",
      {"external_run_id", "service", "environment", "org_id", "project_id", "correlation_id", "request_id", "trace_id",
       "dataset", "dialect", "job_type"});
  add(out.columns, Merge::kOnce, "uuid", {"parent_run_id"});
  add(out.columns, Merge::kJob, "text", {"job_id"});
  add(out.columns, Merge::kJob, "smallint", {"job_id_rank"});
  add_state(out.columns, true);
  add(out.columns, Merge::kState, "text", {"agent_id", "ruleset"});
  add(out.columns, Merge::kState, "bigint", {"records_extracted_total", "records_loaded_total"});
  add_error(out.columns, true);
  add(out.columns, Merge::kSum, "bigint", {"records_extracted_sum", "records_loaded_sum", "tokens_in", "tokens_out"});
  add(out.columns, Merge::kCost, "numeric", {"cost_usd"});
  add(out.columns, Merge::kMin, "timestamptz", {"queued_at", "started_at", "first_event_at"});
  add(out.columns, Merge::kMax, "timestamptz", {"last_event_at"});
  add(out.columns, Merge::kMax, "integer", {"attempt_count", "max_attempts"});
  add(out.columns, Merge::kOr, "boolean", {"retries_exhausted"});
  add(out.columns, Merge::kMetrics, "jsonb", {"metrics"});
  return out;
}

Upsert attempts() {
  Upsert out{.table = "run_attempts",
             .key = "id",
             .columns = {{"id", "uuid"}, {"run_id", "uuid"}, {"attempt_no", "integer"}},
             .state_stamp = "state_rank, state_at, state_event",
             .error_stamp = "error_rank, error_at, error_event",
             .joined_column = {},
             .join = {},
             .returning = {}};
  add_state(out.columns, false);
  add(out.columns, Merge::kState, "bigint", {"records_extracted_total", "records_loaded_total"});
  add_error(out.columns, false);
  add(out.columns, Merge::kMin, "timestamptz", {"started_at"});
  add(out.columns, Merge::kOnce, "integer", {"exit_code", "exit_signal"});
  add(out.columns, Merge::kSum, "bigint", {"records_extracted_sum", "records_loaded_sum"});
  add(out.columns, Merge::kOnce, "text", {"correlation_id", "request_id", "agent_id", "ruleset"});
  return out;
}

Upsert tasks() {
  Upsert out{.table = "task_runs",
             .key = "task_run_id",
             .columns = {{"task_run_id", "uuid"}},
             .state_stamp = kStamp,
             .error_stamp = kErrorStamp,
             .joined_column = {},
             .join = {},
             .returning = {}};
  add(out.columns, Merge::kOnce, "uuid", {"run_id"});
  add(out.columns, Merge::kOnce, "text",
      {"external_task_id", "name", "phase", "dataset", "table_name", "correlation_id", "request_id", "trace_id",
       "span_id", "ruleset"});
  add(out.columns, Merge::kMax, "integer", {"attempt_no"});
  add_state(out.columns, true);
  add(out.columns, Merge::kState, "text", {"agent_id"});
  add_error(out.columns, true);
  add(out.columns, Merge::kMin, "timestamptz", {"queued_at", "started_at", "first_event_at"});
  add(out.columns, Merge::kMax, "timestamptz", {"last_event_at"});
  add(out.columns, Merge::kSum, "bigint", {"records_extracted", "records_loaded"});
  return out;
}

}  // namespace

PostgresStatements::PostgresStatements(std::string_view schema_name) : records(schema_name) {
  const std::string schema = quote_identifier(schema_name);
  const auto in_schema = [&](std::string sql) { return replace_all(std::move(sql), "{{schema}}", schema); };

  line_positions.insert = in_schema(R"(
INSERT INTO {{schema}}.source_files
  (stream, file_key, generation, covered, confirm, first_seen_at, last_advanced_at, covers_until, agent_id)
SELECT stream, file_key, generation, '{}', confirm, first_seen_at, now_at, covers_until, agent_id
FROM json_to_recordset($1::json) AS f(stream text, file_key bytea, generation integer, confirm bytea,
  first_seen_at timestamptz, now_at timestamptz, covers_until timestamptz, agent_id text)
ORDER BY stream COLLATE "C", file_key, generation
ON CONFLICT DO NOTHING)");
  fact_positions.insert = in_schema(R"(
INSERT INTO {{schema}}.source_facts (stream, file_key, generation, covered, last_advanced_at, covers_until)
SELECT stream, file_key, generation, '{}', now_at, covers_until
FROM json_to_recordset($1::json) AS f(stream text, file_key bytea, generation integer, now_at timestamptz,
  covers_until timestamptz)
ORDER BY stream COLLATE "C", file_key, generation
ON CONFLICT DO NOTHING)");
  for (auto& [table, lock] :
       {std::pair("source_files", &line_positions.lock), {"source_facts", &fact_positions.lock}}) {
    *lock = replace_all(in_schema(R"(
SELECT s.stream, encode(s.file_key, 'hex'), s.generation, s.covered
FROM {{schema}}.{{table}} s
WHERE (s.stream, s.file_key, s.generation) IN (
  SELECT stream, file_key, generation
  FROM json_to_recordset($1::json) AS f(stream text, file_key bytea, generation integer))
ORDER BY s.stream, s.file_key, s.generation
FOR UPDATE)"),
                        "{{table}}", table);
  }
  line_positions.advance = in_schema(R"(
UPDATE {{schema}}.source_files s SET
  covered = s.covered + f.missing::int8multirange,
  confirm = CASE WHEN f.upper > coalesce(upper(s.covered), 0) THEN f.confirm ELSE s.confirm END,
  first_seen_at = least(s.first_seen_at, f.first_seen_at),
  last_advanced_at = greatest(s.last_advanced_at, f.now_at),
  covers_until = greatest(s.covers_until, f.covers_until),
  agent_id = f.agent_id
FROM json_to_recordset($1::json) AS f(stream text, file_key bytea, generation integer, missing text, upper bigint,
  confirm bytea, first_seen_at timestamptz, now_at timestamptz, covers_until timestamptz, agent_id text)
WHERE s.stream = f.stream AND s.file_key = f.file_key AND s.generation = f.generation
  AND NOT s.covered && f.missing::int8multirange)");
  fact_positions.advance = in_schema(R"(
UPDATE {{schema}}.source_facts s SET
  covered = s.covered + f.missing::int8multirange,
  last_advanced_at = greatest(s.last_advanced_at, f.now_at),
  covers_until = greatest(s.covers_until, f.covers_until)
FROM json_to_recordset($1::json) AS f(stream text, file_key bytea, generation integer, missing text,
  now_at timestamptz, covers_until timestamptz)
WHERE s.stream = f.stream AND s.file_key = f.file_key AND s.generation = f.generation
  AND NOT s.covered && f.missing::int8multirange)");

  insert_jobs = in_schema(R"(
INSERT INTO {{schema}}.etl_jobs (id, job_id, enabled, source, metadata, created_at, updated_at)
SELECT id, job_id, true, 'line', '{}', at, at
FROM json_to_recordset($1::json) AS f(id uuid, job_id text, at timestamptz)
ORDER BY job_id COLLATE "C"
ON CONFLICT DO NOTHING)");
  insert_run_ids = in_schema(R"(
INSERT INTO {{schema}}.run_ids (run_id, scheduled_at, scheduled_stated)
SELECT run_id, scheduled_at, scheduled_stated
FROM json_to_recordset($1::json) AS f(run_id uuid, scheduled_at timestamptz, scheduled_stated boolean)
ORDER BY run_id
ON CONFLICT DO NOTHING)");
  lock_run_ids = in_schema(R"(
SELECT run_id, (extract(epoch FROM scheduled_at) * 1000000)::bigint, scheduled_stated,
  (scheduled_at AT TIME ZONE 'UTC')::date
FROM {{schema}}.run_ids
WHERE run_id = ANY($1::uuid[])
ORDER BY run_id
FOR UPDATE)");
  move_run_ids = in_schema(R"(
UPDATE {{schema}}.run_ids r SET scheduled_at = f.scheduled_at, scheduled_stated = f.scheduled_stated
FROM json_to_recordset($1::json) AS f(run_id uuid, scheduled_at timestamptz, scheduled_stated boolean)
WHERE r.run_id = f.run_id)");
  read_runs = in_schema(R"(
SELECT j.run_id, j.job_id, coalesce(j.environment, ''), j.status, j.state_attempt, j.state_rank,
  (extract(epoch FROM j.state_at) * 1000000)::bigint, j.state_event, j.correlation_id, j.verdict_source,
  coalesce(j.end_reason, '')
FROM {{schema}}.job_runs j
WHERE j.run_id = ANY($1::uuid[]) AND j.scheduled_at BETWEEN $2::timestamptz AND $3::timestamptz)");
  upsert_runs = upsert_sql(schema, runs());
  upsert_attempts = upsert_sql(schema, attempts());
  // The run has no stamp for its exit values: they are those of its highest attempt that has any.
  set_exit = in_schema(R"(
UPDATE {{schema}}.job_runs j SET exit_code = a.exit_code, exit_signal = a.exit_signal
FROM {{schema}}.run_ids r,
  LATERAL (SELECT exit_code, exit_signal FROM {{schema}}.run_attempts
           WHERE run_id = r.run_id AND (exit_code IS NOT NULL OR exit_signal IS NOT NULL)
           ORDER BY attempt_no DESC LIMIT 1) a
WHERE r.run_id = ANY($1::uuid[]) AND j.run_id = r.run_id AND j.scheduled_at = r.scheduled_at
  AND (j.exit_code, j.exit_signal) IS DISTINCT FROM (a.exit_code, a.exit_signal))");
  upsert_tasks = upsert_sql(schema, tasks());
  // Two runs of one correlation id, written by two at once, would not see each other. Who comes second waits here for
  // the first one's commit. Ids share a bounded number of locks, so that the server's table of locks is never filled.
  lock_correlations = in_schema(R"(
SELECT pg_advisory_xact_lock(hashtextextended($runtail$runtail retries {{schema}}$runtail$, bucket)) FROM (
  SELECT DISTINCT hashtextextended(id, 0) & 255 AS bucket FROM unnest($1::text[]) AS f(id) ORDER BY bucket) AS buckets)");
  // Computed anew for all retries of the correlation ids, so that a late predecessor is found by those that follow it.
  // By levels, as an id may be on all runs there are: each attempt number of a job has one run that a retry can name.
  set_retry_of = in_schema(R"(
WITH family AS MATERIALIZED (
  SELECT run_id, scheduled_at, correlation_id, job_id, attempt_count, retry_of
  FROM {{schema}}.job_runs WHERE correlation_id = ANY($1::text[])
), level AS MATERIALIZED (
  SELECT DISTINCT ON (correlation_id, job_id, attempt_count) correlation_id, job_id, attempt_count, run_id
  FROM family ORDER BY correlation_id, job_id, attempt_count, run_id
), retry AS (
  SELECT f.*, (SELECT min(a.attempt_no) FROM {{schema}}.run_attempts a WHERE a.run_id = f.run_id) AS first_attempt
  FROM family f WHERE f.attempt_count > 1 OR f.retry_of IS NOT NULL
), found AS (
  SELECT run_id, scheduled_at, (
      SELECT p.run_id FROM level p
      WHERE p.correlation_id = n.correlation_id AND p.job_id = n.job_id AND p.attempt_count < n.first_attempt
      ORDER BY p.attempt_count DESC LIMIT 1) AS previous
  FROM retry n
)
UPDATE {{schema}}.job_runs j SET retry_of = found.previous
FROM found
WHERE j.run_id = found.run_id AND j.scheduled_at = found.scheduled_at AND j.retry_of IS DISTINCT FROM found.previous)");
  insert_state_changes = in_schema(R"(
INSERT INTO {{schema}}.run_state_changes
  (id, run_id, attempt_no, field, old, new, verdict_source, event_id, agent_id, at)
SELECT id, run_id, attempt_no, field, old, new, verdict_source, event_id, agent_id, at
FROM json_to_recordset($1::json) AS f(id uuid, run_id uuid, attempt_no integer, field text, old text, new text,
  verdict_source text, event_id uuid, agent_id text, at timestamptz)
ORDER BY id
ON CONFLICT DO NOTHING)");

  insert_fleet_counts = in_schema(R"(
INSERT INTO {{schema}}.fleet_counts (counter, label_1, label_2, amount)
SELECT counter, label_1, label_2, amount
FROM json_to_recordset($1::json) AS f(counter text, label_1 text, label_2 text, amount bigint))");

  insert_checks = in_schema(R"(
INSERT INTO {{schema}}.dq_check_definitions
  (check_id, job_id, table_name, column_name, check_type, metric, threshold, severity, enabled, source, updated_at)
SELECT check_id, job_id, table_name, column_name, 'reported', metric, threshold, severity, true, 'line', at
FROM json_to_recordset($1::json) AS f(check_id uuid, job_id text, table_name text, column_name text, metric text,
  threshold double precision, severity text, at timestamptz)
ORDER BY check_id
ON CONFLICT DO NOTHING)");
  insert_results = in_schema(R"(
INSERT INTO {{schema}}.dq_check_results
  (id, created_at, check_id, run_id, job_id, attempt_no, type, status, metric, value, threshold, table_name,
   column_name, details, correlation_id, request_id, ruleset)
SELECT id, created_at, check_id, run_id, job_id, attempt_no, type, status, metric, value, threshold, table_name,
  column_name, '{}', correlation_id, request_id, ruleset
FROM json_to_recordset($1::json) AS f(id uuid, created_at timestamptz, check_id uuid, run_id uuid, job_id text,
  attempt_no integer, type text, status text, metric text, value double precision, threshold double precision,
  table_name text, column_name text, correlation_id text, request_id text, ruleset text)
ORDER BY id, created_at
ON CONFLICT DO NOTHING)");
  set_dq_status = set_run_quality(schema);
  insert_observations = in_schema(R"(
INSERT INTO {{schema}}.dq_observations
  (id, observed_at, run_id, job_id, attempt_no, table_name, kind, row_count, data, event_id)
SELECT id, observed_at, run_id, job_id, attempt_no, table_name, kind, row_count, data, event_id
FROM json_to_recordset($1::json) AS f(id uuid, observed_at timestamptz, run_id uuid, job_id text, attempt_no integer,
  table_name text, kind text, row_count bigint, data jsonb, event_id uuid)
ORDER BY id, observed_at
ON CONFLICT DO NOTHING)");
  upsert_datasets = in_schema(R"(
INSERT INTO {{schema}}.dataset_status AS t
  (id, environment, dataset, job_id, last_success_at, record_count, last_run_id, last_status, last_status_at,
   last_event_at)
SELECT id, environment, dataset, job_id, last_success_at, record_count, last_run_id, last_status, last_status_at,
  last_event_at
FROM json_to_recordset($1::json) AS f(id uuid, environment text, dataset text, job_id text,
  last_success_at timestamptz, record_count bigint, last_run_id uuid, last_status text, last_status_at timestamptz,
  last_event_at timestamptz)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
  job_id = least(t.job_id, excluded.job_id),
  (last_success_at, record_count, last_run_id) = (
    SELECT s.at, s.record_count, s.last_run_id
    FROM (VALUES (t.last_success_at, t.record_count, t.last_run_id),
                 (excluded.last_success_at, excluded.record_count, excluded.last_run_id))
      AS s(at, record_count, last_run_id)
    ORDER BY s.at DESC NULLS LAST, s.record_count DESC NULLS LAST, s.last_run_id DESC NULLS LAST LIMIT 1),
  (last_status_at, last_status) = (
    SELECT s.at, s.status
    FROM (VALUES (t.last_status_at, t.last_status), (excluded.last_status_at, excluded.last_status))
      AS s(at, status)
    ORDER BY s.at DESC NULLS LAST, s.status DESC NULLS LAST LIMIT 1),
  last_event_at = greatest(t.last_event_at, excluded.last_event_at))");

  std::string columns;
  for (const std::string_view column : log_event_columns()) {
    columns += (columns.empty() ? "" : ", ") + std::string(column);
  }
  copy_log_events = in_schema("COPY {{schema}}.log_events (" + columns + ") FROM STDIN (FORMAT binary)");
  // $3 and $4, the first and the last time, leave most partitions out of the plan. One index probe a line, whatever the
  // statistics say: a join may end in reading a whole partition.
  find_log_events = in_schema(R"(
SELECT f.n FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS f(id, at, n), LATERAL (
  SELECT FROM {{schema}}.log_events e
  WHERE e.event_id = f.id AND e.ts = timestamptz 'epoch' + f.at * interval '1 microsecond'
    AND e.ts BETWEEN $3::timestamptz AND $4::timestamptz
  LIMIT 1) AS e)");
  insert_dead_letters = in_schema(R"(
INSERT INTO {{schema}}.dead_letters
  (id, at, stream, file_key, generation, byte_offset, byte_length, reason, sqlstate, target_table, body, agent_id)
SELECT id, at, stream, file_key, generation, byte_offset, byte_length, reason, sqlstate, target_table, body, agent_id
FROM json_to_recordset($1::json) AS f(id uuid, at timestamptz, stream text, file_key bytea, generation integer,
  byte_offset bigint, byte_length bigint, reason text, sqlstate text, target_table text, body text, agent_id text)
ORDER BY id
ON CONFLICT DO NOTHING
RETURNING reason)");
  insert_dirty = in_schema(R"(
INSERT INTO {{schema}}.summary_dirty (job_id, environment, day, since)
SELECT job_id, environment, day, since
FROM json_to_recordset($1::json) AS f(job_id text, environment text, day date, since timestamptz)
ORDER BY job_id COLLATE "C", environment COLLATE "C", day
ON CONFLICT DO NOTHING)");
}

}  // namespace runtail
