#include "alerts/alert_events.h"

#include <algorithm>

#include "alerts/json_object.h"
#include "core/identity.h"
#include "schema/migrations.h"

namespace runtail {
namespace {

constexpr std::string_view kPasts = R"sql(
SELECT k.key, e.id, e.status, e.fired_at FROM unnest($1::text[]) AS k(key) CROSS JOIN LATERAL (
  SELECT id, status, fired_at FROM {{schema}}.alert_events a WHERE a.dedupe_key = k.key
  ORDER BY (status = 'firing') DESC, fired_at DESC LIMIT 10) e)sql";
constexpr std::string_view kSilences = R"sql(
SELECT job_pattern, rule_name, ends_at FROM {{schema}}.alert_silences WHERE starts_at <= $1 AND ends_at > $1)sql";

constexpr std::string_view kOpen = R"sql(
INSERT INTO {{schema}}.alert_events (id, rule_id, dedupe_key, status, severity, fired_at, last_seen_at, resolved_at,
  count, job_id, run_id, dq_result_id, dq_result_at, labels, annotations, notify_at)
SELECT w.id, rule_id, dedupe_key, status, w.severity, fired_at, last_seen_at, CASE WHEN status = 'stale' THEN last_seen_at END,
  1, w.job_id, run_id, dq_result_id, dq_result_at, a.labels || w.labels, a.annotations || w.annotations, notify_at
FROM json_to_recordset($1::json) AS w(id uuid, rule_id uuid, dedupe_key text, status text, severity text,
  fired_at timestamptz, last_seen_at timestamptz, job_id text, run_id uuid, dq_result_id uuid, dq_result_at timestamptz,
  labels jsonb, annotations jsonb, notify_at timestamptz)
JOIN {{schema}}.alert_rules a ON a.id = w.rule_id
ORDER BY dedupe_key ON CONFLICT DO NOTHING RETURNING status)sql";
// What the foreign key locks, in the order in which writers lock it.
constexpr std::string_view kLockRuns = R"sql(
SELECT FROM {{schema}}.run_ids WHERE run_id = ANY ($1::uuid[]) ORDER BY run_id FOR KEY SHARE)sql";
constexpr std::string_view kSeen = R"sql(
UPDATE {{schema}}.alert_events SET count = count + 1, last_seen_at = greatest(last_seen_at, $2)
WHERE id = ANY ($1::uuid[]))sql";
// Who was told that it fires is told that it is over; what was not sent yet need not be.
constexpr std::string_view kResolve = R"sql(
WITH over AS (
  UPDATE {{schema}}.alert_events SET status = 'resolved', resolved_at = $2 WHERE id = ANY ($1::uuid[])
    AND status = 'firing' RETURNING id, notified_at
)
INSERT INTO {{schema}}.alert_deliveries
  (id, alert_id, channel_id, kind, seq, state, attempts, next_attempt_at, created_at)
SELECT gen_random_uuid(), d.alert_id, d.channel_id, 'resolved', 0, 'pending', 0, $2, $2
FROM over JOIN {{schema}}.alert_deliveries d ON d.alert_id = over.id AND d.kind = 'firing'
JOIN {{schema}}.alert_channels c ON c.id = d.channel_id AND c.send_resolved AND c.enabled
WHERE over.notified_at IS NOT NULL
ON CONFLICT DO NOTHING)sql";
constexpr std::string_view kAbandoned = R"sql(
SELECT e.id FROM {{schema}}.alert_events e JOIN {{schema}}.alert_rules a ON a.id = e.rule_id
LEFT JOIN {{schema}}.etl_jobs j ON j.job_id = e.job_id
WHERE e.status = 'firing' AND (NOT a.enabled OR NOT j.enabled OR e.severity <> a.severity OR a.job_id <> e.job_id
  OR e.labels ? 'channel' AND NOT EXISTS (SELECT FROM {{schema}}.alert_channels c
    WHERE c.enabled AND c.name = e.labels ->> 'channel'))
