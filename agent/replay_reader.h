// One file of a replay, from its bytes to chunks: framed, parsed, redacted and derived as the live agent does it, so
// that the same bytes give the same rows whoever reads them, and when.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/line_time.h"
#include "agent/replay_input.h"
#include "agent/tailed_file.h"
#include "core/chunk.h"
#include "core/digest.h"
#include "derive/deriver.h"
#include "derive/line_filter.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "sinks/postgres_start.h"

namespace runtail {

// Physical lines by what becomes of them; all but `read` add up to `read`.
struct ReplayLines {
  std::uint64_t read = 0;
  std::uint64_t stored = 0;          // their row is there now
  std::uint64_t level_filtered = 0;  // no row: below the level, or left out by a backfill; their facts are applied
  std::uint64_t sampled = 0;         // no row: left out by settings `lines`
  std::uint64_t dropped = 0;         // empty, or a piece without its beginning
  std::uint64_t duplicate = 0;       // their range was covered, or their row was there
  std::uint64_t expired = 0;         // older than log lines are kept
  std::uint64_t dead_lettered = 0;   // set aside
  std::uint64_t outside = 0;         // not of the time asked for: their range stays open
  ReplayLines& operator+=(const ReplayLines& other);
};

// A chunk with what is said about it before a store has taken it.
struct ReplayChunk {
  Chunk chunk;
  Position position;       // after it, for a file that is read without gaps
  ReplayLines lines;       // those with a row count as `stored`
  std::vector<Uuid> runs;  // runs its lines touch, each once
  std::uint64_t rows = 0;  // log_events rows in it
};

// What one reading of a file came to.
struct ReplayRead {
  FileIdentity file;
  std::uint64_t bytes = 0;               // read, of what was packed
  std::uint64_t untaken = 0;             // behind the last whole unit: may still grow
  std::optional<TimePoint> first, last;  // event times
  std::string fault;                     // why it was not read to its end; "" if it was
  bool is_stopped = false;               // the store asked for it
};

struct ReplayRules {
  std::uint64_t line_bytes_max = 1 << 20;
  std::optional<TimePoint> from, to;  // [from, to)
  Level level = Level::kWarn;         // of lines without an event of their own that get a row
  bool is_full = false;               // lines of every level
  bool goes_over_covered = false;     // lines of covered ranges come along
};

// Threads: one.
class ReplayReader {
 public:
  ReplayReader(ReplayRules rules, HashKey key, Parser parser, Redactor redactor, Deriver deriver, LineFilter filter);

  // Reads `input` as the file `known` says it is. Pieces of a line that `before` left open, the file of the same log
  // whose lines come before, go on in it; null: there is none. Lines in covered ranges are counted and passed over
  // (with goes_over_covered they come along). `take` gets chunk after chunk, in order; false: it wants no more.
  // `on_bytes` gets how far the file on disk is read.
  using Take = std::function<bool(ReplayChunk&&)>;
  using OnBytes = std::function<void(std::uint64_t on_disk)>;
  ReplayRead read(const ReplayInput& input, FileBytes bytes, const StoredPosition& known, const ReplayInput* before,
                  const Take& take, const OnBytes& on_bytes);

  const std::vector<std::string>& kinds() const { return redactor_.kinds(); }

 private:
  void carry_over(const ReplayInput& before, const TailSettings& settings, TailedFile& tail);
  bool take_block(const ReplayInput& input, LineBlock& block, const StoredPosition& known, ReplayRead& read,
                  const Take& take);
  // Whether its range counts as read.
  bool take_line(const LineBlock& block, const Line& line, const StoredPosition& known, ReplayRead& read,
                 ReplayChunk& out);
  void take_events(const LineBlock& block, const Line& line, const LogEvent& first, ReplayChunk& out);
  void add_event(const LineBlock& block, std::uint64_t offset, std::uint64_t length, const RedactedEvent& event,
                 ReplayChunk& out);
  void count_line(LineOutcome outcome, const Line& line, ReplayChunk& out);
  void set_aside(const LineBlock& block, const Line& line, ReplayChunk& out);
  LineOutcome outcome_of(const RedactedEvent& event, std::uint64_t offset) const;
  // The keyed hash of the bytes before; nothing: they cannot be read again.
  std::optional<Bytes32> confirm_at(const ReplayInput& input, std::uint64_t offset);

  const ReplayRules rules_;
  const HashKey key_;
  Parser parser_;
  Redactor redactor_;
  const Deriver deriver_;
  const LineFilter filter_;
  IdMemory id_memory_;
  ReadBuffer buffer_;

  // Of the file being read.
  std::optional<EventIds> ids_;
  LineTime time_;
  StreamMemory memory_;
  std::string context_, process_run_;
  Derived derived_;
  std::optional<FileBytes> again_;  // for the bytes before a place inside of a block
};

}  // namespace runtail
