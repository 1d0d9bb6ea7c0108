// Durable queue between the pipeline and the sinks, with the agent's small state beside it, kept in RocksDB.
//
// Two column families on one write-ahead log:
//   queue  key: sequence, 8 bytes big-endian   value: one chunk (below). Never rewritten: files move down a level as
//   they
//          are and are dropped whole once every cursor has passed them.
//   state  small keys, only what changed: "m/..." about the buffer, "p/..." positions, "c/<owner>/..." counters,
//          "r/..." runs, "s/<sink>" cursors, "n/<sink>" marks, "d/..." dead letters, "x/..." digests of column lists,
//          "j/<source>" cursors of journals, "e/..." the history of an agent without PostgreSQL (history/kept_keys.h),
//          "o/..." what of a file before its position no replay has taken yet.
// Chunk value: u8 format  u32 crc32c of what follows  u64 sequence  running totals of records (core/chunk.h)  u32 plain
// size
//          zstd frame of core/chunk.h's bytes. The running number and the CRC show damage or a gap the log's own check
//          missed.
//
// Order:    chunks leave as they entered; sequences start at 1 and have no gaps.
// Crash:    append() returns after the whole Commit is synced in one write: all of it is there afterwards, or none.
//           With Sync::kLater it is read at once and durable with the next sync(): of commits a first part is there.
// Limit:    bytes_max on disk, exceeded by at most one append(); has_room() is the source's signal.
// Threads:  append() from one thread at a time, the rest from anywhere.   Errors: only through Result; never throws,
// never logs.
//           After an error of append() the buffer takes nothing more: close, open again, read the sources again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "buffer/chunk_value.h"
#include "config/config.h"
#include "core/chunk.h"
#include "core/position.h"
#include "core/result.h"

namespace runtail {

// One entry of the state family.
struct StateEntry {
  std::string key;
  std::string value;
};

// All that one append changes.
struct Commit {
  std::vector<Chunk> chunks;
  std::vector<PackedChunk> packed;  // chunks behind those, packed by others ahead
  std::vector<Position> positions;  // one per file read; never past the lines whose effect is in this commit
  std::vector<StateEntry> state;    // changed runs and counters
  std::vector<std::string> forget;  // state keys that are no longer needed; before `state`
  bool empty() const { return chunks.empty() && packed.empty() && positions.empty() && state.empty(); }
};

// How far one sink has come.
struct Cursor {
  Watermark delivered;  // everything up to and including this is final there
  Sequence intent = 0;  // delivery of everything up to here was begun and may have happened
};

class DurableBuffer {
 public:
  // Takes the directory for itself, making it (0700) if need be. kInUse: another process holds it. kUnavailable: the
  // disk refuses. kCorrupt: what is there does not decode; see set_aside(). kInvalidInput: a newer version wrote it.
  static Result<std::unique_ptr<DurableBuffer>> open(const BufferConfig& config);
  // Opens beside a running owner or after it, for looking only. kNotFound if there is none.
  static Result<std::unique_ptr<DurableBuffer>> open_read_only(const BufferConfig& config);
  // Renames a corrupt buffer directory to <directory>.corrupt-N and returns the new name.
  static Result<std::string> set_aside(const BufferConfig& config);
  ~DurableBuffer();
  DurableBuffer(const DurableBuffer&) = delete;
  DurableBuffer& operator=(const DurableBuffer&) = delete;

  bool has_room() const;
  std::uint64_t bytes_on_disk() const;  // as du sees it; refreshed at most every 64 appends or 8 MiB
  std::uint64_t bytes_max() const;
  bool created() const;  // this open() found nothing and made it new

  enum class Sync { kNow, kLater };
  // Returns the sequence of the last chunk appended so far. Sequences of the commit's chunks are the ones up to it.
  // kLater: for those who have no sink, as that would see what is not durable.
  Result<Sequence> append(const Commit& commit, Sync sync = Sync::kNow);
  // Makes durable what was appended before. An error is one of append().
  Result<void> sync();
  Watermark appended() const;  // the last chunk appended, 0 if none ever was

  // Chunks after `after`, in order, as many as hold at most `lines_max` lines and about 16 MiB, but at least one;
  // empty: caught up. kCorrupt names the sequence of the first one, which cannot be read.
  Result<std::vector<SequencedChunk>> read_after(Sequence after, std::uint64_t lines_max) const;
  // The first sequence still kept, 0 if none.
  Sequence oldest() const;
  // When the oldest kept chunk was read from its source.
  std::optional<TimePoint> oldest_read_at() const;

  // The last chunk kept no longer, 0 if none ever left.
  Watermark before_oldest() const;

  // A sink's cursor with the state that belongs to it. Not synced, where losing it only repeats a delivery and that is
  // harmless.
  Result<void> put_cursor(std::string_view sink, const Cursor& cursor, const std::vector<StateEntry>& state,
                          bool synced = false);
  std::optional<Cursor> cursor(std::string_view sink) const;
  // Chunks up to and including `sequence` may go. Repeating it is harmless.
  void release(Sequence sequence);

  std::optional<std::string> get(std::string_view key) const;
  Result<void> put(std::string_view key, std::string_view value);  // synced
  void forget(const std::vector<std::string>& keys);               // not synced; what comes back is forgotten again
  std::vector<StateEntry> scan(std::string_view prefix) const;     // in order of key
  // Those behind the key `after` ("": from the first), so many at most.
  std::vector<StateEntry> scan(std::string_view prefix, std::string_view after, std::size_t max) const;
  // The same one by one, of one moment, from the first key that is not smaller than `from`. False ends it; the views
  // live until then.
  void each(std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& visit) const;
  std::vector<Position> positions() const;

 private:
  struct State;
  explicit DurableBuffer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Keys of the state family.
std::string position_key(const FileIdentity& file);
std::string run_key(const Uuid& run_id);

}  // namespace runtail
