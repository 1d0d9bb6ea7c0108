// Deliveries that are wanted and not yet made: rows of alert_deliveries, queued in the transaction that opened or
// resolved their alert. A sender leases them, so that several servers share the work and none sends twice; what a
// sender that died had leased comes back when the lease ends. So each is sent at least once, and twice only where a
// sender died, or its answer was lost, between sending and saying so.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "core/uuid.h"
#include "schema/pg.h"
#include "schema/row.h"

namespace runtail {

struct AlertDelivery {
  Uuid id, alert_id;
  std::string kind;           // firing, repeat, resolved
  std::int32_t attempts = 0;  // with this one
  std::string channel, channel_kind, target_ref;
  std::string rule, severity;
  std::optional<std::string> job_id, acknowledged_by;
  Json labels, annotations;
  TimePoint fired_at{};
  std::optional<TimePoint> resolved_at;
  // Members of the labels and annotations.
  std::optional<std::string> rule_kind, table, reason, subject, summary, description, runbook_url;
  // Of the run it points to: as lines name it, and why it failed (redacted, at most 2 KiB).
  std::optional<std::string> run, error_category, error_message, owner;
  // Of the result it points to.
  std::optional<std::string> column;
  std::optional<double> value, baseline, threshold;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("alert_id", row.alert_id);
    visit("kind", row.kind);
    visit("attempts", row.attempts);
    visit("channel", row.channel);
    visit("channel_kind", row.channel_kind);
    visit("target_ref", row.target_ref);
    visit("rule", row.rule);
    visit("severity", row.severity);
    visit("job_id", row.job_id);
    visit("acknowledged_by", row.acknowledged_by);
    visit("labels", row.labels);
    visit("annotations", row.annotations);
    visit("fired_at", row.fired_at);
    visit("resolved_at", row.resolved_at);
    visit("rule_kind", row.rule_kind);
    visit("table", row.table);
    visit("reason", row.reason);
    visit("subject", row.subject);
    visit("summary", row.summary);
    visit("description", row.description);
    visit("runbook_url", row.runbook_url);
    visit("run", row.run);
    visit("error_category", row.error_category);
    visit("error_message", row.error_message);
    visit("owner", row.owner);
    visit("column", row.column);
    visit("value", row.value);
    visit("baseline", row.baseline);
    visit("threshold", row.threshold);
  }
};

inline constexpr std::chrono::seconds kFirstRetry{10}, kLongestRetry{600};
// A delivery that failed for so long is given up.
inline constexpr std::chrono::hours kGiveUpAfter{24};

// Those that are due, at most `limit`, for this sender until now + lease. What an alert was told earlier on a channel
// goes before what it is told later.
Result<std::vector<AlertDelivery>> lease_deliveries(PgConnection& connection, const std::string& schema, TimePoint now,
                                                    std::chrono::seconds lease, int limit);

// `error` is empty where it was sent, else what to show of why not, without secrets; then it is tried again, twice as
// late each time.
Result<void> settle_delivery(PgConnection& connection, const std::string& schema, const AlertDelivery& delivery,
                             const std::string& error, TimePoint now);

// Gives a leased delivery back unsent, due again at `until`, as if nobody had tried.
Result<void> postpone_delivery(PgConnection& connection, const std::string& schema, const AlertDelivery& delivery,
                               TimePoint until);

// Of all servers.
Result<std::int64_t> count_pending(PgConnection& connection, const std::string& schema);

}  // namespace runtail
