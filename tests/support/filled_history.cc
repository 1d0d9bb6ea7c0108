#include "tests/support/filled_history.h"

#include <algorithm>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include "schema/pg.h"

namespace runtail::test {
namespace {

constexpr int kLineDays = 29;  // one less than partitions reach back

constexpr int kConnections = 2;

void run(PgConnection& connection, const std::string& sql) {
  if (const auto done = connection.exec(sql); !done) {
    throw std::runtime_error("fill the history: " + done.error().message + "\n" + sql.substr(0, 300));
  }
}

// What the rows of all tables are made from: one row for each run, numbered by time.
constexpr char kRuns[] = R"sql(
CREATE UNLOGGED TABLE filler AS
SELECT r.*, started_at + make_interval(secs => seconds) AS finished_at,
  CASE WHEN status = 'failed' THEN (ARRAY['API', 'DB', 'Data', 'System'])[1 + h / 7 % 4] END AS error_category,
  status IN ('queued', 'running') AS open,
  CASE WHEN status IN ('queued', 'running') AND n % 2 = 0 THEN started_at + interval '1 second'
       WHEN status IN ('queued', 'running') THEN TIMESTAMPTZ :now
       ELSE started_at + make_interval(secs => seconds) END AS last_event_at
FROM (
  SELECT n, h, md5('run' || n)::uuid AS run_id, scheduled_at,
    'job_' || lpad(floor(200 * power((h % 1000) / 1000.0, 2))::int::text, 3, '0') AS job_id,
    CASE WHEN h / 1000 % 1000 = 0 THEN 'dev' WHEN h / 1000 % 1000 < 100 THEN 'staging' ELSE 'prod' END AS environment,
    CASE WHEN n >= :runs - 10 THEN 'queued' WHEN n >= :runs - 30 THEN 'running'
         WHEN h / 1000000 % 100 < 4 THEN 'failed' WHEN h / 1000000 % 1000 < 45 THEN 'cancelled'
         WHEN h / 1000000 % 1000 < 60 THEN 'skipped'
         ELSE 'success' END AS status,
    scheduled_at + make_interval(secs => h % 20) AS started_at,
    60 + h % 540 AS seconds,
    CASE WHEN h % 10 = 0 THEN 2 ELSE 1 END AS attempts
  FROM (
    SELECT n, hashint8(n) + 2147483648 AS h,
      TIMESTAMPTZ :now - make_interval(secs => (:runs - n / 2 * 2) * (86400.0 * :days / :runs)) AS scheduled_at
    FROM generate_series(0, :runs - 1) AS n
  ) AS numbered
) AS r;
CREATE UNIQUE INDEX ON filler (scheduled_at, n);
ANALYZE filler)sql";

constexpr const char* kStatements[] = {
    R"sql(INSERT INTO etl_jobs (id, job_id, name, source, created_at, updated_at)
SELECT md5(job_id)::uuid, job_id, 'Job ' || job_id, 'line', TIMESTAMPTZ :now, TIMESTAMPTZ :now
FROM (SELECT DISTINCT job_id FROM filler) AS f ORDER BY job_id)sql",
    "INSERT INTO run_ids SELECT run_id, scheduled_at, true FROM filler ORDER BY n",
    R"sql(INSERT INTO job_runs (run_id, scheduled_at, external_run_id, service, environment, project_id, correlation_id, trace_id,
  dataset, dialect, job_type, job_id, job_id_rank, status, end_reason, verdict_source, finished_at, duration_ms,
  agent_id, ts_source, ruleset, records_extracted_total, records_loaded_total, state_attempt, state_rank, state_at,
  state_event, error_category, error_code, error_message, error_attempt, error_rank, error_at, error_event,
  records_loaded_sum, queued_at, started_at, first_event_at, last_event_at, attempt_count, max_attempts,
  retries_exhausted, dq_status, parent_run_id)
