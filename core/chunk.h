// What the pipeline commits, and what a sink gets: chunks of redacted events with the source range they cover.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/identity.h"
#include "core/time.h"

namespace runtail {

// 1, 2, 3, ... without gaps, in the order chunks were appended.
using Sequence = std::uint64_t;

// Tables a line can give a record for; one bit each in Derived::tables, one counter each in RecordCounts. New ones go
// to the end: buffers keep counts by place.
enum class Table : std::uint8_t {
  kLogEvents,
  kJobRuns,
  kRunAttempts,
  kTaskRuns,
  kDatasetStatus,
  kDqObservations,
  kDqCheckResults,
  kTraces,
  kSpans,
  kChatMessages,
  kDocumentEvents,
  kProviderSyncStatus,
  kServiceHeartbeats,
  kMetricSnapshots,
  kMetricsAggregates,
};
inline constexpr std::size_t kTableCount = 15;
std::string_view to_string(Table table);  // "log_events"

// One bit for each table, 1 << Table.
using TableSet = std::uint32_t;
inline constexpr TableSet kAllTables = (1U << kTableCount) - 1;
constexpr TableSet set_of(Table table) { return 1U << static_cast<unsigned>(table); }

// Records by table: one for each line that says something for that table.
struct RecordCounts {
  std::array<std::uint64_t, kTableCount> by_table{};
  std::uint64_t& operator[](Table table) { return by_table[static_cast<std::size_t>(table)]; }
  std::uint64_t operator[](Table table) const { return by_table[static_cast<std::size_t>(table)]; }
  RecordCounts& operator+=(const RecordCounts& other);
  RecordCounts& operator-=(const RecordCounts& other);
  bool operator==(const RecordCounts&) const = default;
  // Those of `tables`, the others 0.
  RecordCounts of(TableSet tables) const {
    RecordCounts out;
    for (std::size_t i = 0; i < kTableCount; ++i) out.by_table[i] = tables >> i & 1 ? by_table[i] : 0;
    return out;
  }
};

// varint n  n x varint: the counts of the first n tables, the others are 0. Reads what versions with fewer tables
// wrote.
void append_counts(ByteWriter& writer, const RecordCounts& counts);
RecordCounts read_counts(ByteReader& reader);

// Half-open range of bytes in a source.
struct ByteRange {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool operator==(const ByteRange&) const = default;
};

// What was set aside instead of stored. `body` is redacted, or empty where redaction failed or could not be tried.
struct DeadLetter {
  Uuid id;  // event_id of the line
  TimePoint at{};
  FileIdentity file;
  ByteRange bytes;
  std::string reason;  // too_long, redaction_failed, bad_value, ...
  std::string sqlstate, target_table, body;
};

// Lines of one file, redacted and packed. Immutable once appended.
struct Chunk {
  FileIdentity file;
  ByteRange covers;            // from the first byte of the first line to the byte after the last line's newline
  Bytes32 confirm{};           // HMAC of the <= 1 KiB before covers.to
  TimePoint covers_until{};    // latest event time or scheduled_at in it
  TimePoint read_at{};         // when it was read; for bookkeeping columns only
  std::string default_job_id;  // configured for the source, or the stream
  std::int16_t default_job_rank = 4;
  RecordCounts records;
  std::uint32_t lines = 0;               // lines read, whatever their outcome
  std::string events;                    // core/event_codec.h; offsets within are relative to covers.from
  std::vector<DeadLetter> dead_letters;  // decided before the buffer (too long, redaction failed)
};

// Records of every chunk up to and including a sequence, for the ledger: pending = appended - delivered.
struct Watermark {
  Sequence sequence = 0;
  RecordCounts records;
};

struct SequencedChunk {
  Sequence sequence = 0;
  Chunk chunk;
};

std::string encode_chunk(const Chunk& chunk);
// kCorrupt names the field that did not decode.
std::optional<Chunk> decode_chunk(std::string_view bytes);

}  // namespace runtail
