#include "history/service_queries.h"

namespace runtail {

Query<DeadLetterView> dead_letters(const std::string& reason, const TimeRange& range, int limit,
                                   const std::optional<DeadLetterCursor>& after) {
  Statement statement("SELECT " + select_list<DeadLetterView>() + " FROM {{schema}}.dead_letters WHERE reason = ");
  statement.bind(reason).add(" AND at >= ").bind(range.from).add(" AND at < ").bind(range.to);
  if (after) {
    statement.add(" AND at <= ").bind(after->at);
    statement.add(" AND (at < ").bind(after->at).add(" OR id > ").bind(after->id).add(")");
  }
  statement.add(" ORDER BY at DESC, id").limit(limit);
  return std::move(statement).as<DeadLetterView>("dead_letters");
}

Query<DeadLetterCount> dead_letter_counts(const TimeRange& range) {
  Statement statement("SELECT " + select_list<DeadLetterCount>() +
                      " FROM (SELECT reason, count(*) AS count, max(at) AS last_at FROM {{schema}}.dead_letters "
                      "WHERE at >= ");
  statement.bind(range.from).add(" AND at < ").bind(range.to);
  statement.add(" GROUP BY reason) AS counted ORDER BY count DESC, reason").limit(kHistoryRowsMax);
  return std::move(statement).as<DeadLetterCount>("dead_letter_counts");
}

Query<ServiceView> services(const ServiceFilter& filter, int limit, int skip) {
  Statement statement("SELECT " + select_list<ServiceView>() + R"sql( FROM (
  SELECT b.*, b.version IS DISTINCT FROM usual.version AS version_drift,
    b.config_digest IS DISTINCT FROM usual.config_digest AS config_drift
  FROM {{schema}}.service_heartbeats b JOIN (
    SELECT service, environment, mode() WITHIN GROUP (ORDER BY version) AS version,
      mode() WITHIN GROUP (ORDER BY config_digest) AS config_digest
    FROM {{schema}}.service_heartbeats GROUP BY service, environment
  ) AS usual ON usual.service = b.service AND usual.environment IS NOT DISTINCT FROM b.environment
) AS s WHERE )sql");
  statement.add(filter.projects ? "false" : "true");
  if (filter.service) statement.add(" AND service = ").bind(*filter.service);
  if (filter.drifting_only) statement.add(" AND (version_drift OR config_drift)");
  statement.page_follows().add(" ORDER BY service, instance, id").limit(limit).skip(skip);
  return std::move(statement).as<ServiceView>("services");
}

Query<AlertEventRow> alert_events(const AlertFilter& filter, int limit, const std::optional<AlertCursor>& after,
                                  int skip) {
  Statement statement("SELECT " + select_list<AlertEventRow>() + " FROM {{schema}}.alert_events a WHERE fired_at >= ");
  statement.bind(filter.fired.from).add(" AND fired_at < ").bind(filter.fired.to);
  if (filter.status) statement.add(" AND status = ").bind(*filter.status);
  if (filter.severity) statement.add(" AND severity = ").bind(*filter.severity);
  if (filter.job_id) statement.add(" AND job_id = ").bind(*filter.job_id);
  if (filter.run_id) statement.add(" AND run_id = ").bind(*filter.run_id);
  statement.only_runs_of(filter.projects, "a.run_id").page_follows();
  if (after) {
    statement.add(" AND fired_at <= ").bind(after->fired_at);
    statement.add(" AND (fired_at < ").bind(after->fired_at).add(" OR id > ").bind(after->id).add(")");
  }
  statement.add(" ORDER BY fired_at DESC, id").limit(limit).skip(skip);
  return std::move(statement).as<AlertEventRow>("alert_events");
}

}  // namespace runtail
