// What can be told of a text without any rule: where digits, '@' and ':' stand. Rules for numbers, e-mail and addresses
// are tried only around them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace runtail {

// Of a whole text, by one look at each byte.
struct TextTraits {
  std::uint32_t digits = 0;
  std::uint32_t ats = 0;
  std::uint32_t colons = 0;
  std::uint32_t dashes = 0;
  bool escapes = false;  // a '\', '%', '&' or the ESC of a terminal
  bool not_ascii = false;
};
TextTraits traits_of(std::string_view text);

struct Window {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Where the next digit stands, text.size() if none does.
std::size_t next_digit(std::string_view text, std::size_t from);

struct DigitRun {
  Window window;
  std::uint32_t digits = 0;
  std::uint32_t dots = 0;
  bool plus = false;  // begins with one
  // Where two ASCII letters begin that stand before the run, after no letter or digit, with a space between or without.
  std::size_t letters = std::string_view::npos;
};

inline std::size_t letters_before(std::string_view text, std::size_t digit) {
  const auto is_letter_at = [&](std::size_t i) { return static_cast<unsigned char>((text[i] | 0x20) - 'a') < 26; };
  const auto is_digit_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i] - '0') < 10; };
  if (digit < 2) return std::string_view::npos;
  const std::size_t end = text[digit - 1] == ' ' && digit > 2 ? digit - 1 : digit;
  if (!is_letter_at(end - 1) || !is_letter_at(end - 2)) return std::string_view::npos;
  return end > 2 && (is_letter_at(end - 3) || is_digit_at(end - 3)) ? std::string_view::npos : end - 2;
}

// Calls visit(run) for each run of digits in which separators (one or two of " -./()") may stand between
// digits, with a '+' or '(' before it.
template <typename Visit>
void each_digit_run(std::string_view text, Visit visit) {
  const auto is_digit_at = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  const auto parts = [](char c) { return c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')'; };
  for (std::size_t i = 0; (i = next_digit(text, i)) < text.size();) {
    DigitRun run;
    run.window = {i, i};
    run.letters = letters_before(text, i);
    Window& window = run.window;
    while (i < text.size()) {
      if (is_digit_at(i)) {
        ++run.digits;
        window.end = ++i;
      } else if (parts(text[i]) && i - window.end < 2) {
        run.dots += text[i] == '.';
        ++i;
      } else {
        break;
      }
    }
    i = window.end;
    for (int more = 0; more < 2 && window.begin > 0 && (text[window.begin - 1] == '+' || text[window.begin - 1] == '(');
         ++more) {
      --window.begin;
      run.plus = run.plus || text[window.begin] == '+';
    }
    visit(run);
  }
}

// Calls visit(window) for the unbroken text around each '@'.
template <typename Visit>
void each_at(std::string_view text, Visit visit) {
  constexpr std::size_t kReach = 256;
  const auto ends = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '<' || c == '>' || c == '"'; };
  std::size_t from = 0;
  for (std::size_t at; (at = text.find('@', from)) != std::string_view::npos;) {
    Window window{at, at + 1};
    while (window.begin > from && at - window.begin < kReach && !ends(text[window.begin - 1])) --window.begin;
    while (window.end < text.size() && window.end - at < kReach && !ends(text[window.end])) ++window.end;
    visit(window);
    from = window.end;
  }
}

// A run of hex digits, ':', '.' and '-' of more bytes holds no address.
inline constexpr std::size_t kAddressRunBytesMax = 256;

inline bool belongs_to_address(char c) {
  return (c >= '0' && c <= ':') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '.' || c == '-';
}

// Calls visit(window) for each such run with at least five ':' or '-', or with "::".
template <typename Visit>
void each_colons(std::string_view text, Visit visit) {
  const auto belongs = belongs_to_address;
  for (const char sign : {':', '-'}) {
    for (std::size_t at = 0; (at = text.find(sign, at)) != std::string_view::npos;) {
      std::size_t begin = at, end = at;
      while (begin > 0 && belongs(text[begin - 1])) --begin;
      std::uint32_t count = 0;
      bool doubled = false;
      for (; end < text.size() && belongs(text[end]); ++end) {
        doubled = doubled || (text[end] == ':' && end > begin && text[end - 1] == ':');
        count += text[end] == sign;
      }
      at = end;
      if (end - begin <= kAddressRunBytesMax && (doubled || count >= 5)) visit(Window{begin, end});
    }
  }
}

}  // namespace runtail
