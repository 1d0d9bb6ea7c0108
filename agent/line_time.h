// The time of a line that does not say it itself.
#pragma once

#include <optional>

#include "agent/line_block.h"
#include "core/event.h"
#include "parsers/parser.h"

namespace runtail {

// The line's own time, else the envelope's, else that of the last timed line before it in the file, else of the first
// after it, else first sight of the file. Threads: one.
class LineTime {
 public:
  // The lines of `block` come next. `parser` is free for another line when it returns.
  void begin(const LineBlock& block, Parser& parser);
  // Of a file nobody follows: what its first untimed lines take, if it is known.
  void begin_alone(std::optional<TimePoint> next_ts) {
    last_ts_.reset();
    next_ts_ = next_ts;
  }
  // Sets time and ts_source of a line of that block.
  void put(const Line& line, RedactedEvent& event) { put(line.envelope_time, event); }
  void put(const std::optional<TimePoint>& envelope_time, RedactedEvent& event);
  // The time put() would give a line that states `stated`.
  TimePoint of(const Line& line, std::optional<TimePoint> stated) const;
  // A line that is passed over stated this time, if it stated one.
  void passed(std::optional<TimePoint> stated);
  // Of the last line that stated one.
  std::optional<TimePoint> last() const { return last_ts_; }
  // The best that is known of a line nobody looked into.
  TimePoint about_now() const { return last_ts_.value_or(first_seen_); }

 private:
  std::optional<TimePoint> last_ts_;  // of the last timed line of the file
  std::optional<TimePoint> next_ts_;  // of the first timed line, while none came before
  TimePoint first_seen_{};
};

// In which times without an offset are read; null: UTC.
inline const TimeZone* zone_of(const LineBlock& block) {
  return block.defaults && block.defaults->time_zone ? &*block.defaults->time_zone : nullptr;
}

// Which dialect its source says its lines are in; "": none.
inline std::string_view dialect_of(const LineBlock& block) {
  return block.defaults ? std::string_view(block.defaults->dialect) : std::string_view();
}

}  // namespace runtail
