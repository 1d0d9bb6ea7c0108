// A run as the agent folded it, as the rows that PostgreSQL would have of it.
#pragma once

#include <vector>

#include "core/run_record.h"
#include "history/run_queries.h"

namespace runtail {

// What results of checks make of a run (schema/run_quality.h).
struct RunQuality {
  std::optional<std::string> status;
  std::optional<Json> findings;
};

// `now` says what is stalled: silent for 15 minutes. retry_of stays empty: it is a question to other runs.
RunView run_view(const RunState& run, const RunQuality& quality, TimePoint now);
std::vector<RunAttemptRow> attempt_rows_of(const RunRecord& record);  // by number
std::vector<TaskRunRow> task_rows_of(const RunRecord& record);        // the first event first

}  // namespace runtail
