#include "schema/summaries.h"

#include <algorithm>
#include <thread>

#include "core/metric.h"
#include "schema/lock_wait.h"
#include "schema/migrations.h"
#include "schema/nested_runs.h"

namespace runtail {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Days of one transaction: some milliseconds, even where a job runs a thousand times a day.
constexpr int kBatch = 20;

// "ARRAY[count(*) FILTER (WHERE ms <= 1000), ...]"
std::string bucket_counts() {
  std::string sql, above;
  for (const double seconds : buckets_of(Metric::kJobDuration)) {
    const std::string bound = std::to_string(static_cast<std::int64_t>(seconds * 1000));
    sql += "count(*) FILTER (WHERE ms <= " + bound + above + "), ";
    above = " AND ms > " + bound;
  }
  return "ARRAY[" + sql + "count(*) FILTER (WHERE true" + above + ")]";
}

// One statement, so one snapshot. LATERAL, so that each day is an index scan of one month.
std::string compute_statement(const std::string& schema) {
  std::string sql = R"sql(
WITH day AS (
  DELETE FROM {{schema}}.summary_dirty
  WHERE (job_id, environment, day) IN (
    SELECT job_id, environment, day FROM {{schema}}.summary_dirty ORDER BY since, job_id, environment, day LIMIT $1)
  RETURNING job_id, environment, day
), computed AS (
  SELECT day.job_id, day.environment, day.day, s.*
  FROM day CROSS JOIN LATERAL (
    SELECT count(*) AS all_runs,
      count(*) FILTER (WHERE counts) AS runs,
      count(*) FILTER (WHERE counts AND status = 'success') AS succeeded,
      count(*) FILTER (WHERE counts AND status = 'failed') AS failed,
      count(*) FILTER (WHERE counts AND status = 'cancelled') AS cancelled,
      count(*) FILTER (WHERE counts AND status = 'skipped') AS skipped,
      percentile_disc(0.95) WITHIN GROUP (ORDER BY ms) AS p95,
      {{buckets}} AS buckets,
      sum(records_loaded)::bigint AS records_loaded,
      count(*) FILTER (WHERE dq_status = 'warn') AS dq_warn,
      count(*) FILTER (WHERE dq_status = 'fail') AS dq_fail
    FROM (
      SELECT status, records_loaded, dq_status, counts,
        CASE WHEN counts AND status IN ('success', 'failed', 'cancelled')
          THEN coalesce(duration_ms, CASE WHEN finished_at >= started_at
            THEN (extract(epoch FROM finished_at - started_at) * 1000)::bigint END) END AS ms
      FROM (
        SELECT r.*, {{counts}} AS counts FROM {{schema}}.job_runs r
        WHERE r.job_id = day.job_id AND coalesce(r.environment, '') = day.environment
          AND r.scheduled_at >= day.day::timestamp AT TIME ZONE 'UTC'
          AND r.scheduled_at < (day.day + 1)::timestamp AT TIME ZONE 'UTC'
      ) AS each
    ) AS run
  ) AS s
), emptied AS (
  DELETE FROM {{schema}}.job_daily_summary t USING computed c
  WHERE c.all_runs = 0 AND t.job_id = c.job_id AND t.environment = c.environment AND t.day = c.day
), written AS (
  INSERT INTO {{schema}}.job_daily_summary
    (id, job_id, environment, day, runs, succeeded, failed, cancelled, skipped, success_rate, p95_duration_ms,
     duration_buckets, records_loaded, dq_warn, dq_fail, computed_at)
  SELECT gen_random_uuid(), job_id, environment, day, runs, succeeded, failed, cancelled, skipped,
    succeeded::double precision / nullif(succeeded + failed + cancelled, 0), p95, buckets, records_loaded, dq_warn,
    dq_fail, $2
  FROM computed WHERE all_runs > 0 ORDER BY job_id, environment, day
  ON CONFLICT (job_id, environment, day) DO UPDATE SET
    runs = excluded.runs, succeeded = excluded.succeeded, failed = excluded.failed, cancelled = excluded.cancelled,
    skipped = excluded.skipped, success_rate = excluded.success_rate, p95_duration_ms = excluded.p95_duration_ms,
    duration_buckets = excluded.duration_buckets, records_loaded = excluded.records_loaded,
    dq_warn = excluded.dq_warn, dq_fail = excluded.dq_fail, computed_at = excluded.computed_at
)
SELECT count(*) FROM day)sql";
  const auto put = [&](std::string_view mark, std::string_view text) {
    sql.replace(sql.find(mark), mark.size(), text);
  };
  put("{{buckets}}", bucket_counts());
  put("{{counts}}", kCountsAsRun);
  return sql_for_schema(sql, schema);
}

// A writer marks a day with ON CONFLICT DO NOTHING as its last statement, so a mark that is there already shows nothing
// of a writer that has not committed yet, and no lock on the mark's row would wait for it. This lock on the table does:
// who has marked has committed, who has not will find the mark gone and set it anew.
std::string begin_statement(const std::string& schema, milliseconds wait) {
  return "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = " + std::to_string(wait.count()) +
         "; LOCK TABLE " + quote_identifier(schema) + ".summary_dirty IN SHARE ROW EXCLUSIVE MODE";
}

PgOutcome<std::int64_t> compute_batch(PgConnection& connection, const std::string& schema, const std::string& compute,
                                      TimePoint now, milliseconds wait) {
  const std::optional<std::string> params[] = {std::to_string(kBatch), to_rfc3339(now)};
  PgOutcome<std::int64_t> days = 0;
  if (auto begun = connection.exec(begin_statement(schema, wait)); !begun) {
    days = begun.error();
  } else if (auto done = connection.query(compute, params); !done) {
    days = done.error();
  } else {
    days = done->integer(0, 0);
  }
  auto ended = connection.exec(days ? "COMMIT" : "ROLLBACK");
  if (days && !ended) return ended.error();
  return days;
}

}  // namespace

Result<std::int64_t> refresh_summaries(PgConnection& connection, const std::string& schema, TimePoint now,
                                       milliseconds lock_timeout) {
  const std::string what = "compute summaries of schema " + schema;
  const std::optional<std::string> params[] = {quote_identifier(schema) + ".job_daily_summary"};
  auto there = connection.query("SELECT to_regclass($1) IS NOT NULL", params);
  if (!there) return to_error(there.error(), what);
  if (!there->boolean(0, 0)) return 0;
  auto marked = connection.exec("SELECT count(*) FROM " + quote_identifier(schema) + ".summary_dirty");
  if (!marked) return to_error(marked.error(), what);

  const std::string compute = compute_statement(schema);
  std::int64_t all = 0;
  auto end = steady_clock::now() + lock_timeout;
  // New marks come behind those that were there, so this ends however busy the writers are.
  while (all < marked->integer(0, 0)) {
    auto days = compute_batch(connection, schema, compute, now, std::min(kShortWait, lock_timeout));
    if (days) {
      all += *days;
      if (*days < kBatch) break;
      end = steady_clock::now() + lock_timeout;
      continue;
    }
    const bool waits = was_locked(days.error());
    if (waits && steady_clock::now() < end) {
      std::this_thread::sleep_for(kPauseBetweenWaits);
      continue;
    }
    Error error = to_error(days.error(), what);
    if (waits) error.message += "; a lock is " + lock_holders(connection, schema, "summary_dirty");
    return error;
  }
  return all;
}

}  // namespace runtail
