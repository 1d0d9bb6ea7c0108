#include "redaction/value_bounds.h"

#include <array>

namespace runtail {
namespace {

// Does the '&' at `at` part pairs (&n=1, &amp;)? Else it belongs to the value.
bool parts_pairs(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && end - at <= kKeyBytesMax && is_key_char(text[end])) ++end;
  if (end == text.size()) return false;
  if (end == at + 1) return text[end] == '#';
  if (text[end] == '=') return true;
  static constexpr std::array<std::string_view, 6> kEntities = {"amp", "quot", "apos", "lt", "gt", "nbsp"};
  return text[end] == ';' &&
         std::find(kEntities.begin(), kEntities.end(), text.substr(at + 1, end - at - 1)) != kEntities.end();
}

}  // namespace

std::size_t closing_quote(std::string_view text, std::size_t from, char quote, std::size_t backslashes) {
  constexpr std::size_t kNameBytesMax = 96;
  std::size_t apostrophe = std::string_view::npos;
  for (std::size_t at = from; (at = text.find(quote, at)) != std::string_view::npos; ++at) {
    if (apostrophe != std::string_view::npos && at - apostrophe > kNameBytesMax) return apostrophe;
    std::size_t before = 0;
    while (at > from + before && text[at - 1 - before] == '\\') ++before;
    const bool closes = backslashes == 0 ? before % 2 == 0 : before <= backslashes;
    if (!closes) continue;
    const bool is_doubled = at + 1 < text.size() && text[at + 1] == quote;  // SQL: 'O''Donnell'
    const std::size_t next = at + (is_doubled ? 2 : 1);
    const bool in_word = quote == '\'' && before == 0 && at > from && next < text.size() && is_letter(text[at - 1]) &&
                         is_letter(text[next]);
    if (!in_word) return at - std::min(before, backslashes);
    if (apostrophe == std::string_view::npos) apostrophe = at;
    at = next - 1;
  }
  return std::min(apostrophe, text.size());
}

std::size_t closing_bracket(std::string_view text, std::size_t from) {
  int depth = 0;
  for (std::size_t at = from; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '{' || c == '[' || c == '(') ++depth;
    if ((c == '}' || c == ']' || c == ')') && --depth == 0) return at + 1;
    if (c == '"') at = std::min(closing_quote(text, at + 1, '"', 0), text.size() - 1);
  }
  return text.size();
}

std::size_t bare_end(std::string_view text, std::size_t from) {
  std::size_t end = from;
  int open = 0;
  for (; end < text.size(); ++end) {
    const char c = text[end];
    if (is_space(c) || c == '"' || c == ';' || (c == '&' && parts_pairs(text, end)) || c == ',' || c == '<' || c == '|')
      break;
    if (c == '(' || c == '[' || c == '{') ++open;
    if ((c == ')' || c == ']' || c == '}') && --open < 0) {
      // A closing bracket in mid-word belongs to the value all the same.
      if (end + 1 >= text.size() || !is_alnum(text[end + 1])) break;
      open = 0;
    }
  }
  while (end > from && (text[end - 1] == '\'' || text[end - 1] == '\\' || text[end - 1] == '`')) --end;
  return end;
}

std::size_t after_doubled_braces(std::string_view text, std::size_t end) {
  while (end + 1 < text.size() && text[end - 1] == '}' && text[end] == '}' && is_alnum(text[end + 1])) {
    const std::size_t next = text.find('}', end + 1);
    if (next == std::string_view::npos) return text.size();
    end = next + 1;
  }
  return end;
}

std::size_t phrase_end(std::string_view text, std::size_t end) {
  for (int words = 0; words < 9; ++words) {
    std::size_t next = end;
    while (next < text.size() && (text[next] == ',' || text[next] == '.')) ++next;
    if (next >= text.size() || text[next] != ' ') return end;
    ++next;
    if (next >= text.size() || !(is_upper(text[next]) || is_digit(text[next]) || text[next] == '#' ||
                                 static_cast<unsigned char>(text[next]) >= 0x80)) {
      return end;
    }
    std::size_t after = next;
    while (after < text.size() && !is_space(text[after]) && text[after] != ',' && text[after] != ';' &&
           text[after] != '"' && text[after] != '|' && text[after] != '<' && text[after] != '}' && text[after] != ')' &&
           text[after] != ']') {
      // The next key ends it.
      if (text[after] == '=' || text[after] == ':') return end;
      ++after;
    }
    if (after == next) return end;
    end = after;
  }
  return end;
}

std::size_t value_on_next_line(std::string_view text, std::size_t at) {
  TextCursor cursor(text, at);
  cursor.take('\r');
  if (!cursor.take('\n')) return at;
  cursor.skip_space(false);
  const std::size_t begin = cursor.at();
  std::size_t end = begin;
  while (end < text.size() && !is_space(text[end])) ++end;
  const std::string_view word = text.substr(begin, end - begin);
  cursor.skip(word.size());
  cursor.skip_space(false);
  const bool is_alone = cursor.done() || cursor.peek() == '\n' || cursor.peek() == '\r';
  const bool is_key = word.find('=') != std::string_view::npos || word.ends_with(':');
  return word.empty() || !is_alone || is_key ? at : begin;
}

std::size_t doubled_end(std::string_view text, std::size_t from) {
  std::size_t end = text.find(kDoubledQuote, from);
  while (end != std::string_view::npos && end > from && text[end - 1] == '\\') end = text.find(kDoubledQuote, end + 2);
  return std::min(end, text.size());
}

}  // namespace runtail
