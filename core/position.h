// How far a source has been read, durable together with what was read: a position never runs ahead of what it covers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/identity.h"
#include "core/time.h"

namespace runtail {

// Two offsets: reading begins at `resume`; units that end at or before `emitted` are skipped. They differ only while a
// unit of several lines is open.
struct Position {
  FileIdentity file;
  std::uint64_t resume = 0;
  std::uint64_t emitted = 0;
  Bytes32 confirm{};  // HMAC of the <= 1 KiB before `emitted`: is this still the same file?
  TimePoint first_seen{};
  std::optional<TimePoint> last_ts;  // of the last line that stated a time: untimed lines take it
  std::string source;                // name of the source that reads it
};

std::string encode_position(const Position& position);
std::optional<Position> decode_position(std::string_view bytes);

}  // namespace runtail
