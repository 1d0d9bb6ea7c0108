// Takes partitions out of their table and drops them so that writers go on: DETACH ... CONCURRENTLY, which waits for
// those who read the partition and blocks nobody meanwhile, and short waits, repeated, for the locks that would make
// writers queue (a foreign key of a dropped month needs one on run_ids). Each step starts from what the database holds:
// killed anywhere, it is gone on with by the next call, and two at once are safe.
// Needs a connection of its own: not one of a pooler in transaction mode, because DETACH ... CONCURRENTLY runs in no
// transaction and so lock_timeout is set for the session (and reset).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

// Tries for `lock_timeout` in all. "" when the partition is gone; else what is left undone, and who is in the way:
// "observability.log_events_2026_01_01 is not detached and dropped yet: a lock is held by pid 4711 (psql)".
Result<std::string> drop_partition(PgConnection& connection, const std::string& schema, const std::string& table,
                                   const std::string& partition, std::chrono::milliseconds lock_timeout);

// Ends what a killed DETACH ... CONCURRENTLY left half done, of partitions that hold rows of `from` or later: until
// then no row of their time can be stored. "" when there is none any more, else what is left undone, as above.
Result<std::string> finish_detaches(PgConnection& connection, const std::string& schema, const std::string& table,
                                    TimePoint from, std::chrono::milliseconds lock_timeout);

struct DetachedTable {
  std::string name;
  bool to_be_dropped = false;  // marked so by drop_partition() before it detached it; else somebody else's doing
};
// Tables that are named as partitions of `table` are and belong to none; by name.
PgOutcome<std::vector<DetachedTable>> detached_tables(PgConnection& connection, const std::string& schema,
                                                      const std::string& table);

}  // namespace runtail
