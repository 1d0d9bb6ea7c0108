// Native partitions by time: which must exist, which do.
// There is no default partition: a row outside is refused, and known to be too old or too far ahead.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "config/config.h"
#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

enum class PartitionSpan { kDay, kWeek /* from Monday */, kMonth };

// Partitions exist from `back` spans before today's to `ahead` spans after it, both included. Those that lie before
// `kept` spans before today's are dropped; `kept` is larger than `back` where a table's past grows by itself.
struct PartitionRule {
  const char* table;
  PartitionSpan span;
  int back;
  int ahead;
  int kept;
};
// Of every table that may be there; optional ones may be missing from a schema.
std::vector<PartitionRule> partition_rules(const RetentionConfig& retention = {});

// Half-open, UTC.
struct PartitionBounds {
  TimePoint from;
  TimePoint to;
  bool operator==(const PartitionBounds&) const = default;
};

struct Partition {
  std::string name;  // job_runs_2026_03; with the first day: log_events_2026_03_01, chat_messages_2026_03_02
  PartitionBounds bounds;
};
// Those the rule asks for at `now`, in order of time.
std::vector<Partition> partitions_due(const PartitionRule& rule, TimePoint now);
// The oldest one that is not dropped at `now`.
Partition oldest_kept(const PartitionRule& rule, TimePoint now);

struct ExistingPartition {
  std::string table;
  std::string name;
  PartitionBounds bounds;
  bool detaching = false;  // DETACH CONCURRENTLY is under way or was interrupted: no row goes into it any more
};
// Of one table, or of all; by table and time. Those without two time bounds are left out.
PgOutcome<std::vector<ExistingPartition>> existing_partitions(PgConnection& connection, const std::string& schema,
                                                              const std::optional<std::string>& table = {});

// Makes the missing ones; repeating it is harmless, and so are two at once. Gives the names of those made; they belong
// to whoever owns their table, which the user must be a member of. Tables that are missing, and hypertables,
// are passed over. One transaction a table, so what is made stays when the next one fails.
// A table that bears the name of a missing partition (it was detached) is attached again with its rows. If that is
// refused, or a detach that was interrupted cannot be ended yet, the others are made all the same and then the error
// names it (kInvalidInput, kUnavailable).
// Locks that writers queue for are waited for 0.4 s at a time, `lock_timeout` in all (a table); kUnavailable then, with
// the sessions that hold the lock: call it again. kNotFound: no table is there.
Result<std::vector<std::string>> maintain_partitions(PgConnection& connection, const std::string& schema, TimePoint now,
                                                     std::chrono::milliseconds lock_timeout = std::chrono::seconds(5),
                                                     const RetentionConfig& retention = {});

// By table: from the oldest partition's lower bound to the newest one's upper bound. Rows before it are expired, rows
// after it wait for partitions. A table without partitions is missing from the map.
Result<std::map<std::string, PartitionBounds>> read_partition_bounds(PgConnection& connection,
                                                                     const std::string& schema);

}  // namespace runtail
