#include "redaction/decoded_view.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "redaction/letters.h"

namespace runtail {
namespace {

// What the bytes at one place stand for.
struct Decoded {
  std::uint32_t character = 0;  // code point; kNothing: no character at all
  std::size_t size = 0;         // bytes in the source; 0: nothing to decode here
};
constexpr std::uint32_t kNothing = 0xFFFFFFFF;
constexpr char kEscape = 0x1B;

std::optional<std::uint32_t> hex(std::string_view text, std::size_t at, std::size_t digits) {
  if (at + digits > text.size()) return std::nullopt;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const int digit = hex_value(text[at + i]);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint32_t>(digit);
  }
  return value;
}

// \u{1F600}
Decoded in_braces(std::string_view text, std::size_t at) {
  constexpr std::size_t kDigitsMax = 6;
  if (!text.substr(at + 2).starts_with('{')) return {};
  for (std::size_t digits = kDigitsMax; digits > 0; --digits) {
    const auto unit = hex(text, at + 3, digits);
    if (!unit) continue;
    const std::size_t end = at + 3 + digits;
    const bool good = end < text.size() && text[end] == '}' && *unit > 0 && *unit <= 0x10FFFF;
    return good ? Decoded{*unit, end + 1 - at} : Decoded{};
  }
  return {};
}

// \160
Decoded octal(std::string_view text, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = at + 1; i < at + 4; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '7') return {};
    value = value << 3 | static_cast<std::uint32_t>(text[i] - '0');
  }
  return value > 0 && value < 0x80 ? Decoded{value, 4} : Decoded{};
}

Decoded backslash(std::string_view text, std::size_t at) {
  if (at + 1 >= text.size()) return {};
  switch (text[at + 1]) {
    case 'n':
      return {'\n', 2};
    case 'r':
      return {'\r', 2};
    case 't':
      return {'\t', 2};
    case '"':
    case '\'':
    case '\\':
    case '/':
      return {static_cast<std::uint32_t>(text[at + 1]), 2};
    case 'u':
      if (const auto unit = hex(text, at + 2, 4)) return {*unit, 6};
      return in_braces(text, at);
    case 'x':
      if (const auto byte = hex(text, at + 2, 2)) return {*byte, 4};
      return {};
    case 'U':
      if (const auto unit = hex(text, at + 2, 8)) return {*unit, 10};
      return {};
    case 'e':
      return text.substr(at + 2).starts_with('[') ? Decoded{kEscape, 2} : Decoded{};
    default:
      return octal(text, at);
  }
}

// What colours a terminal: ESC [ 1;31 m. Nobody sees it.
Decoded control_sequence(std::string_view text, std::size_t at) {
  constexpr std::size_t kBytesMax = 32;
  if (at + 1 >= text.size() || text[at + 1] != '[') return {};
  std::size_t end = at + 2;
  while (end < text.size() && end - at < kBytesMax && text[end] >= ' ' && text[end] <= '?') ++end;
  if (end >= text.size() || text[end] < '@' || text[end] > '~') return {};
  return {kNothing, end + 1 - at};
}

Decoded percent(std::string_view text, std::size_t at) {
  const auto byte = hex(text, at + 1, 2);
  if (!byte || *byte == 0) return {};
  return {*byte, 3};
}

Decoded entity(std::string_view text, std::size_t at) {
  static constexpr std::pair<std::string_view, char> kNames[] = {
      {"&quot;", '"'},  {"&amp;", '&'},    {"&lt;", '<'},     {"&gt;", '>'},     {"&apos;", '\''}, {"&nbsp;", ' '},
      {"&colon;", ':'}, {"&equals;", '='}, {"&commat;", '@'}, {"&period;", '.'}, {"&sol;", '/'},   {"&lowbar;", '_'}};
  for (const auto& [name, c] : kNames) {
    if (text.substr(at).starts_with(name)) return {static_cast<std::uint32_t>(c), name.size()};
  }
  if (at + 3 >= text.size() || text[at + 1] != '#') return {};
  const bool is_hex = text[at + 2] == 'x' || text[at + 2] == 'X';
  std::uint32_t value = 0;
  std::size_t end = at + (is_hex ? 3 : 2);
  const std::size_t begin = end;
  for (; end < text.size() && end - begin < 8; ++end) {
    const int digit = hex_value(text[end]);
    if (digit < 0 || (!is_hex && digit > 9)) break;
    value = value * (is_hex ? 16 : 10) + static_cast<std::uint32_t>(digit);
  }
  if (end == begin || value == 0 || value > 0x10FFFF) return {};
  if (end < text.size() && text[end] == ';') ++end;
  return {value, end - at};
}

