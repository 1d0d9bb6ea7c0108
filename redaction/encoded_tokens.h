// Long runs of Base64 or hexadecimal letters, and what they decode to.
#pragma once

#include <array>
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

// Calls visit(window) for each run of kTokenBytesMin letters or more, its '=' signs with it. A byte that belongs to no
// run rules out every run that would have it inside, so most bytes are not looked at.
template <typename Visit>
void each_token(std::string_view text, Visit visit) {
  std::size_t begin = 0;  // of the run that may be next
  while (begin + kTokenBytesMin <= text.size()) {
    std::size_t at = begin + kTokenBytesMin;
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

}  // namespace runtail
