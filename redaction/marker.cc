#include "redaction/marker.h"

#include <algorithm>

#include "redaction/letters.h"

namespace runtail {
namespace {

constexpr std::size_t kKeptBytesMax = 6;
constexpr std::size_t kKeyIdBytes = 8;
constexpr std::size_t kHashBytes = 16;

// How many bytes of `text` from `at` on satisfy `is`, `most` at most.
template <typename Predicate>
std::size_t run(std::string_view text, std::size_t at, std::size_t most, Predicate is) {
  std::size_t size = 0;
  while (size < most && at + size < text.size() && is(text[at + size])) ++size;
  return size;
}

bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

}  // namespace

std::size_t marker_size(std::string_view text, std::size_t position) {
  if (!text.substr(position).starts_with(kMarkerHead)) return 0;
  std::size_t at = position + kMarkerHead.size();
  const std::size_t kind =
      run(text, at, kKindBytesMax + 1, [](char c) { return is_lower(c) || is_digit(c) || c == '_'; });
  if (kind == 0 || kind > kKindBytesMax) return 0;
  at += kind;
  if (at < text.size() && text[at] == ':') {
    const std::size_t kept = run(text, at + 1, kKeptBytesMax, is_alnum);
    if (kept == 0) return 0;
    at += 1 + kept;
  } else if (at < text.size() && text[at] == '#') {
    if (run(text, at + 1, kKeyIdBytes, is_hex) != kKeyIdBytes) return 0;
    at += 1 + kKeyIdBytes;
    if (at >= text.size() || text[at] != ':' || run(text, at + 1, kHashBytes, is_hex) != kHashBytes) return 0;
    at += 1 + kHashBytes;
  }
  return at < text.size() && text[at] == ']' ? at + 1 - position : 0;
}

std::string without_markers(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = marker_size(text, at);
    out += size > 0 ? ' ' : text[at];
    at += std::max<std::size_t>(size, 1);
  }
  return out;
}

void append_marker(std::string& out, std::string_view kind, std::string_view detail) {
  out += kMarkerHead;
  out += kind;
  out += detail;
  out += ']';
}

}  // namespace runtail
