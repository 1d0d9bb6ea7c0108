#include "redaction/encoded_tokens.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "redaction/letters.h"

namespace runtail {
namespace {

constexpr std::array<std::int8_t, 256> kValues = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (int i = 0; i < 26; ++i) {
    table[static_cast<std::size_t>('A' + i)] = static_cast<std::int8_t>(i);
    table[static_cast<std::size_t>('a' + i)] = static_cast<std::int8_t>(26 + i);
  }
  for (int i = 0; i < 10; ++i) table[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(52 + i);
  table['+'] = table['-'] = 62;
  table['/'] = table['_'] = 63;
  return table;
}();

void append_base64(std::string& out, std::string_view text) {
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = kValues[static_cast<unsigned char>(c)];
    if (value < 0) break;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
}

bool is_printable(char c) { return static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\r' || c == '\t'; }

// Random bytes give themselves away within a few.
bool reads_like_text(std::string_view text) {
  std::size_t odd = 0;
  for (const char c : text) odd += !is_printable(c) || static_cast<unsigned char>(c) >= 0x7F;
  return !text.empty() && odd * 10 <= text.size();
}

}  // namespace

std::string decoded_base64(std::string_view text) {
  std::string out;
  append_base64(out, text);
  return out;
}

std::string decoded_text(std::string_view token) {
  constexpr std::size_t kProbe = 16;  // letters; decodes to 8 or 12 bytes
  std::string out;
  const bool is_hex =
      token.size() % 2 == 0 && std::all_of(token.begin(), token.end(), [](char c) { return hex_value(c) >= 0; });
  if (is_hex) {
    for (std::size_t i = 0; i < token.size(); i += 2) {
      out += static_cast<char>(hex_value(token[i]) << 4 | hex_value(token[i + 1]));
      if (i == kProbe && !reads_like_text(out)) return {};
    }
    if (reads_like_text(out)) return out;
    out.clear();
  }
  append_base64(out, token.substr(0, kProbe));
  if (!reads_like_text(out)) return {};
  out.clear();
  append_base64(out, token);
  return reads_like_text(out) ? out : std::string();
}

}  // namespace runtail
