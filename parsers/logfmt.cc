#include "parsers/logfmt.h"

#include <algorithm>
#include <array>
#include <optional>

namespace runtail {
namespace {

constexpr std::array<std::string_view, 5> kLevels = {"level", "lvl", "severity", "levelname", "log_level"};
constexpr std::array<std::string_view, 8> kOthers = {"msg", "message",   "ts",    "time",
                                                     "t",   "timestamp", "event", "@timestamp"};

bool is_key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '@' || c == '/';
}

bool has(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What stands between the quotes of a text that begins `rest`, as JSON may hold it, too; `rest` then begins behind it.
std::optional<std::string_view> take_quoted(std::string_view& rest) {
  constexpr std::string_view kEscapes = "\"\\/bfnrtu";
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '\\') {
      if (++i == rest.size() || kEscapes.find(rest[i]) == std::string_view::npos) return std::nullopt;
    } else if (rest[i] == '"') {
      const std::string_view inside = rest.substr(1, i - 1);
      rest.remove_prefix(i + 1);
      return inside;
    } else if (static_cast<unsigned char>(rest[i]) < ' ') {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

bool logfmt_to_json(std::string_view line, std::string& json) {
  const auto key_end = static_cast<std::size_t>(std::find_if_not(line.begin(), line.end(), is_key_char) - line.begin());
  if (key_end == 0 || key_end == line.size() || line[key_end] != '=') return false;
  json.assign(1, '{');
  bool has_level = false, has_other = false;
  for (std::string_view rest = line;;) {
    const auto size = static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), is_key_char) - rest.begin());
    if (size == 0 || size == rest.size() || rest[size] != '=') return false;
    std::string_view key = rest.substr(0, size);
    has_level = has_level || has(kLevels, key);
    has_other = has_other || has(kOthers, key);
    if (key == "lvl") key = "level";
    if (key == "t") key = "ts";
    rest.remove_prefix(size + 1);
    std::string_view value;
    if (rest.starts_with('"')) {
      const auto inside = take_quoted(rest);
      if (!inside) return false;
      value = *inside;
    } else {
      value = rest.substr(0, rest.find(' '));
      rest.remove_prefix(value.size());
      const bool is_plain = std::none_of(value.begin(), value.end(), [](char c) {
        return c == '"' || c == '\\' || c == '=' || static_cast<unsigned char>(c) < ' ';
      });
      if (!is_plain) return false;
    }
    if (json.size() > 1) json += ',';
    json.append(1, '"').append(key).append("\":\"").append(value).append(1, '"');
    const std::size_t next = rest.find_first_not_of(' ');
    if (next == std::string_view::npos) break;
    if (next == 0) return false;
    rest.remove_prefix(next);
  }
  json += '}';
  return has_level && has_other;
}

}  // namespace runtail
