#include "history/run_queries.h"

#include "schema/nested_runs.h"

namespace runtail {
namespace {

constexpr std::chrono::days kLatestRunWithin{90}, kRatesOf{7}, kLoadedOf{1};

Statement select_runs() { return Statement("SELECT " + select_list<RunSummary>() + " FROM {{schema}}.runs WHERE "); }

// Rows after the cursor in the order (column DESC, run_id). The first comparison is the one that an index can start at.
void add_after(Statement& statement, const char* column, const std::optional<RunCursor>& after) {
  if (!after) return;
  const std::string name = column;
  statement.add(" AND " + name + " <= ").bind(after->at);
  statement.add(" AND (" + name + " < ").bind(after->at).add(" OR run_id > ").bind(after->run_id).add(")");
}

void add_range(Statement& statement, const char* column, const TimeRange& range) {
  const std::string name = column;
  statement.add(name + " >= ").bind(range.from).add(" AND " + name + " < ").bind(range.to);
}

template <typename Row>
Query<Row> rows_of_run(std::string_view name, const Uuid& run_id, const char* order, int limit, int skip) {
  Statement statement("SELECT " + select_list<Row>() + " FROM {{schema}}." + std::string(Row::kTable) +
                      " WHERE run_id = ");
  statement.bind(run_id).page_follows().add(" ORDER BY ").add(order).limit(limit).skip(skip);
  return std::move(statement).template as<Row>(name);
}

// Jobs with their last run; what follows is ANDed.
void add_filtered_jobs(Statement& statement, const JobFilter& filter, TimePoint now) {
  statement.add(R"sql(
  SELECT job_id, enabled, last.* FROM {{schema}}.etl_jobs j
  LEFT JOIN LATERAL (
    SELECT run_id AS last_run_id, scheduled_at AS last_run_at, status AS last_run_status FROM {{schema}}.job_runs
    WHERE job_id = j.job_id AND scheduled_at <= )sql");
  statement.bind(now).add(" AND scheduled_at > ").bind(now - kLatestRunWithin).only_of(filter.projects);
  statement.add(" ORDER BY scheduled_at DESC LIMIT 1) AS last ON true WHERE ");
  statement.add(filter.projects ? "last_run_id IS NOT NULL" : "true");
  if (filter.status) statement.add(" AND last_run_status = ").bind(*filter.status);
  if (filter.part) {
    statement.add(" AND (strpos(lower(job_id), lower(").bind(*filter.part).add(")) > 0");
    statement.add(" OR strpos(lower(name), lower(").bind(*filter.part).add(")) > 0)");
  }
}

}  // namespace

Query<RunSummary> runs(const RunFilter& filter, int limit, const std::optional<RunCursor>& after, int skip) {
  Statement statement = select_runs();
  add_range(statement, "scheduled_at", filter.scheduled);
  if (filter.job_id) statement.add(" AND job_id = ").bind(*filter.job_id);
  if (filter.status) statement.add(" AND status = ").bind(*filter.status);
  if (filter.environment) statement.add(" AND environment = ").bind(*filter.environment);
  if (filter.error_category) statement.add(" AND status = 'failed' AND error_category = ").bind(*filter.error_category);
  statement.only_of(filter.projects).page_follows();
  add_after(statement, "scheduled_at", after);
  statement.add(" ORDER BY scheduled_at DESC, run_id").limit(limit).skip(skip);
  return std::move(statement).as<RunSummary>("runs");
}

Query<RunSummary> failed_runs(const FailedFilter& filter, int limit, const std::optional<RunCursor>& after, int skip) {
  // Not from the view, whose error_category is an expression that no index knows.
  Statement statement("SELECT " + select_list<RunSummary>() + R"sql( FROM (
  SELECT run_id, scheduled_at, job_id, external_run_id, environment, service, dataset, status, end_reason,
    false AS stalled, started_at AS start_at, finished_at AS end_at,
    coalesce(duration_ms, CASE WHEN finished_at >= started_at
      THEN (extract(epoch FROM finished_at - started_at) * 1000)::bigint END) AS duration_ms,
    attempt_count, retries_exhausted, error_category, error_code, error_message, records_extracted, records_loaded,
    dq_status, correlation_id, last_event_at, project_id
  FROM {{schema}}.job_runs WHERE status = 'failed'
) AS failed WHERE )sql");
  add_range(statement, "end_at", filter.ended);
  // A run is scheduled before it ends: months after the range need no look.
  statement.add(" AND scheduled_at < ").bind(filter.ended.to);
  if (filter.error_category) statement.add(" AND error_category = ").bind(*filter.error_category);
  if (filter.job_id) statement.add(" AND job_id = ").bind(*filter.job_id);
  if (filter.environment) statement.add(" AND environment = ").bind(*filter.environment);
  statement.only_of(filter.projects).page_follows();
  add_after(statement, "end_at", after);
  statement.add(" ORDER BY end_at DESC, run_id").limit(limit).skip(skip);
  return std::move(statement).as<RunSummary>("failed_runs");
}

Query<RunSummary> stalled_runs(int limit) {
  Statement statement = select_runs();
  statement.add("status IN ('queued', 'running') AND stalled ORDER BY last_event_at, run_id").limit(limit);
  return std::move(statement).as<RunSummary>("stalled_runs");
}

Query<RunSummary> runs_of_correlation(const std::string& correlation_id, int limit) {
  Statement statement = select_runs();
  statement.add("correlation_id = ").bind(correlation_id);
  statement.add(" ORDER BY scheduled_at DESC, run_id").limit(limit);
  return std::move(statement).as<RunSummary>("runs_of_correlation");
}

Query<JobSummary> jobs(const JobFilter& filter, TimePoint now, int limit, const std::string& after, int skip) {
  // The page first, then the week of each job on it.
  Statement statement("SELECT " + select_list<JobSummary>() + " FROM (");
  add_filtered_jobs(statement, filter, now);
  statement.add(" AND job_id > ").bind(after).add(" ORDER BY job_id").limit(limit).skip(skip);
  statement.add(R"sql() AS page
  LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE counts AND status = 'success')::double precision
        / nullif(count(*) FILTER (WHERE counts AND status IN ('success', 'failed', 'cancelled')), 0) AS success_rate_7d,
      round(avg(coalesce(duration_ms, CASE WHEN finished_at >= started_at
        THEN extract(epoch FROM finished_at - started_at) * 1000 END)) FILTER (WHERE counts))::bigint
        AS avg_duration_ms_7d,
      sum(records_loaded) FILTER (WHERE scheduled_at > )sql");
  statement.bind(now - kLoadedOf)
      .add(R"sql()::bigint AS records_loaded_24h
    FROM (SELECT r.scheduled_at, r.status, r.duration_ms, r.started_at, r.finished_at, r.records_loaded,
      )sql" +
           std::string(kCountsAsRun) + R"sql( AS counts
    FROM {{schema}}.job_runs r WHERE r.job_id = page.job_id AND r.scheduled_at <= )sql");
  statement.bind(now).add(" AND r.scheduled_at > ").bind(now - kRatesOf).only_of(filter.projects);
  // OFFSET 0: so that `counts` is found out once for each run, and not in each of the sums.
  statement.add(" OFFSET 0) AS each) AS week ON true ORDER BY job_id");
  return std::move(statement).as<JobSummary>("jobs");
}

Query<RowCount> job_count(const JobFilter& filter, TimePoint now) {
  Statement statement("SELECT count(*) AS count FROM (");
  add_filtered_jobs(statement, filter, now);
  return std::move(statement.add(") AS counted")).as<RowCount>("job_count");
}

Query<WeeklySummary> weekly_summaries(const WeekFilter& filter, int limit, int skip) {
  Statement statement("SELECT " + select_list<WeeklySummary>() + R"sql( FROM (
  SELECT job_id, environment, week, count(*) FILTER (WHERE counts) AS runs,
    count(*) FILTER (WHERE counts AND status = 'success') AS succeeded,
    count(*) FILTER (WHERE counts AND status = 'failed') AS failed,
    count(*) FILTER (WHERE counts AND status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE counts AND status = 'skipped') AS skipped,
    count(*) FILTER (WHERE counts AND status = 'success')::double precision
      / nullif(count(*) FILTER (WHERE counts AND status IN ('success', 'failed', 'cancelled')), 0) AS success_rate,
    round(avg(coalesce(duration_ms, CASE WHEN finished_at >= started_at
      THEN extract(epoch FROM finished_at - started_at) * 1000 END)) FILTER (WHERE counts))::bigint AS avg_duration_ms,
    sum(records_loaded)::bigint AS records_loaded
  FROM (SELECT r.job_id, r.environment, date_trunc('week', r.scheduled_at AT TIME ZONE 'UTC')::date AS week, r.status,
    r.duration_ms, r.started_at, r.finished_at, r.records_loaded, )sql" +
                      std::string(kCountsAsRun) + R"sql( AS counts
    FROM {{schema}}.job_runs r WHERE )sql");
  add_range(statement, "r.scheduled_at", filter.scheduled);
  if (filter.job_id) statement.add(" AND r.job_id = ").bind(*filter.job_id);
  if (filter.environment) statement.add(" AND r.environment = ").bind(*filter.environment);
  statement.only_of(filter.projects, "r.project_id");
  statement.add(" OFFSET 0) AS each GROUP BY job_id, environment, week) AS weeks").page_follows();
  statement.add(" ORDER BY week DESC, job_id, environment").limit(limit).skip(skip);
  return std::move(statement).as<WeeklySummary>("weekly_summaries");
}

Query<RunView> run_with_id(const Uuid& run_id, const Projects& projects) {
  // By run_ids, which knows the month.
  Statement statement("SELECT " + select_list<RunView>() +
                      " FROM {{schema}}.run_ids JOIN {{schema}}.runs USING (run_id, scheduled_at) WHERE run_id = ");
  return std::move(statement.bind(run_id).only_of(projects)).as<RunView>("run_with_id");
}

Query<RunPlace> run_place(const Uuid& run_id, const Projects& projects) {
  Statement statement("SELECT " + select_list<RunPlace>() +
                      " FROM {{schema}}.run_ids JOIN {{schema}}.job_runs USING (run_id, scheduled_at) WHERE run_id = ");
  return std::move(statement.bind(run_id).only_of(projects)).as<RunPlace>("run_place");
}

Query<RunAttemptRow> attempts_of_run(const Uuid& run_id, int limit, int skip) {
  return rows_of_run<RunAttemptRow>("attempts_of_run", run_id, "attempt_no", limit, skip);
}
Query<TaskRunRow> tasks_of_run(const Uuid& run_id, int limit, int skip) {
  return rows_of_run<TaskRunRow>("tasks_of_run", run_id, "first_event_at, task_run_id", limit, skip);
}
Query<RunStateChangeRow> state_changes_of_run(const Uuid& run_id, int limit, int skip) {
  return rows_of_run<RunStateChangeRow>("state_changes_of_run", run_id, "at, id", limit, skip);
}

Query<JobDailySummaryRow> daily_summaries(const std::optional<std::string>& job_id, std::chrono::sys_days from,
                                          std::chrono::sys_days to, int limit) {
  Statement statement("SELECT " + select_list<JobDailySummaryRow>() +
                      " FROM {{schema}}.job_daily_summary WHERE day >= ");
  statement.bind(from).add(" AND day < ").bind(to);
  if (job_id) statement.add(" AND job_id = ").bind(*job_id);
  statement.add(" ORDER BY day DESC, job_id, environment").limit(limit);
  return std::move(statement).as<JobDailySummaryRow>("daily_summaries");
}

}  // namespace runtail
