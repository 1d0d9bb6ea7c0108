// Takes away what is older than it is kept (RetentionConfig, config/config.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

struct RetentionReport {
  std::vector<std::string> dropped;                           // partitions and chunks, in order
  std::vector<std::pair<std::string, std::int64_t>> deleted;  // table and rows, where there were any
  std::vector<std::string> undone;  // what waits for somebody's lock, and whose; the next call goes on with it
  std::vector<std::string> strays;  // old tables named like partitions that runtail did not detach: left alone
};

// Partitions by whole days, weeks and months, oldest first (a gap would refuse rows), then rows of other tables in
// slices, positions of files last: were one gone while a run it fed lives, a replay would count that run's sums twice.
// Writers are not held up: see schema/detach.h. May be killed, repeated, and run by two at once.
// A full run needs about 5 s (`lock_timeout`) more for each table in whose way somebody stands.
// Of hypertables whole chunks are dropped (schema/hypertables.h).
// As the owner of the tables or the retention role (schema/roles.h). Tables that are missing are passed over.
// kInvalidInput: a right is missing; kUnavailable: the connection.
Result<RetentionReport> apply_retention(PgConnection& connection, const std::string& schema, TimePoint now,
                                        std::chrono::milliseconds lock_timeout = std::chrono::seconds(5),
                                        const RetentionConfig& retention = {});

}  // namespace runtail
