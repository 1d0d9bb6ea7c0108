// What lists and sums need of a run, in order of time: most questions never read the run itself.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "core/run_record.h"
#include "schema/row.h"

namespace runtail {

struct RunIndexRow {
  std::string job_id, status;
  std::optional<std::string> environment, project_id, error_category;  // error_category: of a failed run
  std::optional<TimePoint> finished_at;
  std::optional<std::int64_t> duration_us, records_loaded;
  std::optional<Uuid> parent_run_id;
  std::optional<std::string> correlation_id;
  std::int32_t attempt_count = 0;
  TimePoint last_event_at{};

  static void columns(auto& row, auto&& visit) {
    visit("job_id", row.job_id);
    visit("status", row.status);
    visit("environment", row.environment);
    visit("project_id", row.project_id);
    visit("error_category", row.error_category);
    visit("finished_at", row.finished_at);
    visit("duration_us", row.duration_us);
    visit("records_loaded", row.records_loaded);
    visit("parent_run_id", row.parent_run_id);
    visit("correlation_id", row.correlation_id);
    visit("attempt_count", row.attempt_count);
    visit("last_event_at", row.last_event_at);
  }
};

RunIndexRow index_row(const RunState& run);
// Key and value of the entry. The key changes with scheduled_at: the old one has to go then.
std::pair<std::string, std::string> index_entry(const RunState& run);

}  // namespace runtail
