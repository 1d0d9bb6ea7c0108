// From the physical lines of one source to whole units: envelopes peeled, pieces joined, stack traces kept together.
//
//   {"log":"{\"msg\":","stream":"stdout",...}   piece   offset 0   -+
//   {"log":"oops\n","stream":"stderr",...}      unit    offset 60   |  one unit of 2 lines: offset 0, end 190
//   {"log":"\"x\"}\n","stream":"stdout",...}    piece   offset 120 -+
//
// Units come in the order of the lines that complete them, so a unit may begin before units handed out earlier. Two
// offsets kept for a source say where to go on: reading begins at `resume` (oldest_open(), or where reading stood), and
// skip_to(`emitted`), with emitted where reading stood, makes the lines in between rebuild what was open without
// handing anything out again. So the same lines give the same units wherever a reader stops and starts.
//
// No I/O, reads no clock. Threads: one. Memory: the open units, at most kOpenUnitsMax with kOpenBytesMax in all,
// and the texts handed out since begin_block(). No exception leaves it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace runtail {

// Which of the worker's two outputs a line came from, where an envelope says.
enum class Output : std::uint8_t { kUnknown, kStdout, kStderr };

struct FramingSettings {
  // kAuto looks at each line's beginning; the others expect that one as the outermost layer.
  enum class Envelope : std::uint8_t { kAuto, kNone, kDocker, kCri, kJournald, kFluent } envelope = Envelope::kAuto;
  bool join_traces = true;  // stack traces of Python, Java, Node and Go become one unit
  std::size_t unit_bytes_max = 1 << 20;
  std::size_t trace_lines_max = 500;
  std::chrono::milliseconds trace_wait{1000};    // a trace without a further line for so long is whole
  std::chrono::milliseconds piece_wait{30'000};  // a piece whose rest does not come is given up as too late
};

// What becomes one event.
struct Unit {
  std::uint64_t offset = 0;     // of its first byte in the source
  std::uint64_t end = 0;        // after its last byte, newline included
  std::string_view bytes;       // peeled, without newline; empty if too_long or orphan
  std::uint32_t lines = 1;      // physical lines it was made of; each line is in exactly one unit
  std::uint64_t own_bytes = 0;  // of these lines, newlines included; others may lie between them
  bool too_long = false;        // longer than unit_bytes_max: set aside, its bytes not kept
  bool orphan = false;          // pieces of which a part is not there: cannot be classified, so it is counted, not kept
  bool carried = false;         // begun in the file before (see carry_over)
  Output output = Output::kUnknown;        // as the innermost envelope that says it, else as the source
  std::optional<TimePoint> envelope_time;  // of its first piece, from the innermost envelope that has one, else so
};

class Framing {
 public:
  static constexpr std::size_t kOpenUnitsMax = 64, kOpenBytesMax = 8 << 20;

  explicit Framing(FramingSettings settings);
  Framing(Framing&&) noexcept;
  Framing& operator=(Framing&&) noexcept;
  ~Framing();

  // Drops the texts of units handed out before; call it before the first line of a block.
  void begin_block();
  // One physical line: its offset, its length with the newline, its bytes without. Appends the units that are whole now
  // (none, one, or several). `bytes` must live as long as the units are used; views are valid until begin_block().
  // `output` and `time` are what the source knows of the line; what an envelope says wins.
  void add(std::uint64_t offset, std::uint64_t length, std::string_view bytes, TimePoint now, std::vector<Unit>& out,
           Output output = Output::kUnknown, std::optional<TimePoint> time = {});
  // A line that was too long to be held: it breaks what it stands in.
  void add_too_long(std::uint64_t offset, std::uint64_t length, TimePoint now, std::vector<Unit>& out,
                    Output output = Output::kUnknown);
  // Units whose wait is over: traces are whole, pieces orphans. A line that comes later is a unit of its own. Units
  // that are open at the same time go together once all are due, so that `resume` can pass them; one that is overdue
  // for piece_wait goes alone, with the next line that is added (and comes again, with the same offset, if reading
  // restarts before the others ended).
  void flush_due(TimePoint now, std::vector<Unit>& out);
  // Nothing will follow: traces are whole as they stand, pieces without their rest are orphans.
  void finish(std::vector<Unit>& out);
  // This file is over and another goes on: traces are whole, pieces stay open for carry_over().
  void finish_traces(std::vector<Unit>& out);

  bool has_open() const;
  bool has_carried() const;  // of the open units, some began in the file before
  // Where reading has to begin again to find what is open: the first byte of the oldest open unit, or an earlier one if
  // a unit handed out reached over it. Only if has_open().
  std::uint64_t oldest_open() const;
  std::optional<TimePoint> due() const;  // when flush_due() has something to do
  // The clock was set forward by so much: nothing has waited that long.
  void clock_stepped(std::chrono::microseconds by);

  // Lines that end at or before `emitted` were added in an earlier life: what they complete was handed out then. Call
  // it before the first line. flush_due() and finish() hand out nothing before reading is past it.
  void skip_to(std::uint64_t emitted);
  // The pieces that were open at the end of the file before go on here (see finish_traces), and what was given up there
  // is given up here. Units made of them come with `carried` and the offset they had in the other file; here they are
  // open from 0. `ended` can be used on, with nothing open.
  void carry_over(Framing& ended);
  // Nothing is known of what came before the first line: on each output, units out of an envelope are orphans until one
  // is not plainly the rest of a JSON line (is_json_tail in envelope.h). So too after a restart: which pieces were
  // given up before it is not known any more. Harmless where the first line is a beginning.
  void begin_in_the_dark();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace runtail
