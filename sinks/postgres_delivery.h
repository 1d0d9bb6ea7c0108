// One delivery of one lane in one transaction: positions, then rows; a bad row is found by halving and set aside, its
// neighbours stay.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/sink.h"
#include "derive/deriver.h"
#include "schema/pg.h"
#include "sinks/postgres_copy.h"
#include "sinks/postgres_fold.h"
#include "sinks/postgres_lane.h"
#include "sinks/postgres_positions.h"
#include "sinks/postgres_statements.h"
#include "sinks/postgres_stored_lines.h"
#include "sinks/postgres_writer.h"

namespace runtail {

// What a delivery needs and does not change.
struct PostgresTarget {
  PostgresLane lane;
  const PostgresStatements& sql;
  const Deriver& deriver;
  const std::vector<std::string>& kinds;  // as Redactor::kinds()
  const Horizons& horizons;
  TimePoint now;
  bool missing_lines = false;  // lines of covered ranges, too, where they are not there
  bool is_live = true;         // not a replay
};

// Reused from delivery to delivery.
struct PostgresMemory {
  explicit PostgresMemory(const DeriverSettings& settings) : fold(settings) {}
  PostgresFold fold;
  IdMemory ids;
  CopyRows rows;
  // Files without a position of which rows were found all the same: somebody removed the position.
  std::set<FileIdentity> position_lost;
};

class PostgresDelivery {
 public:
  // All outlive this.
  PostgresDelivery(PgConnection& connection, const PostgresTarget& target, std::span<const SequencedChunk> chunks,
                   bool maybe_delivered, PostgresMemory& memory, StoredLines& stored);

  // Everything between BEGIN and COMMIT. After an error the transaction must be rolled back whole.
  PgOutcome<void> write();

  // Valid after write(), true once the transaction is committed.
  const RecordOutcomes& outcomes() const { return outcomes_; }
  std::size_t position_conflicts() const { return positions_.conflicts(); }
  // Lines set aside by this delivery, by reason; not those the chunks brought along.
  const std::map<std::string, std::uint64_t>& set_aside() const { return set_aside_; }
  std::uint64_t internal_errors() const { return internal_errors_; }

 private:
  // Why an event is not written.
  struct Refusal {
    std::string_view reason;  // of the dead letter
    std::string sqlstate, table;
  };
  // What one pass over events [from, to) found.
  struct Pass {
    RecordOutcomes outcomes;
    std::vector<DeadLetter> dead;
    std::size_t kept = 0;
    std::size_t last_kept = 0;  // ordinal
    std::string missing_ahead;  // the table no partition of which is young enough for a row
  };
  struct Event {
    std::size_t chunk, ordinal;
    const RedactedEvent& event;
    const Origin& origin;
    ByteRange bytes;
    Derived& derived;
  };

  // Calls `visit` with each event in [from, to), numbered through all chunks.
  template <typename Visit>
  PgOutcome<void> each_event(std::size_t from, std::size_t to, Visit&& visit);
  // Calls `keep` with those that have something to write; counts the refused and covered ones.
  template <typename Keep>
  PgOutcome<void> each_kept(std::size_t from, std::size_t to, Pass& pass, Keep&& keep);
  PgOutcome<void> write_events(std::size_t from, std::size_t to);
  PgOutcome<void> write_facts(std::size_t from, std::size_t to, Pass& pass);
  PgOutcome<void> write_lines(std::size_t from, std::size_t to, Pass& pass);
  // The event is set aside from the next pass on.
  void refuse(std::size_t ordinal, const PgError& error);
  // Gives how many lines are there already. `only_ends`: looks for the first and the last of each chunk; else
  // is_stored() knows of all.
  PgOutcome<std::size_t> look_for_lines(bool only_ends);
  bool is_stored(const Event& event) const;
  // Facts go ahead of their lines: where the line is there, so were they, and only their position is gone.
  PgOutcome<void> look_for_lines_of_facts();
  PgOutcome<void> look_for_lines_of_lost_positions();
  // Counts in set_aside_ those that were not there.
  PgOutcome<void> write_dead_letters(const std::vector<DeadLetter>& letters, bool count);
  PgOutcome<void> write_dirty_days(const DirtyDays& dirty);
  void add_corrupt(const Chunk& chunk);

  PgConnection& connection_;
  const PostgresTarget target_;
  const std::span<const SequencedChunk> chunks_;
  const bool maybe_delivered_;
  const TableSet tables_;
  PostgresMemory& memory_;
  StoredLines& stored_;
  std::vector<StoredLines::OfChunk> stored_of_;  // by chunk; null: not asked
  bool asked_ = false;                           // look_for_lines() was, by this delivery
  PostgresWriter writer_;
  PostgresPositions positions_;
  std::vector<std::size_t> first_of_chunk_;  // ordinal of each chunk's first event, and one for the end
  std::map<std::size_t, Refusal> refusals_;  // by ordinal
  RecordOutcomes outcomes_;
  std::vector<DeadLetter> dead_;
  std::map<std::string, std::uint64_t> set_aside_;
  std::uint64_t internal_errors_ = 0;
};

}  // namespace runtail
