// Questions about runtail and its services: what was set aside, who is alive, what fired.
#pragma once

#include <optional>
#include <string>

#include "history/query.h"
#include "schema/rows/alerts.h"
#include "schema/rows/service.h"

namespace runtail {

// A row of dead_letters as readers may see it: without the keyed hash of its body.
struct DeadLetterView {
  Uuid id;
  TimePoint at{};
  std::optional<std::string> stream;
  std::int64_t byte_offset = 0, byte_length = 0;
  std::string reason;
  std::optional<std::string> sqlstate, target_table, body;
  std::string agent_id;
  std::optional<TimePoint> resolved_at;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("at", row.at);
    visit("stream", row.stream);
    visit("byte_offset", row.byte_offset);
    visit("byte_length", row.byte_length);
    visit("reason", row.reason);
    visit("sqlstate", row.sqlstate);
    visit("target_table", row.target_table);
    visit("body", row.body);
    visit("agent_id", row.agent_id);
    visit("resolved_at", row.resolved_at);
  }
};
struct DeadLetterCursor {
  TimePoint at;
  Uuid id;
};
// The latest first; those of one moment by id.
Query<DeadLetterView> dead_letters(const std::string& reason, const TimeRange& range, int limit,
                                   const std::optional<DeadLetterCursor>& after = {});

struct DeadLetterCount {
  std::string reason;
  std::int64_t count = 0;
  TimePoint last_at{};

  static void columns(auto& row, auto&& visit) {
    visit("reason", row.reason);
    visit("count", row.count);
    visit("last_at", row.last_at);
  }
};
// The most frequent reason first.
Query<DeadLetterCount> dead_letter_counts(const TimeRange& range);

// By service and instance.
Query<ServiceHeartbeatRow> heartbeats(int limit);

// The latest first; of one status (firing, resolved, stale), or of all.
Query<AlertEventRow> alert_events(const std::optional<std::string>& status, const TimeRange& fired, int limit);
Query<AlertEventRow> alerts_of_run(const Uuid& run_id);

}  // namespace runtail
