#include "history/quality_queries.h"

namespace runtail {
namespace {

Statement select_results() {
  return Statement("SELECT " + select_list<DqCheckResultRow>() + " FROM {{schema}}.dq_check_results WHERE ");
}

void add_range(Statement& statement, const TimeRange& range) {
  statement.add(" AND created_at >= ").bind(range.from).add(" AND created_at < ").bind(range.to);
}

Query<DqCheckResultRow> page(Statement statement, std::string_view name, int limit,
                             const std::optional<ResultCursor>& after) {
  if (after) {
    statement.add(" AND created_at <= ").bind(after->created_at);
    statement.add(" AND (created_at < ").bind(after->created_at).add(" OR id > ").bind(after->id).add(")");
  }
  statement.add(" ORDER BY created_at DESC, id").limit(limit);
  return std::move(statement).as<DqCheckResultRow>(name);
}

}  // namespace

Query<DqCheckResultRow> results_of_run(const Uuid& run_id, int limit, const std::optional<ResultCursor>& after) {
  Statement statement = select_results();
  statement.add("run_id = ").bind(run_id);
  return page(std::move(statement), "results_of_run", limit, after);
}

Query<DqCheckResultRow> results_of_check(const Uuid& check_id, const TimeRange& range, int limit,
                                         const std::optional<ResultCursor>& after) {
  Statement statement = select_results();
  statement.add("check_id = ").bind(check_id);
  add_range(statement, range);
  return page(std::move(statement), "results_of_check", limit, after);
}

Query<DqCheckResultRow> results_of_job(const std::string& job_id, const TimeRange& range, int limit,
                                       const std::optional<ResultCursor>& after) {
  Statement statement = select_results();
  statement.add("job_id = ").bind(job_id);
  add_range(statement, range);
  return page(std::move(statement), "results_of_job", limit, after);
}

Query<DqCheckResultRow> findings(const std::optional<std::string>& job_id, const TimeRange& range, int limit,
                                 const std::optional<ResultCursor>& after) {
  Statement statement = select_results();
  statement.add("status IN ('warn', 'fail')");
  if (job_id) statement.add(" AND job_id = ").bind(*job_id);
  add_range(statement, range);
  return page(std::move(statement), "findings", limit, after);
}

Query<DatasetFreshness> dataset_freshness(const std::optional<std::string>& environment, int limit) {
  Statement statement("SELECT " + select_list<DatasetFreshness>() + " FROM monitoring.dataset_status");
  if (environment) statement.add(" WHERE environment = ").bind(*environment);
  statement.add(" ORDER BY last_successful_update NULLS FIRST, dataset, environment").limit(limit);
  return std::move(statement).as<DatasetFreshness>("dataset_freshness");
}

}  // namespace runtail
