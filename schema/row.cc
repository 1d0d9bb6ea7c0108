#include "schema/row.h"

#include <charconv>
#include <cstdio>

#include "core/digest.h"

namespace runtail::pg_text {
namespace {

template <typename Number>
bool read_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

int nibble(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

constexpr std::int64_t kMicros = 1'000'000;

}  // namespace

std::string write(const std::string& value) { return value; }
std::string write(std::int16_t value) { return std::to_string(value); }
std::string write(std::int32_t value) { return std::to_string(value); }
std::string write(std::int64_t value) { return std::to_string(value); }
std::string write(double value) {
  char text[32];
  return std::string(text,
                     std::to_chars(text, text + sizeof text, value).ptr);  // the shortest that reads back the same
}
std::string write(bool value) { return value ? "t" : "f"; }
std::string write(const Uuid& value) { return to_string(value); }
std::string write(TimePoint value) { return to_rfc3339(value); }
std::string write(const Json& value) { return value.text; }
std::string write(const Bytes& value) {
  return "\\x" + to_hex({reinterpret_cast<const std::uint8_t*>(value.bytes.data()), value.bytes.size()});
}
std::string write(UsdMicros value) {
  char fraction[8];
  const std::int64_t whole = value.micros / kMicros, rest = value.micros % kMicros;
  std::snprintf(fraction, sizeof fraction, ".%06d", static_cast<int>(rest < 0 ? -rest : rest));
  return (value.micros < 0 && whole == 0 ? "-" : "") + std::to_string(whole) + fraction;
}
std::string write(std::chrono::sys_days value) { return to_rfc3339(TimePoint(value)).substr(0, 10); }
std::string write(std::chrono::seconds value) { return std::to_string(value.count()) + " seconds"; }
std::string write(const std::vector<std::int64_t>& value) {
  std::string text = "{";
  for (const std::int64_t each : value) text += (text.size() > 1 ? "," : "") + std::to_string(each);
  return text + "}";
}

bool read(std::string_view text, std::string& value) {
  value = text;
  return true;
}
bool read(std::string_view text, std::int16_t& value) { return read_number(text, value); }
bool read(std::string_view text, std::int32_t& value) { return read_number(text, value); }
bool read(std::string_view text, std::int64_t& value) { return read_number(text, value); }
bool read(std::string_view text, double& value) { return read_number(text, value); }
bool read(std::string_view text, bool& value) {
  value = text == "t";
  return text == "t" || text == "f";
}
bool read(std::string_view text, Uuid& value) {
  const auto uuid = parse_uuid(text);
  if (uuid) value = *uuid;
  return uuid.has_value();
}
bool read(std::string_view text, TimePoint& value) {
  // PostgreSQL leaves the minutes of a whole hour's offset out: "2026-03-01 00:00:02.5+00".
  std::string whole(text);
  if (whole.size() > 3 && (whole[whole.size() - 3] == '+' || whole[whole.size() - 3] == '-')) whole += ":00";
  const auto time = parse_rfc3339(whole);
  if (time) value = *time;
  return time.has_value();
}
bool read(std::string_view text, Json& value) { return read(text, value.text); }
bool read(std::string_view text, Bytes& value) {
  if (!text.starts_with("\\x") || text.size() % 2 != 0) return false;
  value.bytes.clear();
  for (std::size_t at = 2; at < text.size(); at += 2) {
    const int high = nibble(text[at]), low = nibble(text[at + 1]);
    if (high < 0 || low < 0) return false;
    value.bytes += static_cast<char>(high * 16 + low);
  }
  return true;
}
bool read(std::string_view text, UsdMicros& value) {
  const std::size_t dot = text.find('.');
  std::int64_t whole = 0, fraction = 0;
  if (dot == std::string_view::npos || text.size() - dot != 7) return false;
  if (!read_number(text.substr(0, dot), whole) || !read_number(text.substr(dot + 1), fraction)) return false;
  value.micros = whole * kMicros + (text.starts_with('-') ? -fraction : fraction);
  return true;
}
bool read(std::string_view text, std::chrono::sys_days& value) {
  const auto time = parse_rfc3339(std::string(text) + "T00:00:00Z");
  if (time) value = std::chrono::floor<std::chrono::days>(*time);
  return time.has_value();
}
bool read(std::string_view text, std::chrono::seconds& value) {
  std::int64_t count = 0;
  const bool good = read_number(text, count);
  value = std::chrono::seconds(count);
  return good;
}
bool read(std::string_view text, std::vector<std::int64_t>& value) {
  if (!text.starts_with('{') || !text.ends_with('}')) return false;
  value.clear();
  for (text = text.substr(1, text.size() - 2); !text.empty();) {
    const std::size_t comma = text.find(',');
    if (!read_number(text.substr(0, comma), value.emplace_back())) return false;
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return true;
}

}  // namespace runtail::pg_text
