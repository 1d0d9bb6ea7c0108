// What goes into PostgreSQL with positions of its own. Usually both lanes are written in one transaction, facts first;
// while more than a batch waits the facts about runs go ahead on a connection of their own, and the lines follow as
// fast as COPY.
#pragma once

#include "core/chunk.h"

namespace runtail {

enum class PostgresLane {
  kRunFacts,  // all but log lines: runs, datasets, data quality, spans, chats, ...; positions in source_facts
  kLines,     // log_events; positions in source_files
};

// Whose records a lane writes; each record belongs to one.
constexpr TableSet tables_of(PostgresLane lane) {
  const TableSet lines = set_of(Table::kLogEvents);
  return lane == PostgresLane::kLines ? lines : kAllTables & ~lines;
}

}  // namespace runtail