SELECT run_id, scheduled_at, 'scheduled__' || to_char(scheduled_at, 'YYYY-MM-DD"T"HH24:MI:SS') || '_' || n,
  'etl', environment, 'sponsor_' || substr('aaabbc', 1 + (h / 3 % 6)::int, 1), 'flow-' || n / 4, md5('trace' || n), 'warehouse.' || job_id, 'native', 'batch', job_id, 1, status,
  CASE WHEN open THEN NULL WHEN status = 'failed' THEN 'exit_code' ELSE 'completed' END,
  'log', CASE WHEN NOT open THEN finished_at END,
  CASE WHEN NOT open AND n % 10 > 0 THEN seconds * 1000 END,
  'worker-' || n % 40, 'line', 'r-4f0c2a91', CASE WHEN NOT open THEN 10000 + h % 5000 END,
  CASE WHEN NOT open THEN 9000 + h % 5000 END, attempts, CASE WHEN open THEN 1 ELSE 3 END, last_event_at,
  md5('state' || n)::uuid, error_category, CASE WHEN error_category IS NOT NULL THEN 'E' || 40000 + h % 50 END,
  CASE WHEN error_category IS NOT NULL THEN 'step load_orders gave up: deadlock detected after 3 tries' END,
  CASE WHEN error_category IS NOT NULL THEN attempts END, CASE WHEN error_category IS NOT NULL THEN 2 END,
  CASE WHEN error_category IS NOT NULL THEN finished_at END,
  CASE WHEN error_category IS NOT NULL THEN md5('error' || n)::uuid END,
  600, scheduled_at, CASE WHEN status <> 'queued' THEN started_at END, scheduled_at, last_event_at, attempts, 3, false,
  CASE WHEN NOT open THEN (ARRAY['pass', 'pass', 'pass', 'warn'])[1 + h % 4] END,
  CASE WHEN n % 7 = 0 THEN lag(run_id) OVER (PARTITION BY job_id ORDER BY n) END
FROM filler ORDER BY n)sql",
    R"sql(INSERT INTO run_attempts (id, run_id, attempt_no, status, end_reason, verdict_source, finished_at, duration_ms,
  ts_source, records_loaded_total, state_rank, state_at, state_event, started_at, correlation_id, agent_id, ruleset)
SELECT md5('attempt' || n || '.' || a)::uuid, run_id, a, CASE WHEN a < attempts THEN 'failed' ELSE status END,
  CASE WHEN NOT open THEN 'completed' END, 'log', CASE WHEN NOT open THEN finished_at END, seconds * 1000, 'line',
  9000 + h % 5000, 3, last_event_at, md5('attempt-state' || n || '.' || a)::uuid, started_at, 'flow-' || n / 4,
  'worker-' || n % 40, 'r-4f0c2a91'
FROM filler CROSS JOIN LATERAL generate_series(1, attempts) AS a ORDER BY n, a)sql",
    R"sql(INSERT INTO task_runs (task_run_id, run_id, external_task_id, name, phase, dataset, table_name, correlation_id,
  trace_id, span_id, ruleset, attempt_no, status, end_reason, verdict_source, finished_at, duration_ms, agent_id,
  ts_source, state_attempt, state_rank, state_at, state_event, queued_at, started_at, first_event_at, last_event_at,
  records_extracted, records_loaded)
SELECT md5('task' || n || '.' || t)::uuid, run_id, 'task_' || t, 'load_part_' || t,
  (ARRAY['extract', 'transform', 'load', 'dq'])[1 + t % 4], 'warehouse.' || job_id, 'stg.part_' || t,
  'flow-' || n / 4, md5('trace' || n), substr(md5('span' || n || '.' || t), 1, 16), 'r-4f0c2a91', attempts,
  CASE WHEN open AND t = :tasks THEN 'running' WHEN status = 'failed' AND t = :tasks THEN 'failed' ELSE 'success' END,
  CASE WHEN NOT open OR t < :tasks THEN 'completed' END, 'log', started_at + make_interval(secs => seconds * t / :tasks),
  seconds * 1000 / :tasks, 'worker-' || n % 40, 'line', attempts, 3,
  started_at + make_interval(secs => seconds * t / :tasks), md5('task-state' || n || '.' || t)::uuid, scheduled_at,
  started_at + make_interval(secs => seconds * (t - 1) / :tasks),
  started_at + make_interval(secs => seconds * (t - 1) / :tasks),
  started_at + make_interval(secs => seconds * t / :tasks), 500, 450
FROM filler CROSS JOIN generate_series(1, :tasks) AS t ORDER BY n, t)sql",
    R"sql(INSERT INTO run_state_changes (id, run_id, attempt_no, field, old, new, verdict_source, event_id, agent_id, at)
