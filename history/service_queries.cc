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

Query<ServiceHeartbeatRow> heartbeats(int limit) {
  Statement statement("SELECT " + select_list<ServiceHeartbeatRow>() +
                      " FROM {{schema}}.service_heartbeats ORDER BY service, instance");
  return std::move(statement.limit(limit)).as<ServiceHeartbeatRow>("heartbeats");
}

Query<AlertEventRow> alert_events(const std::optional<std::string>& status, const TimeRange& fired, int limit) {
  Statement statement("SELECT " + select_list<AlertEventRow>() + " FROM {{schema}}.alert_events WHERE fired_at >= ");
  statement.bind(fired.from).add(" AND fired_at < ").bind(fired.to);
  if (status) statement.add(" AND status = ").bind(*status);
  statement.add(" ORDER BY fired_at DESC, id").limit(limit);
  return std::move(statement).as<AlertEventRow>("alert_events");
}

Query<AlertEventRow> alerts_of_run(const Uuid& run_id) {
  Statement statement("SELECT " + select_list<AlertEventRow>() + " FROM {{schema}}.alert_events WHERE run_id = ");
  statement.bind(run_id).add(" ORDER BY fired_at, id").limit(kHistoryRowsMax);
  return std::move(statement).as<AlertEventRow>("alerts_of_run");
}

}  // namespace runtail
