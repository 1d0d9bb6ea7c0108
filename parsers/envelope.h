// One layer of what a container runtime or log shipper wraps around a worker's line.
//
//   docker json-file   {"log":"text\n","stream":"stdout","time":"..."} and "attrs"; a piece lacks the newline in `log`
//   CRI                <time> stdout|stderr P|F[:more] text; P is a piece
//   journald export    {"__REALTIME_TIMESTAMP":"<us>","__CURSOR":...,"MESSAGE":"text" or [bytes] or null,...}
//   FireLens, fluent   {"log":"text","container_id":...,"partial_message":"true","partial_id":...,...}
//
// Known by their members, never by the order of them. No I/O, reads no clock. Threads: one per EnvelopePeeler.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/time.h"
#include "parsers/framing.h"

namespace runtail {

struct EnvelopeLayer {
  FramingSettings::Envelope kind = FramingSettings::Envelope::kNone;
  std::string_view text;  // what it wraps, without newline: a view of the line if in_line, else valid until next peel()
  bool in_line = false;
  Output output = Output::kUnknown;
  std::optional<TimePoint> time;
  bool more = false;           // the text goes on in a later line
  bool more_is_said = false;   // `more` was stated, not guessed from a flag that some daemons set on every piece
  std::uint32_t ordinal = 0;   // of this piece, from 1; 0: not said
  std::string_view piece_id;   // same for all pieces of a text; may be empty. Valid until next peel()
  std::string_view container;  // whose output it is, where several share a source; may be empty. Valid as piece_id
};

class EnvelopePeeler {
 public:
  EnvelopePeeler();
  EnvelopePeeler(EnvelopePeeler&&) noexcept;
  EnvelopePeeler& operator=(EnvelopePeeler&&) noexcept;
  ~EnvelopePeeler();

  // Nothing if `line` is not such an envelope (kAuto: not any; kNone: never): it is taken as it is then.
  std::optional<EnvelopeLayer> peel(std::string_view line, FramingSettings::Envelope expected);

 private:
  struct Json;
  std::optional<EnvelopeLayer> peel_json(std::string_view line, FramingSettings::Envelope expected);
  std::unique_ptr<Json> json_;  // made when the first JSON envelope comes: a plain file needs none
};

// Cheap look at a line's bytes: false means peel(kAuto) would find nothing.
bool may_be_envelope(std::string_view line);

// True if `text` can be the rest of a JSON object or array whose beginning is elsewhere: it ends in a closing bracket
// that it does not open, and outside of strings has only what JSON has there. Never true for a complete JSON value; of
// plain texts only for those that look like the end of one ("}").
bool is_json_tail(std::string_view text);

}  // namespace runtail
