#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace runtail {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;
  bool is_nil() const { return *this == Uuid{}; }
};

// The canonical 36-character form only, either case; std::nullopt for all else.
std::optional<Uuid> parse_uuid(std::string_view text);
std::string to_string(const Uuid& uuid);  // lower case

// RFC 9562 version 5 of `parts` joined by byte 0x1F.
Uuid uuid_v5(const Uuid& name_space, std::initializer_list<std::string_view> parts);
// The same from the SHA-1 of namespace and name.
Uuid uuid_v5_of(const std::array<std::uint8_t, 20>& digest);

}  // namespace runtail

template <>
struct std::hash<runtail::Uuid> {
  std::size_t operator()(const runtail::Uuid& uuid) const noexcept {
    std::uint64_t words[2];
    std::memcpy(words, uuid.bytes.data(), sizeof words);
    return words[0] ^ (words[1] * 0x9E3779B97F4A7C15ull);
  }
};