ORDER BY e.id)sql";
// What is said of a channel is not told to it.
constexpr std::string_view kNotify = R"sql(
WITH told AS (
  UPDATE {{schema}}.alert_events SET notified_at = $1
  WHERE status = 'firing' AND notified_at IS NULL AND notify_at <= $1
  RETURNING id, rule_id, labels ->> 'channel' AS channel
)
INSERT INTO {{schema}}.alert_deliveries
  (id, alert_id, channel_id, kind, seq, state, attempts, next_attempt_at, created_at)
SELECT gen_random_uuid(), told.id, m.channel_id, 'firing', 0, 'pending', 0, $1, $1
FROM told JOIN {{schema}}.alert_rule_channels m ON m.rule_id = told.rule_id
JOIN {{schema}}.alert_channels c ON c.id = m.channel_id AND c.enabled AND c.name IS DISTINCT FROM told.channel
ON CONFLICT DO NOTHING)sql";
// One row that is queued again. An Alertmanager forgets what it is not told again.
constexpr std::string_view kRepeat = R"sql(
INSERT INTO {{schema}}.alert_deliveries AS d
  (id, alert_id, channel_id, kind, seq, state, attempts, next_attempt_at, created_at)
SELECT gen_random_uuid(), e.id, m.channel_id, 'repeat', 1, 'pending', 0, $1, $1
FROM {{schema}}.alert_events e JOIN {{schema}}.alert_rule_channels m ON m.rule_id = e.rule_id
JOIN {{schema}}.alert_channels c ON c.id = m.channel_id AND c.enabled
CROSS JOIN LATERAL (
  SELECT CASE WHEN c.kind = 'alertmanager' THEN 60 ELSE m.repeat_s END * interval '1 second' AS period) every
CROSS JOIN LATERAL (
  SELECT max(l.created_at) AS at, bool_or(l.state = 'pending') AS waits FROM {{schema}}.alert_deliveries l
  WHERE l.alert_id = e.id AND l.channel_id = m.channel_id) last
WHERE e.status = 'firing' AND e.notified_at IS NOT NULL AND NOT last.waits
  AND last.at <= $1::timestamptz - every.period
ORDER BY e.id, m.channel_id
ON CONFLICT (alert_id, channel_id, kind, seq) DO UPDATE SET state = 'pending', attempts = 0,
  next_attempt_at = excluded.next_attempt_at, created_at = excluded.created_at, sent_at = NULL, last_error = NULL)sql";

std::optional<TimePoint> quiet_until(const PgResult& silences, std::string_view rule, const std::string& job_id) {
  std::optional<TimePoint> until;
  for (int row = 0; row < silences.rows(); ++row) {
    if (!matches(silences.text(row, 0), job_id)) continue;
    if (!silences.is_null(row, 1) && silences.text(row, 1) != rule) continue;
    until = std::max(until, cell<TimePoint>(silences, row, 2));
  }
  return until;
}

}  // namespace

PgOutcome<PgResult> AlertEvents::ask(std::string_view sql, const PgParams& params) {
  return connection_.query(sql_for_schema(sql, schema_), params);
}

PgOutcome<std::vector<std::pair<std::size_t, TimePoint>>> AlertEvents::take(const std::vector<Said>& said) {
  std::vector<std::pair<std::size_t, TimePoint>> again;
  if (said.empty()) return again;
  std::set<std::string> keys;
  for (const Said& each : said) keys.insert(each.key);
  auto pasts = read_pasts(keys);
  if (!pasts) return pasts.error();
  auto silences = ask(kSilences, {to_rfc3339(now_)});
  if (!silences) return silences.error();
  std::vector<std::string> opened, seen, resolved, runs;
  for (const Said& each : said) {
    const Past& past = (*pasts)[each.key];
    AlertPolicy policy = policy_;
    policy.hold = each.hold;
    const AlertStep step =
        next_step(each.finding, past.past, policy, now_, quiet_until(*silences, each.rule, each.job_id));
    using Action = AlertStep::Action;
    if (step.action == Action::kSeen) seen.push_back(to_string(*past.open));
    if (step.action == Action::kResolve) resolved.push_back(to_string(*past.open));
    if (step.action == Action::kOpen || step.action == Action::kOpenStale) {
      opened.push_back(event_of(each, step));
      if (each.finding.run_id) runs.push_back(to_string(*each.finding.run_id));
    }
    if (step.look_again) again.emplace_back(static_cast<std::size_t>(&each - said.data()), *step.look_again);
  }
  // What is over first: its key may fire again.
  if (auto done = resolve(resolved); !done) return done.error();
  if (auto done = ask(kSeen, {text_array(seen), to_rfc3339(now_)}); !done) return done.error();
  if (auto done = ask(kLockRuns, {text_array(runs)}); !done) return done.error();
  auto made = ask(kOpen, {json_array(opened)});
  if (!made) return made.error();
  for (int row = 0; row < made->rows(); ++row) ++(made->text(row, 0) == "stale" ? counts_.stale : counts_.opened);
  return again;
}

