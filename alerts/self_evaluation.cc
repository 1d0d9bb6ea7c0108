#include "alerts/self_evaluation.h"

#include "schema/migrations.h"

namespace runtail {
namespace {

constexpr std::string_view kRules = R"sql(
SELECT id, name, kind, severity, for_s FROM {{schema}}.alert_rules
WHERE enabled AND kind IN ('RuntailDeliveryFailing', 'RuntailAgentDown') ORDER BY id)sql";
// name, since when it fires or null, and then when it was last well. $1: now; $2: how often it must have failed.
constexpr std::string_view kChannels = R"sql(
SELECT c.name, min(d.created_at) FILTER (WHERE d.attempts >= $2), $1::timestamptz
FROM {{schema}}.alert_channels c
LEFT JOIN {{schema}}.alert_deliveries d ON d.channel_id = c.id AND d.state = 'pending'
WHERE c.enabled GROUP BY c.name ORDER BY c.name)sql";
// $2 s of silence, $3 s until it is forgotten. The last word of an instance counts.
constexpr std::string_view kAgents = R"sql(
SELECT instance, CASE WHEN status <> 'stopping' AND last_seen_at <= $1::timestamptz - $2 * interval '1 second'
    AND last_seen_at > $1::timestamptz - $3 * interval '1 second' THEN last_seen_at + $2 * interval '1 second' END,
  last_seen_at
FROM {{schema}}.service_heartbeats WHERE service = 'runtail' ORDER BY instance)sql";

std::string seconds(std::chrono::seconds period) { return std::to_string(period.count()); }

}  // namespace

PgOutcome<void> judge_self(PgConnection& connection, const std::string& schema, TimePoint now, AlertEvents& events) {
  auto rules = connection.query(sql_for_schema(kRules, schema), PgParams{});
  if (!rules) return rules.error();
  std::vector<Said> said;
  for (int at = 0; at < rules->rows(); ++at) {
    const bool of_channels = rules->text(at, 2) == "RuntailDeliveryFailing";
    auto found = of_channels
                     ? connection.query(sql_for_schema(kChannels, schema),
                                        PgParams{to_rfc3339(now), std::to_string(kFailuresTold)})
                     : connection.query(sql_for_schema(kAgents, schema),
                                        PgParams{to_rfc3339(now), seconds(kAgentSilent), seconds(kAgentForgotten)});
    if (!found) return found.error();
    for (int row = 0; row < found->rows(); ++row) {
      Said& each = said.emplace_back();
      each.rule_id = cell<Uuid>(*rules, at, 0).value_or(Uuid{});
      each.rule = rules->text(at, 1);
      each.kind = rules->text(at, 2);
      each.severity = rules->text(at, 3);
      each.hold = std::chrono::seconds(rules->integer(at, 4));
      each.labels.emplace_back(of_channels ? "channel" : "agent", std::string(found->text(row, 0)));
      const auto since = cell<TimePoint>(*found, row, 1);
      each.finding.goes_on = true;
      each.finding.state = since ? RuleFinding::State::kFiring : RuleFinding::State::kCleared;
      each.finding.since = since ? *since : cell<TimePoint>(*found, row, 2).value_or(now);
      each.key = std::string(each.rule) + '\x1F' + each.labels.front().second + '\x1F' + std::string(each.severity);
    }
  }
  // Looked at in every round, so nothing has to be remembered of what must hold longer.
  return events.take(said, [](const Said&, TimePoint) {});
}

}  // namespace runtail
