// Events as bytes, inside a chunk. One event:
//   u8 flags  varint offset (relative to the chunk; before it if the flag says so)  varint length  u8 kind  u8 level u8
//   status+1 (0: none) u8 verdict | ts_source << 2 | redaction_state << 5   i64 ts  u8 number of fields  then each: u8
//   Field  u8 FieldValue::Kind, then text: varint size + bytes; uuid: 16 bytes; int, time: zigzag varint; real: 8
//   bytes; bool: u8 then by flags: context, raw_text, counts; then dialect (varint size + bytes).
// A reader meets only what this version or the one before wrote: the chunk carries the format number.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/event.h"

namespace runtail {

// Appends one event to `out`. `offset` is relative to the chunk's first byte, negative for a unit of several lines that
// began before it; `length` reaches to the end of its last line, the newline included. The event belongs to the chunk
// it ends in.
void append_event(std::string& out, const RedactedEvent& event, std::int64_t offset, std::uint64_t length);

// Walks the events of a chunk in order.
//   EventReader reader(chunk.events);
//   while (reader.next()) use(reader.event(), reader.offset());
//   if (reader.corrupt()) ...
class EventReader {
 public:
  explicit EventReader(std::string_view bytes) : rest_(bytes) {}
  bool next();                                           // false at the end or when the bytes do not decode
  const RedactedEvent& event() const { return event_; }  // valid until next()
  // In a source whose chunk begins at `from`.
  std::uint64_t offset_in(std::uint64_t from) const { return from + static_cast<std::uint64_t>(offset_); }
  std::uint64_t length() const { return length_; }
  // A byte of it that lies in the range the chunk covers: the one before the newline, which a range may leave out.
  std::uint64_t ends_in(std::uint64_t from) const { return offset_in(from) + (length_ < 2 ? 0 : length_ - 2); }
  bool corrupt() const { return corrupt_; }

 private:
  std::string_view rest_;
  RedactedEvent event_;
  std::array<std::string, kFieldCount> uuid_texts_;  // canonical text of uuid fields, as views into it
  std::int64_t offset_ = 0;
  std::uint64_t length_ = 0;
  bool corrupt_ = false;
};

}  // namespace runtail
