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

// Armour: letters of Base64, or a header such as "Proc-Type: 4,ENCRYPTED". Where it begins in `text`, which ends
// without space; npos if it is none. `prefix`: where the key's first line began in its own.
std::size_t armour_begin(std::string_view text, std::size_t prefix) {
  constexpr std::size_t kLongToken = 48;
  const std::size_t first = std::min(text.find_first_not_of(" \t"), text.size());
  if (first == text.size() || text.substr(first).starts_with("-----")) return first;
  for (const std::string_view header : {"Proc-Type:", "DEK-Info:", "Version:", "Comment:", "Hash:"}) {
    if (text.substr(first).starts_with(header)) return first;
  }
  // What a logger writes before the line (time, level) ends at a space.
  const std::size_t begin = text.rfind(' ') + 1;
  const std::string_view token = text.substr(begin);
  const bool is_base64 = std::all_of(token.begin(), token.end(), [](char c) { return is_token_char(c) || c == '='; });
  const bool is_key = begin <= first || begin == prefix || token.size() >= kLongToken;
  return is_base64 && is_key ? std::max(begin, first) : std::string_view::npos;
}

// A full line of armour gives itself away even where the line before it was not seen.
bool is_armour(std::string_view text) {
  constexpr std::size_t kArmourBytes = 64;
  const auto has = [&](auto is) { return std::any_of(text.begin(), text.end(), is); };
  return text.size() == kArmourBytes && has(is_digit) && has(is_lower) && has(is_upper) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '+' || c == '/'; });
}

}  // namespace

std::size_t key_line_begin(std::string_view text, StreamMemory& memory) {
  const bool was_open = memory.key_lines_left > 0;
  std::size_t begin = text.find(kBegin);
  for (std::size_t next;
       begin != std::string_view::npos && (next = text.find(kBegin, begin + 1)) != std::string_view::npos;) {
    begin = next;
  }
  if (begin != std::string_view::npos && text.find("PRIVATE KEY", begin) != std::string_view::npos &&
      text.find(kEnd, begin) == std::string_view::npos) {
    memory.key_lines_left = kLinesMax;
    memory.key_line_begin = static_cast<std::uint32_t>(begin);
    return was_open && begin == 0 ? 0 : std::string_view::npos;
  }
  if (!was_open) return is_armour(text) ? 0 : std::string_view::npos;
  if (const std::size_t end = text.find(kEnd); end != std::string_view::npos) {
    memory.key_lines_left = 0;
    // The last of the armour may stand before the mark.
    return end == memory.key_line_begin ? end : 0;
  }
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  const std::size_t size = last == std::string_view::npos ? 0 : last + 1;
  const std::size_t armour = armour_begin(text.substr(0, size), memory.key_line_begin);
  memory.key_lines_left = armour == std::string_view::npos ? 0 : memory.key_lines_left - 1;
  return armour;
}

}  // namespace runtail
