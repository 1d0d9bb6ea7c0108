// Durations and sizes as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runtail {

// "500ms", "30s", "15m", "24h", "7d", "0"; whole numbers up to ten years. std::nullopt for all else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// In the largest unit that divides it: "7d", "90s". parse_duration() reads it back.
std::string print_duration(std::chrono::milliseconds duration);

// "4096", "64KiB", "512MiB", "2GiB", "1TiB"; up to 2^63 - 1. std::nullopt for all else.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
std::string print_bytes(std::uint64_t bytes);

}  // namespace runtail
