#include "alerts/outbox.h"

#include <algorithm>

#include "schema/migrations.h"

namespace runtail {
namespace {

constexpr std::string_view kLease = R"sql(
WITH due AS (
  SELECT id FROM {{schema}}.alert_deliveries d
  WHERE state = 'pending' AND next_attempt_at <= $1::timestamptz AND (leased_until IS NULL OR leased_until <= $1)
    AND EXISTS (SELECT FROM {{schema}}.alert_channels c WHERE c.id = d.channel_id AND c.enabled)
    AND NOT EXISTS (SELECT FROM {{schema}}.alert_deliveries o WHERE o.alert_id = d.alert_id
      AND o.channel_id = d.channel_id AND o.state = 'pending' AND o.id <> d.id
      AND (o.kind = 'firing' OR o.kind = 'repeat' AND d.kind = 'resolved'))
  ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED
), taken AS (
  UPDATE {{schema}}.alert_deliveries d
  SET attempts = attempts + 1, leased_until = $1::timestamptz + $2 * interval '1 second'
  FROM due WHERE d.id = due.id RETURNING d.*
)
SELECT t.id, t.alert_id, t.kind, t.attempts, c.name, c.kind, c.target_ref, coalesce(e.labels ->> 'alertname', ''),
  e.severity, e.job_id, e.acknowledged_by, e.labels, e.annotations, e.fired_at, e.resolved_at, e.annotations ->> 'kind',
  e.labels ->> 'table', e.labels ->> 'reason', coalesce(e.labels ->> 'channel', e.labels ->> 'agent'),
  e.annotations ->> 'summary', e.annotations ->> 'description', e.annotations ->> 'runbook_url',
  coalesce(r.external_run_id, e.run_id::text), r.error_category, r.error_message, j.owner, q.column_name, q.value,
  q.baseline, q.threshold
FROM taken t JOIN {{schema}}.alert_events e ON e.id = t.alert_id JOIN {{schema}}.alert_channels c ON c.id = t.channel_id
LEFT JOIN {{schema}}.etl_jobs j ON j.job_id = e.job_id
LEFT JOIN {{schema}}.run_ids i ON i.run_id = e.run_id
LEFT JOIN {{schema}}.job_runs r ON r.run_id = i.run_id AND r.scheduled_at = i.scheduled_at
LEFT JOIN {{schema}}.dq_check_results q ON q.id = e.dq_result_id AND q.created_at = e.dq_result_at
ORDER BY t.created_at, t.id)sql";
constexpr std::string_view kSent = R"sql(
UPDATE {{schema}}.alert_deliveries SET state = 'sent', sent_at = $2, leased_until = NULL, last_error = NULL
WHERE id = $1 AND state = 'pending')sql";
constexpr std::string_view kNotSent = R"sql(
UPDATE {{schema}}.alert_deliveries SET leased_until = NULL, last_error = $3,
  state = CASE WHEN created_at <= $2::timestamptz - $5 * interval '1 second' THEN 'failed' ELSE 'pending' END,
  next_attempt_at = $2::timestamptz + $4 * interval '1 second'
WHERE id = $1 AND state = 'pending')sql";

constexpr std::string_view kPostpone = R"sql(
UPDATE {{schema}}.alert_deliveries SET leased_until = NULL, attempts = greatest(attempts - 1, 0), next_attempt_at = $2
WHERE id = $1 AND state = 'pending')sql";

std::string seconds(std::chrono::seconds period) { return std::to_string(period.count()); }

}  // namespace

Result<std::vector<AlertDelivery>> lease_deliveries(PgConnection& connection, const std::string& schema, TimePoint now,
                                                    std::chrono::seconds lease, int limit) {
  auto rows = connection.query(sql_for_schema(kLease, schema),
                               PgParams{to_rfc3339(now), seconds(lease), std::to_string(limit)});
  if (!rows) return to_error(rows.error(), "lease deliveries");
  auto deliveries = rows_of<AlertDelivery>(*rows);
  if (!deliveries) return to_error(deliveries.error(), "lease deliveries");
  return std::move(*deliveries);
}

Result<void> settle_delivery(PgConnection& connection, const std::string& schema, const AlertDelivery& delivery,
                             const std::string& error, TimePoint now) {
  PgParams params = {to_string(delivery.id), to_rfc3339(now)};
  if (!error.empty()) {
    const auto doublings = std::clamp(delivery.attempts - 1, 0, 10);
    params.push_back(error);
    params.push_back(seconds(std::min(kFirstRetry * (1 << doublings), kLongestRetry)));
    params.push_back(seconds(kGiveUpAfter));
  }
  auto done = connection.query(sql_for_schema(error.empty() ? kSent : kNotSent, schema), params);
  if (!done) return to_error(done.error(), "settle delivery");
  return {};
}

Result<void> postpone_delivery(PgConnection& connection, const std::string& schema, const AlertDelivery& delivery,
                               TimePoint until) {
  auto done = connection.query(sql_for_schema(kPostpone, schema), PgParams{to_string(delivery.id), to_rfc3339(until)});
  if (!done) return to_error(done.error(), "postpone delivery");
  return {};
}

Result<std::int64_t> count_pending(PgConnection& connection, const std::string& schema) {
  auto rows = connection.query(
      sql_for_schema("SELECT count(*) FROM {{schema}}.alert_deliveries WHERE state = 'pending'", schema), PgParams{});
  if (!rows) return to_error(rows.error(), "count deliveries");
  return rows->integer(0, 0);
}

}  // namespace runtail
