// Long runs of Base64 or hexadecimal letters, and what they decode to.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "redaction/features.h"

namespace runtail {

inline constexpr std::size_t kTokenBytesMin = 24;

// Standard and URL alphabet; stops at the first byte of neither.
std::string decoded_base64(std::string_view text);
// What `token` decodes to if that reads like text, else "". `token` is a run as each_token() finds it.
std::string decoded_text(std::string_view token);

inline constexpr std::array<bool, 256> kTokenChars = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();
constexpr bool is_token_char(char c) { return kTokenChars[static_cast<unsigned char>(c)]; }

// How many of the eight bytes before `at` stand behind the last that is a control character, a space or one of
// !"#$%&'()* and so belongs to no token; 8 if none is.
inline std::size_t gap_before(const char* at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ull;
  std::uint64_t word;
  std::memcpy(&word, at - 8, 8);
  const std::uint64_t from_plus = (word & kOnes * 0x7F) + kOnes * (0x80 - '+');
  return static_cast<std::size_t>(std::countl_zero(~(from_plus | word) & kOnes * 0x80)) / 8;
}

// Calls visit(window) for each run of kTokenBytesMin letters or more, its '=' signs with it. A byte that belongs to no
// run rules out every run that would have it inside, so most bytes are not looked at.
template <typename Visit>
void each_token(std::string_view text, Visit visit) {
  std::size_t begin = 0;  // of the run that may be next
  while (begin + kTokenBytesMin <= text.size()) {
    std::size_t at = begin + kTokenBytesMin;
    if (const std::size_t gap = gap_before(text.data() + at); gap < 8) {
      begin = at - gap;
      continue;
    }
    while (at > begin && is_token_char(text[at - 1])) --at;
    if (at > begin) {
      begin = at;
      continue;
    }
    Window window{begin, begin + kTokenBytesMin};
    while (window.end < text.size() && is_token_char(text[window.end])) ++window.end;
    begin = window.end;
    for (int more = 0; more < 2 && window.end < text.size() && text[window.end] == '='; ++more) ++window.end;
    visit(window);
  }
}

// Calls visit(window) for what in a run may be a token of its own: the segments of a path; behind "0x" or "x" of a
// number; between the '-' and '_' of a name. visit() returns whether it was one: nothing is then looked for inside.
template <typename Visit>
void each_part(std::string_view text, Window run, Visit visit) {
  const auto each = [&](Window whole, std::string_view seams, auto look) {
    for (std::size_t begin = whole.begin; begin < whole.end;) {
      const std::size_t seam = text.substr(0, whole.end).find_first_of(seams, begin);
      const Window part{begin, std::min(seam, whole.end)};
      if (part.end - part.begin >= kTokenBytesMin) look(part);
      begin = part.end + 1;
    }
  };
  const auto is_whole = [](Window a, Window b) { return a.begin == b.begin && a.end == b.end; };
  each(run, "/", [&](Window segment) {
    if (!is_whole(segment, run) && visit(segment)) return;
    each(segment, "-_", [&](Window part) {
      if (!is_whole(part, segment) && visit(part)) return;
      const std::string_view word = text.substr(part.begin, 2);
      const std::size_t sign = word == "0x" || word == "0X" ? 2 : word[0] == 'x' ? 1 : 0;
      if (sign > 0 && part.end - part.begin - sign >= kTokenBytesMin) visit(Window{part.begin + sign, part.end});
    });
  });
}

}  // namespace runtail
