// Which bytes of which files are in the database: read, locked and advanced in the writer's
// transaction, before any row.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/chunk.h"
#include "core/sink.h"
#include "schema/pg.h"
#include "sinks/postgres_ranges.h"
#include "sinks/postgres_statements.h"

namespace runtail {

class PostgresPositions {
 public:
  // Locks the files of `chunks` in order of key, making those not there yet, and advances them by what they lack.
  // The rows stay locked until the transaction ends, so what is read here is what is advanced: the same as a
  // compare-and-set that is told the value it compares with. SQLSTATE 40001 if a file did not move as computed.
  PgOutcome<void> advance(PgConnection& connection, const PositionStatements& sql,
                          std::span<const SequencedChunk> chunks, const std::string& agent_id, TimePoint now);

  // The database did not know the file of this chunk.
  bool was_new(std::size_t chunk) const { return new_[chunk]; }
  // As before advance(), or covered by an earlier chunk of the same delivery.
  bool was_covered(std::size_t chunk, std::uint64_t offset) const;
  // Nothing of any chunk was missing.
  bool all_covered() const;
  // Chunks of which some part was covered.
  std::size_t conflicts() const;

 private:
  std::vector<CoveredRanges> missing_;  // by chunk
  std::vector<ByteRange> asked_;        // by chunk
  std::vector<bool> new_;               // by chunk
};

}  // namespace runtail
