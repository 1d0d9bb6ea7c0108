// Which lines have their row in log_events already. Positions tell that, so it is asked only where one is missing or
// was found wrong.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/chunk.h"
#include "core/time.h"
#include "core/uuid.h"
#include "schema/pg.h"
#include "sinks/postgres_statements.h"

namespace runtail {

struct LineKey {
  Uuid event_id;
  TimePoint ts;
};

// For each key whether its row is there. Of two equal keys the second counts as there.
PgOutcome<std::vector<bool>> find_lines(PgConnection& connection, const PostgresStatements& sql,
                                        std::span<const LineKey> keys);

// What the lane of facts asked, for the lane of lines, which comes later and perhaps on another connection.
// Threads: any.
class StoredLines {
 public:
  using OfChunk = std::shared_ptr<const std::vector<bool>>;  // by number of the line in its chunk

  // Beyond a bound this does nothing; then it is asked again.
  void set(Sequence sequence, OfChunk lines);
  OfChunk of(Sequence sequence) const;  // null: not asked
  void forget_through(Sequence sequence);

 private:
  mutable std::mutex mutex_;
  std::map<Sequence, OfChunk> chunks_;
};

}  // namespace runtail
