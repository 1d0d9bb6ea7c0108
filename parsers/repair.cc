#include "parsers/repair.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace runtail {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Length of the well-formed UTF-8 sequence at `at` (RFC 3629: no overlong forms, no surrogates), or 0.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](std::size_t i, unsigned low, unsigned high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(at + 1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return follows(at + 1, low, high) && follows(at + 2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return follows(at + 1, low, high) && follows(at + 2, 0x80, 0xBF) && follows(at + 3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

// Value of the four hex digits at `at`, or -1.
int hex4(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

bool is_number_part(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

}  // namespace

std::string repair_json(std::string_view line) {
  std::string out;
  out.reserve(line.size() + 32);
  bool in_string = false;
  for (std::size_t at = 0; at < line.size();) {
    const char c = line[at];
    if (!in_string) {
      if ((c >= '0' && c <= '9') || c == '-') {
        std::size_t end = at;
        std::size_t digits = 0;
        bool exponent = false;
        for (; end < line.size() && is_number_part(line[end]); ++end) {
          digits += line[end] >= '0' && line[end] <= '9';
          exponent = exponent || line[end] == 'e' || line[end] == 'E';
        }
        const bool quote = digits > 18 || exponent;
        if (quote) out += '"';
        out += line.substr(at, end - at);
        if (quote) out += '"';
        at = end;
        continue;
      }
      in_string = c == '"';
      out += c;
      ++at;
      continue;
    }
    if (c == '\\' && at + 1 < line.size()) {
      if (line[at + 1] != 'u') {
        out += line.substr(at, 2);
        at += 2;
        continue;
      }
      const int unit = hex4(line, at + 2);
      const bool high = unit >= 0xD800 && unit <= 0xDBFF, low = unit >= 0xDC00 && unit <= 0xDFFF;
      const int next = high && line.substr(at + 6, 2) == "\\u" ? hex4(line, at + 8) : -1;
      if (high && next >= 0xDC00 && next <= 0xDFFF) {
        out += line.substr(at, 12);
        at += 12;
      } else if (high || low || unit == 0) {
        out += kReplacement;
        at += 6;
      } else {
        out += line.substr(at, 2);
        at += 2;
      }
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      if (c == '\0') {
        out += kReplacement;
      } else {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", c);
        out += escape;
      }
      ++at;
      continue;
    }
    if (c == '"') in_string = false;
    const std::size_t length = sequence_length(line, at);
    if (length == 0) {
      out += kReplacement;
      ++at;
    } else {
      out += line.substr(at, length);
      at += length;
    }
  }
  return out;
}

std::string decode_escapes(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at++];
      continue;
    }
    const int unit = text[at + 1] == 'u' ? hex4(text, at + 2) : -1;
    if (unit > 0 && (unit < 0xD800 || unit > 0xDFFF)) {
      if (unit < 0x80) {
        out += static_cast<char>(unit);
      } else if (unit < 0x800) {
        out += static_cast<char>(0xC0 | unit >> 6);
        out += static_cast<char>(0x80 | (unit & 0x3F));
      } else {
        out += static_cast<char>(0xE0 | unit >> 12);
        out += static_cast<char>(0x80 | (unit >> 6 & 0x3F));
        out += static_cast<char>(0x80 | (unit & 0x3F));
      }
      at += 6;
    } else if (text[at + 1] == '/') {
      out += '/';
      at += 2;
    } else {
      out += text.substr(at, 2);
      at += 2;
    }
  }
  return out;
}

std::string repair_text(std::string_view text, bool& changed) {
  std::string out;
  out.reserve(text.size() + 16);
  changed = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = text[at] == '\0' ? 0 : sequence_length(text, at);
    if (length == 0) {
      out += kReplacement;
      changed = true;
      ++at;
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  return out;
}

bool is_clean_text(std::string_view text) {
  // Eight bytes at a time where they are ASCII; the last eight may overlap those before.
  const auto is_ascii_at = [&](std::size_t at) {
    constexpr std::uint64_t kOnes = 0x0101010101010101ull;
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    return ((word | (word - kOnes)) & kOnes * 0x80) == 0;  // the top bit is set by what is beyond ASCII and by NUL
  };
  for (std::size_t at = 0; at < text.size();) {
    if (text.size() >= 8) {
      const std::size_t last = text.size() - 8;
      if (is_ascii_at(std::min(at, last))) {
        at += 8;
        continue;
      }
    }
    const std::size_t length = text[at] == '\0' ? 0 : sequence_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace runtail
