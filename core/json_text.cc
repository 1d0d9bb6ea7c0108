#include "core/json_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace runtail {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr char kHex[] = "0123456789abcdef";

// Length of the valid UTF-8 character `text` begins with, 0 if there is none: RFC 3629, table of section 4.
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0 && second < 0xA0) return 0;  // overlong
    if (first == 0xED && second > 0x9F) return 0;  // surrogate
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0 && second < 0x90) return 0;  // overlong
    if (first == 0xF4 && second > 0x8F) return 0;  // beyond U+10FFFF
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

bool is_plain(char c) { return static_cast<unsigned char>(c - 0x20) < 0x60 && c != '"' && c != '\\'; }

// How many bytes of `text` from its beginning on are plain.
std::size_t plain_size(std::string_view text) {
  // Eight bytes at a time as long as all eight are plain; the last eight may overlap those before.
  const auto is_plain_at = [&](std::size_t at) {
    constexpr std::uint64_t kOnes = 0x0101010101010101ull;
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    // The top bit of a byte is set by what is beyond ASCII, below a space, a quote, a backslash.
    const std::uint64_t odd =
        word | (word - kOnes * 0x20) | ((word ^ kOnes * '"') - kOnes) | ((word ^ kOnes * '\\') - kOnes);
    return (odd & kOnes * 0x80) == 0;
  };
  std::size_t size = 0;
  if (text.size() >= 8) {
    while (size < text.size() && is_plain_at(std::min(size, text.size() - 8))) size += 8;
    if (size >= text.size()) return text.size();
  }
  while (size < text.size() && is_plain(text[size])) ++size;
  return size;
}

void append_escape(std::string& out, char c) {
  out += '\\';
  switch (c) {
    case '"':
    case '\\':
      out += c;
      return;
    case '\n':
      out += 'n';
      return;
    case '\r':
      out += 'r';
      return;
    case '\t':
      out += 't';
      return;
    default:
      out.append("u00") += kHex[c >> 4 & 0xF];
      out += kHex[c & 0xF];
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t plain = plain_size(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    std::size_t taken = 1;
    if (static_cast<unsigned char>(text.front()) < 0x80) {
      append_escape(out, text.front());
    } else if (const std::size_t size = character_size(text)) {
      out.append(text.substr(0, size));
      taken = size;
    } else {
      out.append(kReplacement);
    }
    text.remove_prefix(taken);
  }
  out += '"';
}

void for_each_number(std::string_view object, const std::function<void(std::string_view, double)>& visit) {
  int depth = 0;
  std::string_view name;
  for (std::size_t at = 0; at < object.size(); ++at) {
    const char c = object[at];
    if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == '"') {
      std::size_t end = at + 1;
      while (end < object.size() && object[end] != '"') end += object[end] == '\\' ? 2 : 1;
      if (end >= object.size()) return;
      name = object.substr(at + 1, end - at - 1);
      at = end;
    } else if (c == ':' && depth == 1) {
      const std::size_t from = std::min(object.find_first_not_of(" \t", at + 1), object.size());
      double value = 0;
      const auto [end, error] = std::from_chars(object.data() + from, object.data() + object.size(), value);
      if (error == std::errc() && std::isfinite(value)) visit(name, value);
    }
  }
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace runtail
