// Keys of the history that an agent keeps itself. Times and numbers are big-endian, so that keys sort as their values.
//   e/t/<time, latest first><run_id>       runs by scheduled_at: RunIndexRow
//   e/j/<job_id>                           jobs that a line named: day it was named last
//   e/s/<run_id><time><id>                 changes of a run's state: RunStateChangeRow
//   e/l/<run_id><sequence>                 chunks with lines or spans of a run: empty
//   e/q/<time, latest first><id>           results of checks by created_at: DqCheckResultRow
//   e/o/<run_id><time, latest first><id>   those of a run: empty
//   e/d/<dataset id>                       DatasetStatusRow
//   e/b/<service and instance>             the newest heartbeat: event_id, ServiceHeartbeatRow
//   e/indexed                              the entries e/t/ are those of all runs
// Rows are written by history/row_codec.h. Runs themselves are "r/<run_id>" (core/run_record.h).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/chunk.h"
#include "core/time.h"
#include "core/uuid.h"

namespace runtail {

inline constexpr std::string_view kRunTimes = "e/t/", kJobNames = "e/j/", kStateChanges = "e/s/", kLinePlaces = "e/l/",
                                  kResultTimes = "e/q/", kResultsOfRuns = "e/o/", kDatasets = "e/d/",
                                  kHeartbeats = "e/b/", kIndexed = "e/indexed";

// A place in a list, the latest first; those of one moment by id.
struct TimedId {
  TimePoint at{};
  Uuid id;
};
std::string timed_key(std::string_view prefix, const TimedId& place);
// The first key of entries before `end`, for scan().
std::string timed_key_before(std::string_view prefix, TimePoint end);
// Of a key that timed_key() gave: the 24 bytes at its end.
std::optional<TimedId> read_timed_key(std::string_view key);

std::string id_key(std::string_view prefix, const Uuid& id);
std::optional<Uuid> read_id_key(std::string_view prefix, std::string_view key);

std::string change_key(const Uuid& run_id, TimePoint at, const Uuid& id);
std::string line_place_key(const Uuid& run_id, Sequence sequence);
std::optional<Sequence> read_line_place_key(std::string_view key);

std::string kept_run_key(const Uuid& run_id);

// The value of a job's entry: a day in UTC. An empty or damaged one is the first day there is.
std::string job_day(TimePoint at);
std::chrono::sys_days read_job_day(std::string_view value);

}  // namespace runtail
