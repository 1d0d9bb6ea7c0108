#include "sinks/postgres_json.h"

#include <cstddef>

#include "core/json_text.h"

namespace runtail {
namespace {

constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kDigitsMax = 40;
constexpr int kExponentMax = 308;
constexpr std::string_view kTooDeep = "\"[deeper than 64]\"";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Value of the four digits of a \uXXXX escape at `at`, or -1.
int escape_at(std::string_view json, std::size_t at) {
  if (at + 6 > json.size() || json[at] != '\\' || json[at + 1] != 'u') return -1;
  int value = 0;
  for (std::size_t i = at + 2; i < at + 6; ++i) {
    const char c = json[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

bool is_high_surrogate(int code) { return code >= 0xD800 && code <= 0xDBFF; }
bool is_low_surrogate(int code) { return code >= 0xDC00 && code <= 0xDFFF; }

// Copies the string that begins with the quote at `at`; returns the index after its closing quote.
std::size_t copy_string(std::string& out, std::string_view json, std::size_t at) {
  std::size_t copied = at;
  std::size_t i = at + 1;
  const auto replace = [&](std::size_t length, std::string_view with) {
    out.append(json.substr(copied, i - copied));
    out += with;
    i += length;
    copied = i;
  };
  while (i < json.size() && json[i] != '"') {
    if (json[i] == '\0') {
      replace(1, "\\ufffd");
    } else if (json[i] != '\\') {
      ++i;
    } else if (const int code = escape_at(json, i); code < 0) {
      i += 2;
    } else if (code == 0) {
      replace(6, "\\\\u0000");
    } else if (is_high_surrogate(code) && is_low_surrogate(escape_at(json, i + 6))) {
      i += 12;
    } else if (is_high_surrogate(code) || is_low_surrogate(code)) {
      replace(6, "\\ufffd");
    } else {
      i += 6;
    }
  }
  i = i < json.size() ? i + 1 : json.size();
  out.append(json.substr(copied, i - copied));
  return i;
}

bool is_number_char(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

std::size_t copy_number(std::string& out, std::string_view json, std::size_t at) {
  std::size_t end = at;
  while (end < json.size() && is_number_char(json[end])) ++end;
  const std::string_view number = json.substr(at, end - at);
  std::size_t digits = 0;
  const std::size_t exponent_mark = number.find_first_of("eE");
  for (const char c : number.substr(0, exponent_mark)) digits += c >= '0' && c <= '9';
  bool wild = digits > kDigitsMax;
  if (exponent_mark != std::string_view::npos) {
    // Saturates far above the limit: the exponent may itself have any number of digits.
    int exponent = 0;
    for (const char c : number.substr(exponent_mark + 1)) {
      if (c >= '0' && c <= '9' && exponent <= kExponentMax) exponent = exponent * 10 + (c - '0');
    }
    wild = wild || exponent > kExponentMax;
  }
  if (wild) out += '"';
  out += number;
  if (wild) out += '"';
  return end;
}

// The index after the container that begins at `at`.
std::size_t skip_container(std::string_view json, std::size_t at) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = at; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i + 1;
    }
  }
  return json.size();
}

}  // namespace

void append_neutral_json(std::string& out, std::string_view json) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < json.size();) {
    const char c = json[i];
    if (c == '"') {
      i = copy_string(out, json, i);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
      i = copy_number(out, json, i);
    } else if ((c == '{' || c == '[') && depth == kDepthMax) {
      out += kTooDeep;
      i = skip_container(json, i);
    } else {
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && depth > 0) --depth;
      out += c;
      ++i;
    }
  }
}

void append_text_json(std::string& out, std::string_view text) {
  if (text.find('\0') == std::string_view::npos) return append_json_string(out, text);
  std::string without;
  for (const char c : text) {
    if (c == '\0')
      without += kReplacement;
    else
      without += c;
  }
  append_json_string(out, without);
}

}  // namespace runtail
