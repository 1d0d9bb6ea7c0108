#include "sinks/json_rows.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <utility>

#include "core/digest.h"
#include "sinks/postgres_json.h"

namespace runtail {

void JsonRows::begin_row() {
  out_ += out_.empty() ? "[{" : "},{";
  first_member_ = true;
}

void JsonRows::name(std::string_view name) {
  if (!first_member_) out_ += ',';
  first_member_ = false;
  out_ += '"';
  out_ += name;
  out_ += "\":";
}

void JsonRows::text(std::string_view member, std::string_view value) {
  if (!value.empty()) stated_text(member, value);
}

void JsonRows::stated_text(std::string_view member, std::string_view value) {
  name(member);
  append_text_json(out_, value);
}

void JsonRows::integer(std::string_view member, std::int64_t value) {
  name(member);
  fmt::format_to(std::back_inserter(out_), "{}", value);
}

void JsonRows::integer(std::string_view member, const std::optional<std::int64_t>& value) {
  if (value) integer(member, *value);
}

void JsonRows::real(std::string_view member, const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return;
  name(member);
  fmt::format_to(std::back_inserter(out_), "{}", *value);
}

void JsonRows::boolean(std::string_view member, bool value) {
  name(member);
  out_ += value ? "true" : "false";
}

void JsonRows::time(std::string_view member, TimePoint value) {
  name(member);
  out_ += '"' + to_rfc3339(value) + '"';
}

void JsonRows::time(std::string_view member, const std::optional<TimePoint>& value) {
  if (value) time(member, *value);
}

void JsonRows::uuid(std::string_view member, const Uuid& value) {
  name(member);
  out_ += '"' + to_string(value) + '"';
}

void JsonRows::uuid(std::string_view member, const std::optional<Uuid>& value) {
  if (value) uuid(member, *value);
}

void JsonRows::bytes(std::string_view member, std::string_view value) {
  name(member);
  out_ += "\"\\\\x" + to_hex({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()}) + '"';
}

void JsonRows::json(std::string_view member, std::string_view value) {
  if (value.empty()) return;
  name(member);
  append_neutral_json(out_, value);
}

void JsonRows::members(std::string_view json) {
  if (json.empty()) return;
  if (!first_member_) out_ += ',';
  first_member_ = false;
  out_ += json;
}

void JsonRows::decimal_micros(std::string_view member, const std::optional<std::int64_t>& micros) {
  if (!micros) return;
  name(member);
  const bool negative = *micros < 0;
  const std::uint64_t size = negative ? 0 - static_cast<std::uint64_t>(*micros) : static_cast<std::uint64_t>(*micros);
  fmt::format_to(std::back_inserter(out_), "{}{}.{:06}", negative ? "-" : "", size / 1'000'000, size % 1'000'000);
}

std::string JsonRows::take() {
  out_ += out_.empty() ? "[]" : "}]";
  return std::exchange(out_, {});
}

}  // namespace runtail
