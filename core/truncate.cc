#include "core/truncate.h"

namespace runtail {

std::string_view truncate_redacted(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  static constexpr std::string_view kMarker = "[REDACTED:";
  // A marker is short; look back no further than the longest kind name allows.
  const std::size_t from = end > 64 ? end - 64 : 0;
  const std::size_t open = text.substr(0, end + kMarker.size() - 1).rfind(kMarker);
  if (open != std::string_view::npos && open >= from && open < end) {
    const std::size_t close = text.find(']', open);
    if (close != std::string_view::npos && close >= end) end = open;
  }
  return text.substr(0, end);
}

}  // namespace runtail
