// Where names and values inside text begin and end: quotes, brackets, bare words, phrases.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "redaction/letters.h"

namespace runtail {

constexpr std::size_t kKeyBytesMax = 96;
constexpr std::size_t kGapBytesMax = 16;  // between a name, its sign and its value
// JSON in a field of CSV: "{""password"": ""x""}".
constexpr std::string_view kDoubledQuote = "\"\"";

inline bool is_key_char(char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; }
inline bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }
inline bool is_blank(char c) { return c == ' ' || c == '\t'; }
inline bool is_space(char c) { return is_blank(c) || c == '\n' || c == '\r'; }

// A text with a place in it.
class TextCursor {
 public:
  TextCursor(std::string_view text, std::size_t at) : text_(text), at_(at) {}
  std::size_t at() const { return at_; }
  bool done() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  void skip(std::size_t bytes) { at_ += bytes; }
  bool take(char c) {
    if (peek() != c || done()) return false;
    ++at_;
    return true;
  }
  void skip_space(bool newlines) {
    for (std::size_t i = 0; i < kGapBytesMax && !done() && (newlines ? is_space(peek()) : is_blank(peek())); ++i) ++at_;
  }
  // Any number of backslashes and a quote; the quote, or 0 and nothing taken.
  char take_quote(std::size_t& backslashes) {
    std::size_t count = 0;
    while (peek(count) == '\\') ++count;
    if (!is_quote(peek(count))) return 0;
    const char quote = peek(count);
    backslashes = count;
    at_ += count + 1;
    return quote;
  }
  bool take_word(std::string_view word) {
    if (text_.size() - std::min(at_, text_.size()) < word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (to_lower(text_[at_ + i]) != word[i]) return false;
    }
    at_ += word.size();
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_;
};

// The quote that ends what began after `backslashes` of them and `quote`; text.size() if it is cut off. An apostrophe
// between two letters ('Daniel O'Donnell') ends it only if no other quote does soon.
std::size_t closing_quote(std::string_view text, std::size_t from, char quote, std::size_t backslashes);

// After the bracket that closes the one at `from`; text.size() if none does.
std::size_t closing_bracket(std::string_view text, std::size_t from);

// A bare value: to the next space, quote or separator; brackets it does not open itself are not its own.
std::size_t bare_end(std::string_view text, std::size_t from);

// A connection string doubles a '}' that belongs to the value: password={S3c}}r3t}. `end`: after the first one.
std::size_t after_doubled_braces(std::string_view text, std::size_t end);

// A name or an address goes on as long as its words begin with a capital or a digit.
std::size_t phrase_end(std::string_view text, std::size_t end);

// A value that stands alone on the line after its key: "password:\n  hunter2". Where it begins, or `at`.
std::size_t value_on_next_line(std::string_view text, std::size_t at);

// The quotes that end a value of JSON in CSV; a backslash keeps them in it.
std::size_t doubled_end(std::string_view text, std::size_t from);

}  // namespace runtail
