#include "core/time.h"

#include <array>

#include "core/time_zone.h"

namespace runtail {
namespace {

// Value of `count` digits at `text`, or -1.
int digits(const char* text, int count) {
  int value = 0;
  for (int i = 0; i < count; ++i) {
    const unsigned digit = static_cast<unsigned char>(text[i]) - '0';
    if (digit > 9) return -1;
    value = value * 10 + static_cast<int>(digit);
  }
  return value;
}

}  // namespace

std::optional<TimePoint> parse_rfc3339(std::string_view text, const TimeZone* zone) {
  // "YYYY-MM-DDThh:mm:ss" is 19 bytes.
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') return std::nullopt;
  if (text[10] != 'T' && text[10] != 't' && text[10] != ' ') return std::nullopt;
  const int year = digits(&text[0], 4), month = digits(&text[5], 2), day = digits(&text[8], 2);
  const int hour = digits(&text[11], 2), minute = digits(&text[14], 2);
  int second = digits(&text[17], 2);
  if (year < 1970 || year > 2261 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  if (second == 60) second = 59;
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (month < 1 || day < 1 || !date.ok()) return std::nullopt;

  std::size_t at = 19;
  int micros = 0;
  if (at < text.size() && (text[at] == '.' || text[at] == ',')) {
    int scale = 100'000;
    const std::size_t first = ++at;
    for (; at < text.size(); ++at) {
      const unsigned digit = static_cast<unsigned char>(text[at]) - '0';
      if (digit > 9) break;
      micros += static_cast<int>(digit) * scale;
      scale /= 10;
    }
    if (at == first) return std::nullopt;
  }
  int offset_minutes = 0;
  const bool states_offset = at < text.size();
  if (states_offset) {
    const char sign = text[at];
    if (sign == 'Z' || sign == 'z') {
      ++at;
    } else if (sign == '+' || sign == '-') {
      ++at;
      if (text.size() < at + 4) return std::nullopt;
      const int offset_hours = digits(&text[at], 2);
      at += 2;
      if (text[at] == ':') ++at;
      if (text.size() < at + 2) return std::nullopt;
      const int rest = digits(&text[at], 2);
      at += 2;
      if (offset_hours < 0 || offset_hours > 23 || rest < 0 || rest > 59) return std::nullopt;
      offset_minutes = (offset_hours * 60 + rest) * (sign == '-' ? -1 : 1);
    }
    if (at != text.size()) return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch();
  const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(days).count() + hour * 3600 +
                               (minute - offset_minutes) * 60 + second;
  TimePoint time = from_micros(seconds * 1'000'000 + micros);
  if (zone && !states_offset) time = zone->to_utc(time);
  if (to_micros(time) < 0) return std::nullopt;
  return time;
}

std::string to_rfc3339(TimePoint time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::int64_t micros = (time - day).count();
  const int seconds = static_cast<int>(micros / 1'000'000);
  std::array<char, 64> out{};
  const int size =
      std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), seconds / 3600,
                    seconds / 60 % 60, seconds % 60, static_cast<int>(micros % 1'000'000));
  return std::string(out.data(), static_cast<std::size_t>(size));
}

}  // namespace runtail
