#include "alerts/round.h"

#include <algorithm>

#include "schema/migrations.h"
#include "schema/row.h"

namespace runtail {
namespace {

Result<TimePoint> read_until(PgConnection& connection, const std::string& schema, TimePoint now) {
  auto answer = connection.query(
      sql_for_schema("SELECT min(last_seen_at - coalesce(lag_seconds, 0) * interval '1 second') FROM "
                     "{{schema}}.service_heartbeats WHERE service = 'runtail' AND status <> 'stopping' AND "
                     "last_seen_at > $1::timestamptz - $2 * interval '1 second'",
                     schema),
      PgParams{to_rfc3339(now), std::to_string(std::chrono::seconds(kAgentGone).count())});
  if (!answer) return to_error(answer.error(), "read heartbeats of agents");
  TimePoint until = now;
  if (!answer->is_null(0, 0) && !pg_text::read(answer->text(0, 0), until)) {
    return Error{ErrorCode::kCorrupt, "read heartbeats of agents: a time that does not read"};
  }
  return std::min(until, now);
}

}  // namespace

Result<RoundReport> evaluate_round(PgConnection& connection, const std::string& schema, TimePoint now,
                                   const RoundParts& parts) {
  RoundReport report;
  // Alerts do not wait until data can be judged again: their mark stays behind that of the verdicts.
  std::optional<Error> fault;
  for (int part = 0; parts.quality && part < kPartsMax; ++part) {
    auto done = evaluate_quality(connection, schema, now);
    if (!done) {
      fault = done.error();
      break;
    }
    report.quality.runs += done->runs;
    report.quality.written += done->written;
    report.quality.removed += done->removed;
    report.quality.taken = done->taken;
    report.quality.more = done->more;
    if (!done->more) break;
  }
  if (fault && (!parts.alerts || !connection.is_alive())) return *fault;
  if (!parts.alerts) return report;
  auto until = read_until(connection, schema, now);
  if (!until) return until.error();
  for (int part = 0; part < kPartsMax; ++part) {
    auto done = evaluate_alerts(connection, schema, now, *until, parts.policy, parts.quality);
    if (!done) return done.error();
    report.alerts.jobs += done->jobs;
    report.alerts.opened += done->opened;
    report.alerts.resolved += done->resolved;
    report.alerts.stale += done->stale;
    report.alerts.queued += done->queued;
    report.alerts.taken = done->taken;
    report.alerts.more = done->more;
    if (!done->more) break;
  }
  if (fault) return *fault;
  return report;
}

}  // namespace runtail