SELECT md5('change' || n || '.' || c)::uuid, run_id, attempts, 'status', CASE WHEN c = 1 THEN NULL ELSE 'running' END,
  CASE WHEN c = 1 THEN 'running' ELSE status END, 'log', md5('change-event' || n || '.' || c)::uuid,
  'worker-' || n % 40, CASE WHEN c = 1 THEN started_at ELSE finished_at END
FROM filler CROSS JOIN generate_series(1, 2) AS c WHERE c = 1 OR NOT open ORDER BY n, c)sql",
    R"sql(INSERT INTO dq_check_definitions (check_id, job_id, table_name, check_type, metric, threshold, severity, source,
  updated_at)
SELECT md5('check' || job_id || kind)::uuid, job_id, 'stg.' || job_id, kind, kind, 0.05, 'warn', 'yaml',
  TIMESTAMPTZ :now
FROM etl_jobs CROSS JOIN unnest(ARRAY['null_rate', 'row_count_delta']) AS kind)sql",
    R"sql(INSERT INTO dq_observations (id, observed_at, run_id, job_id, attempt_no, table_name, kind, row_count, event_id)
SELECT md5('observation' || n)::uuid, finished_at, run_id, job_id, attempts, 'stg.' || job_id, 'row_count', 9000 + h % 999,
  md5('observation-event' || n)::uuid
FROM filler WHERE NOT open ORDER BY n)sql",
    R"sql(INSERT INTO dq_check_results (id, created_at, check_id, run_id, job_id, attempt_no, type, status, metric, value,
  baseline, threshold, severity, table_name, details, correlation_id, ruleset)
SELECT md5('result' || n || kind)::uuid, finished_at, md5('check' || job_id || kind)::uuid, run_id, job_id, attempts, kind,
  CASE WHEN h % 50 = 0 THEN 'fail' WHEN h % 20 = 0 THEN 'warn' ELSE 'pass' END, kind, (h % 100) / 1000.0, 0.02, 0.05,
  'warn', 'stg.' || job_id, jsonb_build_object('column', 'email', 'rows', 9000 + h % 999), 'flow-' || n / 4, 'r-4f0c2a91'
FROM filler CROSS JOIN unnest(ARRAY['null_rate', 'row_count_delta']) AS kind WHERE NOT open ORDER BY n)sql",
    R"sql(INSERT INTO dataset_status (id, environment, dataset, job_id, last_success_at, record_count, last_run_id,
  last_status, last_status_at, last_event_at)
SELECT DISTINCT ON (environment, job_id) md5(environment || job_id)::uuid, environment, 'warehouse.' || job_id, job_id,
  finished_at, 9000, run_id, 'success', finished_at, finished_at
FROM filler WHERE status = 'success' ORDER BY environment, job_id, n DESC)sql",
    R"sql(INSERT INTO job_daily_summary (id, job_id, environment, day, runs, succeeded, failed, cancelled, skipped,
  success_rate, p95_duration_ms, records_loaded, computed_at)
SELECT gen_random_uuid(), job_id, environment, (scheduled_at AT TIME ZONE 'UTC')::date, count(*),
  count(*) FILTER (WHERE status = 'success'), count(*) FILTER (WHERE status = 'failed'),
  count(*) FILTER (WHERE status = 'cancelled'), count(*) FILTER (WHERE status = 'skipped'),
  avg((status = 'success')::int), percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds * 1000), sum(9000 + h % 5000),
  TIMESTAMPTZ :now
FROM filler GROUP BY 2, 3, 4)sql",
    R"sql(INSERT INTO traces (id, bucket, trace_id, name, service, environment, job_id, run_id, operation_type, status,
  started_at, ended_at, span_count)
SELECT md5('trace' || n)::uuid, date_trunc('day', started_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', md5('trace' || n),
  job_id, 'etl', environment, job_id, run_id, 'etl', 'ok', started_at, finished_at, 5
FROM filler WHERE scheduled_at >= TIMESTAMPTZ :lines_from ORDER BY n)sql",
    R"sql(INSERT INTO spans (id, ts, span_id, trace_id, parent_span_id, name, span_type, kind, service, job_id, run_id,
  status, duration_ms, operation_type)
