#include "config/line_share.h"

#include <charconv>

namespace runtail {

std::optional<Level> parse_level(std::string_view text) {
  std::string word(text);
  for (char& c : word) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  for (int i = 0; i <= static_cast<int>(Level::kFatal); ++i) {
    if (word == to_string(static_cast<Level>(i))) return static_cast<Level>(i);
  }
  return std::nullopt;
}

std::optional<SampleKey> parse_sample_key(std::string_view text) {
  const std::size_t dot = text.rfind('.');
  const bool has_environment = dot != std::string_view::npos;
  const auto level = parse_level(has_environment ? text.substr(dot + 1) : text);
  if (!level || dot == 0) return std::nullopt;
  return SampleKey{std::string(has_environment ? text.substr(0, dot) : kAnyEnvironment), *level};
}

std::optional<double> parse_share(std::string_view text) {
  double share = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), share);
  if (fault != std::errc() || end != text.data() + text.size() || !(share >= 0 && share <= 1)) return std::nullopt;
  return share;
}

}  // namespace runtail
