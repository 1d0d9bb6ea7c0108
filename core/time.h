// Points in time are UTC microseconds since 1970, as PostgreSQL keeps them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runtail {

class TimeZone;  // core/time_zone.h

using TimePoint = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

inline TimePoint from_micros(std::int64_t micros) { return TimePoint(std::chrono::microseconds(micros)); }
inline std::int64_t to_micros(TimePoint time) { return time.time_since_epoch().count(); }

// RFC 3339 with 'T' or ' ', optional fraction (digits after the sixth are cut), 'Z' or ±hh:mm or ±hhmm.
// Text without an offset is the civil time of `zone`, or UTC where that is null. Years 1970-2261 only; leap second 60
// becomes 59.
std::optional<TimePoint> parse_rfc3339(std::string_view text, const TimeZone* zone = nullptr);

// "2026-03-01T00:00:02.000123Z": always six digits, always Z.
std::string to_rfc3339(TimePoint time);

// Tests turn it by hand; no test sleeps.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

class SystemClock final : public Clock {
 public:
  TimePoint now() const override {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  }
};

}  // namespace runtail