SELECT md5('span' || n || '.' || s)::uuid, started_at + make_interval(secs => s), substr(md5('span' || n || '.' || s), 1, 16),
  md5('trace' || n), CASE WHEN s > 1 THEN substr(md5('span' || n || '.1'), 1, 16) END, 'step ' || s,
  (ARRAY['llm', 'embedding', 'retrieval', 'parse', 'chunk'])[s], 'internal', 'etl', job_id, run_id, 'ok', seconds * 200, 'etl'
FROM filler CROSS JOIN generate_series(1, 5) AS s WHERE scheduled_at >= TIMESTAMPTZ :lines_from ORDER BY n, s)sql",
    R"sql(INSERT INTO chat_messages (id, ts, session_id, turn, role, content, user_id, redacted, pii_safe)
SELECT md5('message' || n)::uuid, started_at, 'session-' || n / 10, n % 10, (ARRAY['user', 'assistant'])[1 + n % 2],
  repeat('a sentence of a conversation. ', 1 + (h % 8)::int), 'u-' || n % 500, true, true
FROM filler WHERE scheduled_at >= TIMESTAMPTZ :lines_from ORDER BY n)sql",
    R"sql(INSERT INTO document_events (id, ts, document_id, event_type, status, job_id, run_id, duration_ms)
SELECT md5('document' || n)::uuid, started_at, 'doc-' || n / 6, (ARRAY['upload', 'parse', 'chunk', 'embed', 'index'])[1 + n % 5],
  'success', job_id, run_id, 1200
FROM filler WHERE scheduled_at >= TIMESTAMPTZ :lines_from ORDER BY n)sql",
    R"sql(INSERT INTO metric_snapshots (id, ts, agent_id, name, value_type, labels, value)
SELECT gen_random_uuid(), started_at, 'worker-' || n % 40, 'trialsync_jobs_total', 'counter',
  jsonb_build_object('job_id', job_id, 'status', status), n
FROM filler WHERE scheduled_at >= TIMESTAMPTZ :lines_from ORDER BY n)sql",
    R"sql(INSERT INTO dead_letters (id, at, stream, generation, byte_offset, byte_length, reason, sqlstate, body, agent_id)
SELECT md5('letter' || n)::uuid, started_at, 'worker/etl', 0, n, 430,
  (ARRAY['too_long', 'bad_time', 'bad_value', 'constraint', 'redaction_failed'])[1 + h / 20 % 5], NULL, 'a line', 'worker-1'
FROM filler WHERE h % 20 = 0)sql",
    R"sql(INSERT INTO service_heartbeats (id, service, instance, environment, version, status, last_seen_at)
SELECT md5('heartbeat' || i)::uuid, 'runtail', 'worker-' || i, 'prod', '0.1.0', 'ok', TIMESTAMPTZ :now
FROM generate_series(0, 39) AS i)sql",
    R"sql(INSERT INTO alert_rules (id, name, kind, severity, source, updated_at)
VALUES (md5('rule')::uuid, 'JobFailed', 'JobFailed', 'critical', 'yaml', TIMESTAMPTZ :now))sql",
    R"sql(INSERT INTO alert_events (id, rule_id, dedupe_key, status, severity, fired_at, last_seen_at, resolved_at, count,
  job_id, run_id)
SELECT md5('alert' || n)::uuid, md5('rule')::uuid, 'JobFailed/' || n,
  CASE WHEN n > :runs * 0.99 THEN 'firing' ELSE 'resolved' END, 'critical', finished_at, finished_at,
  CASE WHEN n > :runs * 0.99 THEN NULL ELSE finished_at + interval '1 hour' END, 3, job_id, run_id
FROM filler WHERE status = 'failed')sql",
};

// Of the runs of one day: lines spread over each run's time, a line for each task in turn.
constexpr char kLines[] = R"sql(
INSERT INTO log_events (event_id, ts, level, message, service, environment, job_id, run_id, task_run_id, attempt, phase,
  dataset, duration_ms, records_loaded, error_category, error_code, error_message, outcome, source, correlation_id,
  trace_id, span_id, context, redacted, pii_safe, redaction_state, ruleset, stream, agent_id)
