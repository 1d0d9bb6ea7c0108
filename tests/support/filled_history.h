// A database with a history in it, made on the server by INSERT ... SELECT: as many runs, tasks and lines as asked for,
// with the proportions of a busy installation. Everything but the ids of metrics depends on the size and `now` alone.
#pragma once

#include <cstdint>
#include <string>

#include "core/time.h"

namespace runtail::test {

struct HistorySize {
  int days = 90;  // before `now`; lines, spans and the like: the last 29 of them
  int runs_per_day = 20;
  int tasks_per_run = 20;
  std::int64_t log_events = 200'000;
};

// Into a migrated schema `observability` with partitions as of today and no rows; ends with VACUUM ANALYZE.
// Of the runs 94 % succeed, 4 % fail, 10 % of them after a second attempt; the last few are queued or running and as
// many are stalled; every two have the same scheduled_at. Half of the runs belong to a quarter of 200 jobs. 90 % of the
// runs are of prod, 0.1 % of dev. Half of them are of the project sponsor_a, a third of sponsor_b, the rest of
// sponsor_c. 1 % of the lines are errors. Throws std::runtime_error.
void fill_history(const std::string& conninfo, const HistorySize& size, TimePoint now);

}  // namespace runtail::test
