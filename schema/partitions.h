// Native partitions by time: which must exist, which do.
// There is no default partition: a row outside is refused, and known to be too old or too far ahead.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

enum class PartitionSpan { kDay, kMonth };

// Partitions exist from `back` spans before today's to `ahead` spans after it, both included.
struct PartitionRule {
  const char* table;
  PartitionSpan span;
  int back;
  int ahead;
};
std::span<const PartitionRule> partition_rules();

// Half-open, UTC.
struct PartitionBounds {
  TimePoint from;
  TimePoint to;
  bool operator==(const PartitionBounds&) const = default;
};

struct Partition {
  std::string name;  // job_runs_2026_03, log_events_2026_03_01
  PartitionBounds bounds;
};
// Those the rule asks for at `now`, in order of time.
std::vector<Partition> partitions_due(const PartitionRule& rule, TimePoint now);

// Makes the missing ones; repeating it is harmless, and so are two at once. Gives the names of those made.
// Takes no lock that readers or writers wait for longer than lock_timeout (5 s); kUnavailable then: call it again.
Result<std::vector<std::string>> maintain_partitions(PgConnection& connection, const std::string& schema,
                                                     TimePoint now);

// By table: from the oldest partition's lower bound to the newest one's upper bound. Rows before it are expired, rows
// after it wait for partitions. A table without partitions is missing from the map.
Result<std::map<std::string, PartitionBounds>> read_partition_bounds(PgConnection& connection,
                                                                     const std::string& schema);

}  // namespace runtail
