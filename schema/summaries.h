// job_daily_summary: what became of the runs of a job, environment and UTC day (of scheduled_at), computed whole for
// the days that writers marked in summary_dirty.
//   runs                      all of them, queued and running ones too
//   succeeded, failed, cancelled, skipped
//   success_rate              succeeded / (succeeded + failed + cancelled), as monitoring.job_runs counts; null where
//                             none has ended
//   p95_duration_ms           of those three, exact: the smallest duration that 95 % of them do not exceed. The rows
//   are
//                             read anyway, so nothing is gained by reading it from the buckets
//   duration_buckets          their number by the bounds of trialsync_job_duration_seconds (core/metric.h), not
//                             cumulative, the last without a bound: for percentiles over several days
//   records_loaded            null where no run says
//   dq_warn, dq_fail          runs whose data quality ended so (job_runs.dq_status)
// A day without runs has no row.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

// Computes the days that are marked when it begins, oldest mark first; gives how many. What is marked again meanwhile
// stays marked. Readers never wait. Writers wait for one batch of days at most (some milliseconds) where they mark a
// day, and `lock_timeout` bounds how long this waits for them: kUnavailable then, with the sessions in the way; what
// was computed stays. Safe to repeat, to kill, and for several at once. A schema without the table: 0.
Result<std::int64_t> refresh_summaries(PgConnection& connection, const std::string& schema, TimePoint now,
                                       std::chrono::milliseconds lock_timeout = std::chrono::seconds(5));

}  // namespace runtail
