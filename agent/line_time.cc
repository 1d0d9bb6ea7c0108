#include "agent/line_time.h"

namespace runtail {

void LineTime::begin(const LineBlock& block, Parser& parser) {
  last_ts_ = *block.last_ts;
  first_seen_ = block.position.first_seen;
  next_ts_.reset();
  if (last_ts_) return;
  // Only at the head of a file: its first untimed lines take the time of the first timed one after them.
  for (const Line& line : block.lines) {
    if ((next_ts_ = parser.parse(line.bytes, zone_of(block), dialect_of(block)).ts)) return;
  }
}

void LineTime::put(const std::optional<TimePoint>& envelope_time, RedactedEvent& event) {
  if (event.ts_source == TsSource::kLine && event.ts != TimePoint{}) {
    last_ts_ = event.ts;
  } else if (envelope_time) {
    event.ts = *envelope_time;
    event.ts_source = TsSource::kEnvelope;
  } else if (last_ts_) {
    event.ts = *last_ts_;
    event.ts_source = TsSource::kPrevious;
  } else if (next_ts_) {
    event.ts = *next_ts_;
    event.ts_source = TsSource::kNext;
  } else {
    event.ts = first_seen_;
    event.ts_source = TsSource::kSeen;
  }
}

TimePoint LineTime::of(const Line& line, std::optional<TimePoint> stated) const {
  if (stated) return *stated;
  if (line.envelope_time) return *line.envelope_time;
  return last_ts_ ? *last_ts_ : next_ts_.value_or(first_seen_);
}

void LineTime::passed(std::optional<TimePoint> stated) {
  if (stated) last_ts_ = stated;
}

}  // namespace runtail
