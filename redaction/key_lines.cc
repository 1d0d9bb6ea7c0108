#include "redaction/key_lines.h"

#include <algorithm>

#include "redaction/encoded_tokens.h"
#include "redaction/letters.h"

namespace runtail {
namespace {

// Longer keys do not exist: RSA with 16,384 bits has 200 lines.
constexpr std::uint32_t kLinesMax = 256;
constexpr std::string_view kBegin = "-----BEGIN";
constexpr std::string_view kEnd = "-----END";

// Armour: letters of Base64, or a header such as "Proc-Type: 4,ENCRYPTED".
bool belongs_to_key(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  text = text.substr(0, last == std::string_view::npos ? 0 : last + 1);
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  if (text.empty() || text.starts_with("-----")) return true;
  for (const std::string_view header : {"Proc-Type:", "DEK-Info:", "Version:", "Comment:", "Hash:"}) {
    if (text.starts_with(header)) return true;
  }
  // What a logger writes before the line (time, level) ends at a space.
  const std::string_view token = text.substr(text.rfind(' ') + 1);
  const bool is_base64 = std::all_of(token.begin(), token.end(), [](char c) { return is_token_char(c) || c == '='; });
  return is_base64 && (token.size() == text.size() || token.size() >= 48);
}

// A full line of armour gives itself away even where the line before it was not seen.
bool is_armour(std::string_view text) {
  constexpr std::size_t kArmourBytes = 64;
  const auto has = [&](auto is) { return std::any_of(text.begin(), text.end(), is); };
  return text.size() == kArmourBytes && has(is_digit) && has(is_lower) && has(is_upper) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '+' || c == '/'; });
}

}  // namespace

bool is_key_line(std::string_view text, StreamMemory& memory) {
  const bool was_open = memory.key_lines_left > 0;
  std::size_t begin = text.find(kBegin);
  for (std::size_t next;
       begin != std::string_view::npos && (next = text.find(kBegin, begin + 1)) != std::string_view::npos;) {
    begin = next;
  }
  if (begin != std::string_view::npos && text.find("PRIVATE KEY", begin) != std::string_view::npos &&
      text.find(kEnd, begin) == std::string_view::npos) {
    memory.key_lines_left = kLinesMax;
    return was_open && text.starts_with(kBegin);
  }
  if (!was_open) return is_armour(text);
  if (text.find(kEnd) != std::string_view::npos || !belongs_to_key(text)) {
    memory.key_lines_left = 0;
    return text.find(kEnd) != std::string_view::npos;
  }
  --memory.key_lines_left;
  return true;
}

}  // namespace runtail