SELECT md5('line' || n || '.' || i)::uuid, started_at + make_interval(secs => i * seconds::double precision / :lines),
  CASE WHEN (h + i) % 100 = 0 THEN 'ERROR' WHEN (h + i) % 25 = 0 THEN 'WARN' ELSE 'INFO' END,
  'chunk ' || i || ' of ' || :lines || ' written to stg.part_' || 1 + i % :tasks || ', next key ' || h + i,
  'etl', environment, job_id, run_id, md5('task' || n || '.' || 1 + i % :tasks)::uuid, attempts,
  (ARRAY['extract', 'transform', 'load', 'dq'])[1 + i % 4], 'warehouse.' || job_id, 120 + i, 30,
  CASE WHEN (h + i) % 100 = 0 THEN 'DB' END, CASE WHEN (h + i) % 100 = 0 THEN '40001' END,
  CASE WHEN (h + i) % 100 = 0 THEN 'could not serialize access due to concurrent update' END,
  'success', 'job', 'flow-' || n / 4, md5('trace' || n), substr(md5('span' || n || '.' || 1 + i % 5), 1, 16),
  jsonb_build_object('host', 'worker-' || n % 40, 'partition', i % 64, 'batch', i), h % 20 = 0, true,
  CASE WHEN h % 20 = 0 THEN 'masked' ELSE 'clean' END, 'r-4f0c2a91', 'worker-' || n % 40 || '/etl', 'worker-' || n % 40
FROM filler CROSS JOIN generate_series(0, :lines - 1) AS i
WHERE scheduled_at >= TIMESTAMPTZ :from AND scheduled_at < TIMESTAMPTZ :to ORDER BY n, i)sql";

PgConnection connect(const std::string& conninfo) {
  PgOptions patient;
  patient.answer_timeout = std::chrono::hours(2);
  auto connection = PgConnection::connect(conninfo, patient);
  if (!connection) throw std::runtime_error("fill the history: " + connection.error().message);
  run(*connection,
      "SET search_path = observability; SET synchronous_commit = off; SET jit = off; SET work_mem = '64MB'");
  return std::move(*connection);
}

std::string with(std::string sql, const char* mark, const std::string& value) {
  for (std::size_t at; (at = sql.find(mark)) != std::string::npos;) sql.replace(at, std::string(mark).size(), value);
  return sql;
}

}  // namespace

void fill_history(const std::string& conninfo, const HistorySize& size, TimePoint now) {
  const std::int64_t runs = std::int64_t{size.days} * size.runs_per_day;
  const TimePoint lines_from = now - std::chrono::days(std::min(kLineDays, size.days));
  const std::int64_t runs_with_lines = runs * std::min(kLineDays, size.days) / size.days;
  const auto filled_in = [&](std::string sql) {
    sql = with(with(std::move(sql), ":now", quote_literal(to_rfc3339(now))), ":runs", std::to_string(runs));
    sql = with(with(std::move(sql), ":days", std::to_string(size.days)), ":tasks", std::to_string(size.tasks_per_run));
    sql = with(std::move(sql), ":lines_from", quote_literal(to_rfc3339(lines_from)));
    return with(std::move(sql), ":lines", std::to_string(std::max<std::int64_t>(1, size.log_events / runs_with_lines)));
  };
  PgConnection connection = connect(conninfo);
  run(connection, filled_in(kRuns));
  for (const char* statement : kStatements) run(connection, filled_in(statement));

  // A day at a time, so that a partition's indexes stay in memory.
  const auto fill_days = [&](int first) {
    PgConnection own = connect(conninfo);
    for (TimePoint day = lines_from + std::chrono::days(first); day < now; day += std::chrono::days(kConnections)) {
      run(own, filled_in(with(with(kLines, ":from", quote_literal(to_rfc3339(day))), ":to",
                              quote_literal(to_rfc3339(day + std::chrono::days(1))))));
    }
  };
  std::vector<std::future<void>> fillers;
  for (int first = 0; first < kConnections; ++first) {
    fillers.push_back(std::async(std::launch::async, fill_days, first));
  }
  for (std::future<void>& each : fillers) each.get();
  run(connection, "DROP TABLE filler");
  run(connection, "VACUUM ANALYZE");
}

}  // namespace runtail::test