PgOutcome<void> AlertEvents::resolve(const std::vector<std::string>& ids) {
  if (ids.empty()) return {};
  auto closed = ask(kResolve, {text_array(ids), to_rfc3339(now_)});
  if (!closed) return closed.error();
  counts_.resolved += static_cast<std::int64_t>(ids.size());
  counts_.queued += closed->affected();
  return {};
}

PgOutcome<void> AlertEvents::close_abandoned() {
  auto rows = ask(kAbandoned, {});
  if (!rows) return rows.error();
  std::vector<std::string> ids;
  for (int row = 0; row < rows->rows(); ++row) ids.emplace_back(rows->text(row, 0));
  return resolve(ids);
}

PgOutcome<void> AlertEvents::queue() {
  for (const std::string_view sql : {kNotify, kRepeat}) {
    auto queued = ask(sql, {to_rfc3339(now_)});
    if (!queued) return queued.error();
    counts_.queued += queued->affected();
  }
  return {};
}

std::string AlertEvents::event_of(const Said& each, const AlertStep& step) const {
  const bool stale = step.action == AlertStep::Action::kOpenStale;
  const RuleFinding& finding = each.finding;
  JsonObject labels, annotations, row;
  labels.text("alertname", each.rule);
  if (!each.job_id.empty()) labels.text("job_id", each.job_id);
  for (const auto& [name, value] : each.labels) labels.text(name, value);
  labels.text("severity", each.severity);
  annotations.text("kind", each.kind);
  if (finding.run_id) annotations.uuid("run_id", *finding.run_id);
  // Of key and fact, so that the same fact cannot become two events.
  row.uuid("id", uuid_v5(runtail_namespace(), {"alert_events", each.key, to_rfc3339(finding.since)}));
  row.uuid("rule_id", each.rule_id).text("dedupe_key", each.key).text("status", stale ? "stale" : "firing");
  row.text("severity", each.severity).time("fired_at", finding.since).time("last_seen_at", now_);
  if (!each.job_id.empty()) row.text("job_id", each.job_id);
  if (finding.run_id) row.uuid("run_id", *finding.run_id);
  if (finding.result) row.uuid("dq_result_id", finding.result->result_id).time("dq_result_at", finding.result->at);
  row.json("labels", labels.take()).json("annotations", annotations.take());
  if (!stale) row.time("notify_at", step.notify_at);
  return row.take();
}

PgOutcome<std::map<std::string, AlertEvents::Past>> AlertEvents::read_pasts(const std::set<std::string>& keys) {
  auto rows = ask(kPasts, {text_array(keys)});
  if (!rows) return rows.error();
  std::map<std::string, Past> pasts;
  for (int row = 0; row < rows->rows(); ++row) {
    Past& past = pasts[std::string(rows->text(row, 0))];
    past.past.fired.push_back(cell<TimePoint>(*rows, row, 3).value_or(now_));
    if (rows->text(row, 2) != "firing") continue;
    past.past.firing = true;
    past.open = cell<Uuid>(*rows, row, 1);
  }
  return pasts;
}

}  // namespace runtail
