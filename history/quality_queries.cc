#include "history/quality_queries.h"

namespace runtail {

Query<DqCheckResultRow> check_results(const ResultFilter& filter, int limit, const std::optional<ResultCursor>& after,
                                      int skip) {
  Statement statement("SELECT " + select_list<DqCheckResultRow>() +
                      " FROM {{schema}}.dq_check_results c WHERE created_at >= ");
  statement.bind(filter.created.from).add(" AND created_at < ").bind(filter.created.to);
  if (filter.job_id) statement.add(" AND job_id = ").bind(*filter.job_id);
  if (filter.run_id) statement.add(" AND run_id = ").bind(*filter.run_id);
  if (filter.check_id) statement.add(" AND check_id = ").bind(*filter.check_id);
  if (filter.table_name) statement.add(" AND table_name = ").bind(*filter.table_name);
  if (filter.column_name) statement.add(" AND column_name = ").bind(*filter.column_name);
  if (filter.status == "finding") {
    statement.add(" AND status IN ('warn', 'fail')");
  } else if (filter.status) {
    statement.add(" AND status = ").bind(*filter.status);
    if (filter.status == "warn" || filter.status == "fail")
      statement.add(" AND status IN ('warn', 'fail')");  // indexed
  }
  statement.only_runs_of(filter.projects, "c.run_id").page_follows();
  if (after) {
    statement.add(" AND created_at <= ").bind(after->created_at);
    statement.add(" AND (created_at < ").bind(after->created_at).add(" OR id > ").bind(after->id).add(")");
  }
  statement.add(" ORDER BY created_at DESC, id").limit(limit).skip(skip);
  return std::move(statement).as<DqCheckResultRow>("check_results");
}

Query<DatasetFreshness> dataset_freshness(const DatasetFilter& filter, int limit, int skip) {
  Statement statement("SELECT " + select_list<DatasetFreshness>() + " FROM (SELECT dataset, environment, " +
                      "last_successful_update, record_count, freshness_minutes, last_run_id, " +
                      (filter.projects ? "NULL::text AS last_status" : "last_status") +
                      " FROM monitoring.dataset_status) AS d WHERE true");
  if (filter.environment) statement.add(" AND environment = ").bind(*filter.environment);
  if (filter.dataset) statement.add(" AND dataset = ").bind(*filter.dataset);
  statement.only_runs_of(filter.projects, "d.last_run_id").page_follows();
  statement.add(" ORDER BY last_successful_update NULLS FIRST, dataset, environment").limit(limit).skip(skip);
  return std::move(statement).as<DatasetFreshness>("dataset_freshness");
}

}  // namespace runtail
