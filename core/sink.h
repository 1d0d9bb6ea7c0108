// Where chunks go after the buffer.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/chunk.h"

namespace runtail {

// What became of the records of one delivery, by table; the four add up to what was handed over of the tables asked
// for.
struct RecordOutcomes {
  RecordCounts applied, duplicate, expired, dead_lettered;
  RecordOutcomes& operator+=(const RecordOutcomes& other);
};

struct Delivery {
  enum class Status {
    kDelivered,  // durable there, outcomes below are final
    kRetry,      // nothing happened, or nothing is known: the same chunks again after a jittered back-off
    kOperator,   // a person must act (password, schema, rights): the same chunks again every 30 s, named in status
  };
  Status status = Status::kRetry;
  std::string reason;       // for kRetry and kOperator: what is wrong and what to do; no tailed content
  bool unknown = false;     // kRetry: the answer to the last step was lost; say maybe_delivered with the same chunks
  RecordOutcomes outcomes;  // kDelivered only
  // kDelivered only: lines this delivery set aside, by reason; those the chunks brought along are not among them.
  std::map<std::string, std::uint64_t> set_aside = {};
  std::uint64_t internal_errors =
      0;  // kDelivered only: statements of ours that contradicted themselves, made good since
};

// A destination. One call at a time, from one thread, but for deliver(). Idempotent: after a crash the same chunks come
// again.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual std::string_view name() const = 0;
  // Tables whose records can go ahead of the others; none: all go together.
  virtual TableSet ahead_tables() const { return 0; }
  // Writes the records of `tables`: all of them, or under load ahead_tables() from a second thread while the first one
  // writes the others of chunks whose records went ahead before. `chunks` are in order of sequence and belong to the
  // caller. `maybe_delivered`: an earlier call with these chunks ended without an answer (or the agent died in it), so
  // ranges found covered count as applied, not as duplicates.
  virtual Delivery deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered, TableSet tables) = 0;
  // For a destination that cannot be asked what it has: where the next delivery begins there. Taken before each
  // delivery, durable before it starts, and given to the next process by resume(). "": not needed.
  virtual std::string mark() { return {}; }
  // Before anything else: what mark() said before the last delivery that may have happened.
  virtual void resume(std::string_view) {}
  // Gives back what is not needed while idle (connections). Harmless to repeat.
  virtual void idle() {}
};

}  // namespace runtail
