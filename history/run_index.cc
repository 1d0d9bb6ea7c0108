#include "history/run_index.h"

#include <algorithm>

#include "history/kept_keys.h"
#include "history/row_codec.h"
#include "history/row_text.h"

namespace runtail {
namespace {

// Not rounded: averages are rounded once.
std::optional<std::int64_t> duration_us(const RunState& run) {
  if (run.state.duration_ms) {
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max() / 1000;
    return std::min(*run.state.duration_ms, kMax) * 1000;
  }
  if (!run.started_at || !run.state.finished_at || *run.state.finished_at < *run.started_at) return std::nullopt;
  return (*run.state.finished_at - *run.started_at).count();
}

}  // namespace

RunIndexRow index_row(const RunState& run) {
  RunIndexRow row;
  row.job_id = run.job_id;
  row.status = to_string(run.state.status);
  row.environment = text_or_null(run.text(RunText::kEnvironment));
  row.project_id = text_or_null(run.text(RunText::kProjectId));
  if (run.state.status == RunStatus::kFailed) row.error_category = text_or_null(to_string(run.error.category));
  row.finished_at = run.state.finished_at;
  row.duration_us = duration_us(run);
  row.records_loaded = run.records_loaded();
  row.parent_run_id = run.parent_run_id;
  row.correlation_id = text_or_null(run.text(RunText::kCorrelationId));
  row.attempt_count = run.attempt_count;
  row.last_event_at = run.last_event_at.value_or(TimePoint{});
  return row;
}

std::pair<std::string, std::string> index_entry(const RunState& run) {
  return {timed_key(kRunTimes, {run.scheduled_at(), run.run_id}), encode_row(index_row(run))};
}

}  // namespace runtail
