#include "core/cron.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <span>
#include <vector>

namespace runtail {
namespace {

using std::chrono::days;

constexpr int kDaysLookedAt = 5 * 366;
constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekDays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// Of one field: numbers from `low` to `high`, names of `names` counted from `low_name`.
struct Field {
  int low, high;
  std::span<const std::string_view> names = {};
  int low_name = 0;
};

std::optional<int> number_of(const Field& field, std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (const auto name = std::ranges::find(field.names, text); name != field.names.end()) {
    return field.low_name + static_cast<int>(name - field.names.begin());
  }
  int value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = fault == std::errc() && end == text.data() + text.size() && !text.empty();
  return whole && value >= field.low && value <= field.high ? std::optional(value) : std::nullopt;
}

// The numbers it names; nothing where it is none.
std::optional<std::vector<int>> read_field(const Field& field, const std::string& text) {
  std::vector<int> all;
  for (const std::string& part : split(text, ',')) {
    const std::vector<std::string> stepped = split(part, '/');
    if (stepped.size() > 2) return std::nullopt;
    int step = 1, from = field.low, to = field.high;
    if (stepped.size() == 2) {
      const auto read = number_of({1, field.high}, stepped[1]);
      if (!read) return std::nullopt;
      step = *read;
    }
    if (stepped[0] != "*") {
      const std::vector<std::string> range = split(stepped[0], '-');
      const auto first = number_of(field, range[0]), last = number_of(field, range.back());
      if (range.size() > 2 || !first || !last || *last < *first) return std::nullopt;
      from = *first;
      to = range.size() == 1 && stepped.size() == 2 ? field.high : *last;
    }
    for (int value = from; value <= to; value += step) all.push_back(value);
  }
  return all;
}

std::string_view meaning_of(std::string_view word) {
  if (word == "@hourly") return "0 * * * *";
  if (word == "@daily" || word == "@midnight") return "0 0 * * *";
  if (word == "@weekly") return "0 0 * * 0";
  if (word == "@monthly") return "0 0 1 * *";
  if (word == "@yearly" || word == "@annually") return "0 0 1 1 *";
  return word;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  const auto refuse = [](const std::string& why) { return Error{ErrorCode::kInvalidInput, why}; };
  std::string zone_name = "UTC";
  for (const std::string_view prefix : {"CRON_TZ=", "TZ="}) {
    if (!text.starts_with(prefix)) continue;
    const std::size_t end = std::min(text.find(' '), text.size());
    zone_name = text.substr(prefix.size(), end - prefix.size());
    text.remove_prefix(end);
  }
  auto zone = TimeZone::load(zone_name);
  if (!zone) return zone.error();
  std::vector<std::string> fields;
  const std::size_t first = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(first);
  while (text.ends_with(' ')) text.remove_suffix(1);
  for (std::string& field : split(meaning_of(text), ' ')) {
    if (!field.empty()) fields.push_back(std::move(field));
  }
  if (fields.size() != 5) return refuse("a cron expression has five fields: minute hour day month weekday");
  const Field kinds[] = {{0, 59}, {0, 23}, {1, 31}, {1, 12, kMonths, 1}, {0, 7, kWeekDays, 0}};
  Cron cron(std::move(*zone));
  for (std::size_t at = 0; at < 5; ++at) {
    const auto values = read_field(kinds[at], fields[at]);
    if (!values)
      return refuse("\"" + fields[at] + "\" is no field " + std::to_string(at + 1) + " of a cron expression");
    for (const int value : *values) {
      const std::size_t bit = static_cast<std::size_t>(value);
      if (at == 0) cron.minutes_.set(bit);
      if (at == 1) cron.hours_.set(bit);
      if (at == 2) cron.days_.set(bit);
      if (at == 3) cron.months_.set(bit);
      if (at == 4) cron.week_days_.set(bit % 7);
    }
  }
  cron.any_day_ = fields[2].starts_with('*');
  cron.any_week_day_ = fields[4].starts_with('*');
  return cron;
}

bool Cron::is_day(TimePoint local_midnight) const {
  const auto day = std::chrono::floor<days>(local_midnight);
  const std::chrono::year_month_day date(day);
  const bool by_date = days_.test(static_cast<unsigned>(date.day()));
  const bool by_week = week_days_.test(std::chrono::weekday(day).c_encoding());
  if (!months_.test(static_cast<unsigned>(date.month()))) return false;
  return any_day_ || any_week_day_ ? by_date && by_week : by_date || by_week;
}

template <typename Take>
void Cron::times_of(TimePoint local_midnight, Take&& take) const {
  for (std::size_t hour = 0; hour < 24; ++hour) {
    for (std::size_t minute = 0; hours_.test(hour) && minute < 60; ++minute) {
      if (!minutes_.test(minute)) continue;
      if (take(zone_.to_utc(local_midnight + std::chrono::hours(hour) + std::chrono::minutes(minute)))) return;
    }
  }
}

std::optional<TimePoint> Cron::next(TimePoint at) const {
  // No place is more than a day from UTC.
  const TimePoint begin = std::chrono::floor<days>(at) - days(1);
  for (int day = 0; day < kDaysLookedAt; ++day) {
    if (!is_day(begin + days(day))) continue;
    std::optional<TimePoint> found;
    times_of(begin + days(day), [&](TimePoint time) {
      if (time > at) found = time;
      return found.has_value();
    });
    if (found) return found;
  }
  return std::nullopt;
}

std::optional<TimePoint> Cron::last(TimePoint at) const {
  const TimePoint begin = std::chrono::floor<days>(at) + days(1);
  for (int day = 0; day < kDaysLookedAt; ++day) {
    if (!is_day(begin - days(day))) continue;
    std::optional<TimePoint> found;
    times_of(begin - days(day), [&](TimePoint time) {
      if (time <= at) found = found ? std::max(*found, time) : time;
      return false;
    });
    if (found) return found;
  }
  return std::nullopt;
}

}  // namespace runtail
