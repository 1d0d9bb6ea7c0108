#include "parsers/json_value.h"

#include <charconv>
#include <cmath>

namespace runtail {

namespace dom = simdjson::dom;

std::optional<double> number_of(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<double> number_of(const dom::element& value) {
  double number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  return number_of(text);
}

std::optional<std::int64_t> integer_of(double number) {
  if (std::abs(number) > 9e15 || number != std::floor(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

std::optional<std::int64_t> integer_of(const dom::element& value) {
  std::int64_t integer = 0;
  if (value.get(integer) == simdjson::SUCCESS) return integer;
  const auto number = number_of(value);
  return number ? integer_of(*number) : std::nullopt;
}

// Years 1973-2261 in each unit.
std::optional<TimePoint> time_of_number(double number) {
  if (!(number >= 1e8)) return std::nullopt;
  const double micros = number < 1e10   ? number * 1e6
                        : number < 1e13 ? number * 1e3
                        : number < 1e16 ? number
                                        : number / 1e3;
  if (micros >= 9.2e15) return std::nullopt;
  return from_micros(static_cast<std::int64_t>(micros));
}

std::optional<TimePoint> time_of(std::string_view text, const TimeZone* zone) {
  if (const auto time = parse_rfc3339(text, zone)) return time;
  const auto number = number_of(text);
  return number ? time_of_number(*number) : std::nullopt;
}

std::optional<TimePoint> time_of(const dom::element& value, const TimeZone* zone) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return time_of(text, zone);
  const auto number = number_of(value);
  return number ? time_of_number(*number) : std::nullopt;
}

bool in_range(Field field, std::int64_t value) {
  switch (field) {
    case Field::kAttempt:
    case Field::kMaxAttempts:
    case Field::kTaskAttempt:
      return value >= 1 && value <= 1'000'000;
    case Field::kHttpStatus:
      return value >= 100 && value <= 599;
    case Field::kExitCode:
      return value >= -1 && value <= 255;
    case Field::kExitSignal:
      return value >= 0 && value <= 64;
    default:
      return value >= 0 && value <= 1'000'000'000'000'000;  // counts: 10^15
  }
}

bool in_range(Field field, double value) {
  switch (field) {
    case Field::kDurationMs:
      return value >= 0 && value <= 315'360'000'000;  // ten years
    case Field::kCostUsd:
      return value >= 0 && value <= 9999.999999;  // what numeric(10,6) holds
    default:
      return true;  // a check's value and threshold may be anything
  }
}

}  // namespace runtail
