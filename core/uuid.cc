#include "core/uuid.h"

namespace runtail {
namespace {

constexpr std::array<std::int8_t, 256> hex_values() {
  std::array<std::int8_t, 256> out{};
  for (auto& value : out) value = -1;
  for (int i = 0; i < 10; ++i) out['0' + i] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) out['a' + i] = out['A' + i] = static_cast<std::int8_t>(10 + i);
  return out;
}
constexpr auto kHex = hex_values();
// Where each byte's first digit stands in the 36-character form.
constexpr std::array<std::uint8_t, 16> kDigitAt = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

}  // namespace

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') return std::nullopt;
  Uuid out;
  int bad = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    const int high = kHex[static_cast<unsigned char>(text[kDigitAt[i]])];
    const int low = kHex[static_cast<unsigned char>(text[kDigitAt[i] + 1u])];
    bad |= high | low;
    out.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  if (bad < 0) return std::nullopt;
  return out;
}

std::string to_string(const Uuid& uuid) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(36, '-');
  for (std::size_t i = 0; i < 16; ++i) {
    out[kDigitAt[i]] = kDigits[uuid.bytes[i] >> 4];
    out[kDigitAt[i] + 1u] = kDigits[uuid.bytes[i] & 15];
  }
  return out;
}

}  // namespace runtail
