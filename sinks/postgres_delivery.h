// One delivery in one transaction: positions, then rows; a bad row is found by halving and set aside, its neighbours
// stay.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/sink.h"
#include "derive/deriver.h"
#include "schema/pg.h"
#include "sinks/postgres_fold.h"
#include "sinks/postgres_positions.h"
#include "sinks/postgres_statements.h"
#include "sinks/postgres_writer.h"

namespace runtail {

// What a delivery needs and does not change.
struct PostgresTarget {
  const PostgresStatements& sql;
  const Deriver& deriver;
  const Horizons& horizons;
  TimePoint now;
};

class PostgresDelivery {
 public:
  // All outlive this. `fold` is memory reused from delivery to delivery.
  PostgresDelivery(PgConnection& connection, const PostgresTarget& target, std::span<const SequencedChunk> chunks,
                   bool maybe_delivered, PostgresFold& fold);

  // Everything between BEGIN and COMMIT. After an error the transaction must be rolled back whole.
  PgOutcome<void> write();

  // Valid after write(), true once the transaction is committed.
  const RecordOutcomes& outcomes() const { return outcomes_; }
  std::size_t position_conflicts() const { return positions_.conflicts(); }
  std::uint64_t field_conflicts() const { return field_conflicts_; }
  // Lines set aside by this delivery, by reason; not those the chunks brought along.
  std::map<std::string, std::uint64_t> set_aside() const;

 private:
  // Why an event is not written.
  struct Refusal {
    bool duplicate = false;
    std::string_view reason;  // of the dead letter; empty for a duplicate
    std::string sqlstate, table;
  };
  // What one pass over events [from, to) found.
  struct Pass {
    RecordOutcomes outcomes;
    std::vector<DeadLetter> dead;
    std::size_t kept = 0;
    std::size_t last_kept = 0;              // ordinal
    std::vector<std::size_t> log_ordinals;  // of the fold's log rows
  };

  // Writes events [from, to), numbered through all chunks; the refused and covered ones are only counted.
  PgOutcome<void> write_events(std::size_t from, std::size_t to);
  Pass fold_events(std::size_t from, std::size_t to);
  // The event is set aside from the next pass on.
  void refuse(std::size_t ordinal, const PgError& error);
  // Events whose log_events row is there already are duplicates from the next pass on; gives how many.
  PgOutcome<std::size_t> refuse_stored(const Pass& pass);
  PgOutcome<void> write_dead_letters();
  PgOutcome<void> write_dirty_days();
  void add_corrupt(const Chunk& chunk);

  PgConnection& connection_;
  const PostgresTarget target_;
  const std::span<const SequencedChunk> chunks_;
  const bool maybe_delivered_;
  PostgresFold& fold_;
  PostgresWriter writer_;
  PostgresPositions positions_;
  std::vector<std::size_t> first_of_chunk_;  // ordinal of each chunk's first event, and one for the end
  std::map<std::size_t, Refusal> refusals_;  // by ordinal
  RecordOutcomes outcomes_;
  std::vector<DeadLetter> dead_;  // first those the chunks brought along, `brought_` of them
  std::size_t brought_ = 0;
  DirtyDays dirty_;
  std::uint64_t field_conflicts_ = 0;
};

}  // namespace runtail
