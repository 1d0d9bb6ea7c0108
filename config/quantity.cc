#include "config/quantity.h"

#include <charconv>
#include <span>

namespace runtail {
namespace {

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};

// Largest first.
constexpr Unit kDurations[] = {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr Unit kSizes[] = {{"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"", 1}};

constexpr std::uint64_t kDurationMax = 3650ull * 86'400'000;
constexpr std::uint64_t kSizeMax = ~0ull >> 1;

std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units, std::uint64_t largest) {
  std::uint64_t number = 0;
  const auto [rest, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc()) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  if (number == 0 && suffix.empty()) return 0;
  for (const Unit& unit : units) {
    if (unit.suffix != suffix) continue;
    if (number > largest / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

std::string print(std::uint64_t value, std::span<const Unit> units) {
  if (value == 0) return "0";
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) return std::to_string(value / unit.factor) + std::string(unit.suffix);
  }
  return std::to_string(value);
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto value = parse(text, kDurations, kDurationMax);
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(*value);
}

std::string print_duration(std::chrono::milliseconds duration) {
  return print(static_cast<std::uint64_t>(duration.count()), kDurations);
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) { return parse(text, kSizes, kSizeMax); }

std::string print_bytes(std::uint64_t bytes) { return print(bytes, kSizes); }

}  // namespace runtail
