#include "parsers/text_shape.h"

#include <algorithm>
#include <array>
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

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// In capitals.
bool is_level(std::string_view word) {
  static constexpr std::array<std::string_view, 13> kWords = {"TRACE",   "DEBUG", "INFO",   "NOTICE", "WARN",
                                                              "WARNING", "ERROR", "SEVERE", "FATAL",  "CRITICAL",
                                                              "PANIC",   "ERR",   "CRIT"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

// The next word, "[several words in brackets]" being one; `text` then begins behind it.
std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
  const bool is_bracketed = text.starts_with('[') && text.find(']') < 64;
  const std::size_t end = is_bracketed ? text.find(']') + 1 : std::min(text.find_first_of(" \t\n"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

// "[info     ]" -> info, "WARNING:root:x" -> WARNING, "|INFO|" is none. "" if the word is no level.
std::string_view level_in(std::string_view word) {
  bool is_set_off = false;
  if (word.starts_with('[') && word.ends_with(']')) {
    word = trimmed(word.substr(1, word.size() - 2));
    is_set_off = true;
  } else if (const std::size_t colon = word.find(':'); colon != std::string_view::npos) {
    word = word.substr(0, colon);
    is_set_off = true;
  }
  if (word.size() > 8) return {};
  char capitals[8];
  std::transform(word.begin(), word.end(), capitals,
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  const std::string_view folded(capitals, word.size());
  return is_level(folded) && (is_set_off || folded == word) ? word : std::string_view{};
}

}  // namespace

TextHead head_of(std::string_view text, const TimeZone* zone) {
  TextHead head;
  std::string_view rest = text;
  const std::size_t first = std::min(text.find_first_not_of(" \t["), text.size());
  std::optional<TimePoint> time;
  int words_left = 1;
  if (first < text.size() && is_digit(text[first])) {
    // Date and time are one word or two, in brackets or not.
    rest = text.substr(first);
    std::size_t end = std::min(rest.find_first_of(" T"), rest.size());
    if (end < rest.size()) end = std::min(rest.find_first_of(" ]", end + 1), rest.size());
    if (end < rest.size() && end <= 40 && (time = parse_rfc3339(rest.substr(0, end), zone))) {
      rest.remove_prefix(end + (rest[end] == ']'));
    } else {
      while (!rest.empty() && is_digit(rest.front())) {
        rest.remove_prefix(std::min(rest.find_first_of(" ]"), rest.size()));
        rest.remove_prefix(std::min(rest.find_first_not_of(" ]"), rest.size()));
      }
    }
    words_left = 3;
  }
  for (; words_left > 0 && !rest.empty(); --words_left) {
    const std::string_view word = next_word(rest);
    if (word == "-" || word == "|") ++words_left;
    head.level = level_in(word);
    if (!head.level.empty()) {
      head.ts = time;
      break;
    }
  }
  return head;
}

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

void BodyMarks::add(std::string_view mark) {
  if (mark.size() < 2) return;
  std::vector<std::string>& rests = rests_[static_cast<unsigned char>(mark[1])];
  const std::string rest(mark.substr(2));
  if (std::find(rests.begin(), rests.end(), rest) == rests.end()) rests.push_back(rest);
}

bool BodyMarks::stand_in(std::string_view text) const {
  const auto next = [&](std::size_t at) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\\' || text[at] == '\t')) ++at;
    return at;
  };
  const auto stands_at = [&](std::size_t at, const std::string& rest) {
    for (const char c : rest) {
      // A blank of the mark itself may be one of those passed over.
      if (at < text.size() && text[at] != c) at = next(at);
      if (at >= text.size() || text[at] != c) return false;
      ++at;
    }
    return true;
  };
  for (std::size_t at = 0; (at = text.find('"', at)) != std::string_view::npos; ++at) {
    const std::size_t first = next(at + 1);
    if (first >= text.size()) return false;
    for (const std::string& rest : rests_[static_cast<unsigned char>(text[first])]) {
      if (stands_at(first + 1, rest)) return true;
    }
  }
  return false;
}

}  // namespace runtail
