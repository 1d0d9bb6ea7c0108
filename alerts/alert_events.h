// Alerts as they are stored: what rules said becomes events that open, are seen again and resolve, and deliveries that
// are wanted. In the transaction of whoever judged.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "alerts/alert_state.h"
#include "alerts/rules.h"
#include "core/time.h"
#include "core/uuid.h"
#include "schema/pg.h"
#include "schema/row.h"

namespace runtail {

// What a rule says of one thing.
struct Said {
  Uuid rule_id;
  std::string_view rule, kind, severity;  // outlive this
  std::chrono::milliseconds hold{0};
  std::string job_id;  // "": of no job
  // What else makes it this alert, beside rule, job and severity: {"table", "stg.orders"}.
  std::vector<std::pair<std::string, std::string>> labels;
  RuleFinding finding;
  std::string key;
};

struct EventCounts {
  std::int64_t opened = 0, resolved = 0, stale = 0, queued = 0;
};

// Of one open transaction and one `now`.
class AlertEvents {
 public:
  AlertEvents(PgConnection& connection, const std::string& schema, TimePoint now, const AlertPolicy& policy)
      : connection_(connection), schema_(schema), now_(now), policy_(policy) {}

  // `look_again`: called with what has to hold longer, and until when.
  PgOutcome<void> take(const std::vector<Said>& said, auto&& look_again) {
    auto again = take(said);
    if (!again) return again.error();
    for (const auto& [index, at] : *again) look_again(said[index], at);
    return {};
  }
  // What fires by a rule, or of a job, that is switched off is over: nobody would ever clear it.
  PgOutcome<void> close_abandoned();
  // Deliveries of events whose time has come, and of those that are told again.
  PgOutcome<void> queue();
  // Who was told that it fires is told that it is over.
  PgOutcome<void> resolve(const std::vector<std::string>& ids);

  const EventCounts& counts() const { return counts_; }

 private:
  struct Past {
    AlertPast past;
    std::optional<Uuid> open;
  };
  PgOutcome<std::vector<std::pair<std::size_t, TimePoint>>> take(const std::vector<Said>& said);
  PgOutcome<std::map<std::string, Past>> read_pasts(const std::set<std::string>& keys);
  std::string event_of(const Said& each, const AlertStep& step) const;
  PgOutcome<PgResult> ask(std::string_view sql, const PgParams& params);

  PgConnection& connection_;
  const std::string& schema_;
  const TimePoint now_;
  const AlertPolicy policy_;
  EventCounts counts_;
};

// "{"a","b"}": an array of PostgreSQL.
std::string text_array(const auto& texts) {
  std::string out = "{";
  for (const std::string& text : texts) {
    out += out.size() > 1 ? ",\"" : "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + '}';
}

template <typename T>
std::optional<T> cell(const PgResult& rows, int row, int column) {
  T value{};
  if (rows.is_null(row, column) || !pg_text::read(rows.text(row, column), value)) return std::nullopt;
  return value;
}

}  // namespace runtail
