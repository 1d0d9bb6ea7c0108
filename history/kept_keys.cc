#include "history/kept_keys.h"

#include <cstring>

#include "core/bytes.h"

namespace runtail {
namespace {

constexpr std::size_t kNumberBytes = 8, kIdBytes = 16;

void append_number(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xFF);
}

std::uint64_t number_of(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char c : bytes) number = number << 8 | static_cast<std::uint8_t>(c);
  return number;
}

// So that those before 1970 come first.
constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
std::uint64_t ascending(TimePoint at) { return static_cast<std::uint64_t>(to_micros(at)) ^ kSign; }
TimePoint time_of(std::uint64_t number) { return from_micros(static_cast<std::int64_t>(number ^ kSign)); }

void append_id(std::string& out, const Uuid& id) {
  out.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

Uuid id_of(std::string_view bytes) {
  Uuid id;
  std::memcpy(id.bytes.data(), bytes.data(), kIdBytes);
  return id;
}

}  // namespace

std::string timed_key(std::string_view prefix, const TimedId& place) {
  std::string key(prefix);
  append_number(key, ~ascending(place.at));
  append_id(key, place.id);
  return key;
}

std::string timed_key_before(std::string_view prefix, TimePoint end) {
  return timed_key(prefix, {end - std::chrono::microseconds(1), {}});
}

std::optional<TimedId> read_timed_key(std::string_view key) {
  if (key.size() < kNumberBytes + kIdBytes) return std::nullopt;
  key.remove_prefix(key.size() - kNumberBytes - kIdBytes);
  return TimedId{time_of(~number_of(key.substr(0, kNumberBytes))), id_of(key.substr(kNumberBytes))};
}

std::string id_key(std::string_view prefix, const Uuid& id) {
  std::string key(prefix);
  append_id(key, id);
  return key;
}

std::optional<Uuid> read_id_key(std::string_view prefix, std::string_view key) {
  if (key.size() < prefix.size() + kIdBytes) return std::nullopt;
  return id_of(key.substr(prefix.size(), kIdBytes));
}

std::string change_key(const Uuid& run_id, TimePoint at, const Uuid& id) {
  std::string key = id_key(kStateChanges, run_id);
  append_number(key, ascending(at));
  append_id(key, id);
  return key;
}

std::string line_place_key(const Uuid& run_id, Sequence sequence) {
  std::string key = id_key(kLinePlaces, run_id);
  append_number(key, sequence);
  return key;
}

std::optional<Sequence> read_line_place_key(std::string_view key) {
  if (key.size() != kLinePlaces.size() + kIdBytes + kNumberBytes) return std::nullopt;
  return number_of(key.substr(key.size() - kNumberBytes));
}

std::string kept_run_key(const Uuid& run_id) { return "r/" + to_string(run_id); }

std::string job_day(TimePoint at) {
  std::string value;
  ByteWriter(value).zigzag(std::chrono::floor<std::chrono::days>(at).time_since_epoch().count());
  return value;
}

std::chrono::sys_days read_job_day(std::string_view value) {
  ByteReader reader(value);
  const auto day = static_cast<std::chrono::days::rep>(reader.zigzag());
  return reader.failed() ? std::chrono::sys_days::min() : std::chrono::sys_days(std::chrono::days(day));
}

}  // namespace runtail
