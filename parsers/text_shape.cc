#include "parsers/text_shape.h"

#include <cstring>

namespace runtail {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::size_t find(std::string_view text, std::string_view literal, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* at = memmem(text.data() + from, text.size() - from, literal.data(), literal.size());
  return at ? static_cast<std::size_t>(static_cast<const char*>(at) - text.data()) : std::string_view::npos;
}

}  // namespace

bool match_text(const std::vector<TextPiece>& pieces, bool from_beginning, std::string_view text,
                std::vector<std::string_view>& values) {
  values.assign(pieces.size(), {});
  std::size_t at = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (!pieces[i].is_value) {
      const std::size_t found = i == 0 && from_beginning
                                    ? (text.starts_with(pieces[i].literal) ? 0 : std::string_view::npos)
                                    : find(text, pieces[i].literal, at);
      if (found == std::string_view::npos) return false;
      at = found + pieces[i].literal.size();
      continue;
    }
    const bool is_last = i + 1 == pieces.size();
    const std::size_t end = is_last ? text.size() : find(text, pieces[i + 1].literal, at);
    if (end == std::string_view::npos) return false;
    values[i] = trimmed(text.substr(at, end - at));
    at = end;
  }
  return true;
}

bool has_mark(std::string_view text, std::string_view mark) {
  const auto is_passed_over = [](char c) { return c == ' ' || c == '\\' || c == '\t'; };
  for (std::size_t start = 0; (start = text.find(mark[0], start)) != std::string_view::npos; ++start) {
    std::size_t at = start, matched = 0;
    while (at < text.size() && matched < mark.size()) {
      if (text[at] == mark[matched]) {
        ++at;
        ++matched;
      } else if (is_passed_over(text[at])) {
        ++at;
      } else {
        break;
      }
    }
    if (matched == mark.size()) return true;
  }
  return false;
}

}  // namespace runtail
