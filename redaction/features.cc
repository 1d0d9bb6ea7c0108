#include "redaction/features.h"

#include <array>
#include <cstring>

namespace runtail {
namespace {

// What one byte adds to the counts: eight bits each of digits, '@', ':', '-', escapes, bytes beyond ASCII.
constexpr std::array<std::uint64_t, 256> kBytes = [] {
  std::array<std::uint64_t, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = 1;
  table['@'] = 1ull << 8;
  table[':'] = 1ull << 16;
  table['-'] = 1ull << 24;
  table['\\'] = table['%'] = table['&'] = table[0x1B] = 1ull << 32;
  for (std::size_t c = 0x80; c < 256; ++c) table[c] = 1ull << 40;
  return table;
}();

}  // namespace

std::size_t next_digit(std::string_view text, std::size_t from) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ull;
  constexpr std::uint64_t kHighs = kOnes * 0x80;
  const auto is_digit_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i] - '0') < 10; };
  std::size_t i = from;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    const std::uint64_t high = (word & (kOnes * 0xF0)) ^ (kOnes * 0x30);  // 0 in each byte from '0' to '?'
    if (((high - kOnes) & ~high & kHighs) == 0) continue;
    for (std::size_t k = i; k < i + 8; ++k) {
      if (is_digit_at(k)) return k;
    }
  }
  for (; i < text.size(); ++i) {
    if (is_digit_at(i)) return i;
  }
  return text.size();
}

TextTraits traits_of(std::string_view text) {
  TextTraits traits;
  while (!text.empty()) {
    const std::string_view block = text.substr(0, 255);  // so that no eight bits overflow
    text.remove_prefix(block.size());
    std::uint64_t sum = 0;
    for (const char c : block) sum += kBytes[static_cast<unsigned char>(c)];
    traits.digits += sum & 0xFF;
    traits.ats += sum >> 8 & 0xFF;
    traits.colons += sum >> 16 & 0xFF;
    traits.dashes += sum >> 24 & 0xFF;
    traits.escapes = traits.escapes || (sum >> 32 & 0xFF) != 0;
    traits.not_ascii = traits.not_ascii || (sum >> 40 & 0xFF) != 0;
  }
  return traits;
}

}  // namespace runtail