// The ASCII character a code point looks like; itself if none, kNothing if it cannot be seen.
std::uint32_t look_alike(std::uint32_t c) {
  if (c >= 0xFF01 && c <= 0xFF5E) return c - 0xFF01 + '!';
  if ((c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
      c == 0xAD || c == 0x61C || c == 0x180E) {
    return kNothing;
  }
  // What is drawn over the letter before it, chooses its shape, or is a tag.
  if ((c >= 0x300 && c <= 0x36F) || (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0xE0000 && c <= 0xE01EF)) return kNothing;
  if (c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000) return ' ';
  if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0xFE58 || c == 0xFE63) return '-';
  if (c == 0x2024 || c == 0x3002 || c == 0xFF61) return '.';
  if (c == 0xFE6B) return '@';
  if (c == 0x2018 || c == 0x2019) return '\'';
  if (c == 0x201C || c == 0x201D) return '"';
  if (c >= 0x660 && c <= 0x669) return c - 0x660 + '0';
  if (c >= 0x6F0 && c <= 0x6F9) return c - 0x6F0 + '0';
  if (c >= 0x1D7CE && c <= 0x1D7FF) return (c - 0x1D7CE) % 10 + '0';
  if (c >= 0x1D400 && c <= 0x1D6A3) {  // mathematical letters, alphabet after alphabet
    const std::uint32_t letter = (c - 0x1D400) % 52;
    return letter < 26 ? 'A' + letter : 'a' + letter - 26;
  }
  static constexpr std::pair<std::uint32_t, char> kLetters[] = {
      {0x391, 'A'}, {0x392, 'B'}, {0x395, 'E'}, {0x396, 'Z'}, {0x397, 'H'}, {0x399, 'I'}, {0x39A, 'K'}, {0x39C, 'M'},
      {0x39D, 'N'}, {0x39F, 'O'}, {0x3A1, 'P'}, {0x3A4, 'T'}, {0x3A5, 'Y'}, {0x3A7, 'X'}, {0x3B1, 'a'}, {0x3B9, 'i'},
      {0x3BD, 'v'}, {0x3BF, 'o'}, {0x3C1, 'p'}, {0x405, 'S'}, {0x406, 'I'}, {0x408, 'J'}, {0x410, 'A'}, {0x412, 'B'},
      {0x415, 'E'}, {0x41A, 'K'}, {0x41C, 'M'}, {0x41D, 'H'}, {0x41E, 'O'}, {0x420, 'P'}, {0x421, 'C'}, {0x422, 'T'},
      {0x423, 'Y'}, {0x425, 'X'}, {0x430, 'a'}, {0x435, 'e'}, {0x43A, 'k'}, {0x43E, 'o'}, {0x440, 'p'}, {0x441, 'c'},
      {0x443, 'y'}, {0x445, 'x'}, {0x455, 's'}, {0x456, 'i'}, {0x458, 'j'}, {0x4BB, 'h'}, {0x501, 'd'}};
  const auto found = std::lower_bound(std::begin(kLetters), std::end(kLetters), c,
                                      [](const auto& each, std::uint32_t value) { return each.first < value; });
  return found != std::end(kLetters) && found->first == c ? static_cast<std::uint32_t>(found->second) : c;
}

Decoded not_ascii(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const unsigned first = byte(0);
  std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (size == 0) return {};
  std::uint32_t c = first & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return {};
    c = c << 6 | (byte(i) & 0x3Fu);
  }
  const std::uint32_t seen = look_alike(c);
  return seen == c ? Decoded{} : Decoded{seen, size};
}

Decoded decode_at(std::string_view text, std::size_t at) {
  const char c = text[at];
  if (c == '\\') return backslash(text, at);
  if (c == '%') return percent(text, at);
  if (c == '&') return entity(text, at);
  if (c == kEscape) return control_sequence(text, at);
  return static_cast<unsigned char>(c) >= 0x80 ? not_ascii(text, at) : Decoded{};
}

bool may_begin(char c) {
  return c == '\\' || c == '%' || c == '&' || c == kEscape || static_cast<unsigned char>(c) >= 0x80;
}

// `raw`: an escape that states one byte rather than a character.
void append_character(std::string& out, std::uint32_t c, bool raw) {
  if (c < 0x80 || (raw && c < 0x100)) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18 & 7));
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

}  // namespace

bool decode_layer(std::string_view source, DecodedView& view) {
  std::size_t at = 0;
  const auto next = [&](std::size_t from) {
    while (from < source.size() && !(may_begin(source[from]) && decode_at(source, from).size > 0)) ++from;
    return from;
  };
  std::size_t encoded = next(0);
  if (encoded >= source.size()) return false;
  view.text.clear();
  view.from.clear();
  view.had_percent = false;
  while (at < source.size()) {
    view.text.append(source, at, encoded - at);
    for (; at < encoded; ++at) view.from.push_back(static_cast<std::uint32_t>(at));
    if (at >= source.size()) break;
    const Decoded decoded = decode_at(source, at);
    if (decoded.character != kNothing) {
      view.had_percent = view.had_percent || source[at] == '%';
      const bool raw = source[at] == '%' || (source[at] == '\\' && source[at + 1] == 'x');
      append_character(view.text, decoded.character, raw);
      while (view.from.size() < view.text.size()) view.from.push_back(static_cast<std::uint32_t>(at));
    }
    at += decoded.size;
    encoded = next(at);
  }
  view.from.push_back(static_cast<std::uint32_t>(source.size()));
  return true;
}

}  // namespace runtail
