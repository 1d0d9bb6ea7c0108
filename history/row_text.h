// Texts and numbers of the agent as columns of PostgreSQL have them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace runtail {

// "" is null. A NUL becomes U+FFFD.
inline std::optional<std::string> text_or_null(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '\0') {
      out += "\xEF\xBF\xBD";
    } else {
      out += c;
    }
  }
  return out;
}

// Of a column with a fixed set of words.
inline std::optional<std::string> word_or_null(std::string_view word, std::initializer_list<std::string_view> known) {
  for (const std::string_view each : known) {
    if (word == each) return std::string(word);
  }
  return std::nullopt;
}

inline std::optional<std::int32_t> int32_or_null(const std::optional<std::int64_t>& value) {
  if (!value || *value < std::numeric_limits<std::int32_t>::min() ||
      *value > std::numeric_limits<std::int32_t>::max()) {
    return std::nullopt;
  }
  return static_cast<std::int32_t>(*value);
}

}  // namespace runtail
