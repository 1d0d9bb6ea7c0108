// What goes into PostgreSQL on its own connection, in its own transactions: the facts about runs go ahead, so that they
// never wait behind log lines; the lines follow, and go as fast as COPY.
#pragma once

#include "core/chunk.h"

namespace runtail {

enum class PostgresLane {
  kRunFacts,  // jobs, runs, attempts, tasks, datasets, data quality; positions in source_facts
  kLines,     // log_events; positions in source_files
};

// Whose records a lane writes; each record belongs to one.
constexpr TableSet tables_of(PostgresLane lane) {
  const TableSet lines = set_of(Table::kLogEvents);
  return lane == PostgresLane::kLines ? lines : kAllTables & ~lines;
}

}  // namespace runtail
