// What stands where something was found:
//   [REDACTED:email]                           masked
//   [REDACTED:card:1111]                       a part kept: up to six letters or digits
//   [REDACTED:email#9f3a01bc:0123456789abcdef] a keyed hash: id of the key, 16 hex digits
// No rule ever changes a marker, so redacting twice changes nothing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace runtail {

inline constexpr std::string_view kMarkerHead = "[REDACTED:";
inline constexpr std::size_t kKindBytesMax = 48;
// Of any marker.
inline constexpr std::size_t kMarkerBytesMax = 96;

// Length of the marker that begins at text[position], 0 if none does.
std::size_t marker_size(std::string_view text, std::size_t position);
// `detail`: "" or what follows the kind (":1111", "#9f3a01bc:...").
// `text` with a space in place of each marker: what stands inside a marker is not a word of a key.
std::string without_markers(std::string_view text);
void append_marker(std::string& out, std::string_view kind, std::string_view detail = {});

}  // namespace runtail
