// Questions about data quality and datasets.
#pragma once

#include <optional>
#include <string>

#include "history/query.h"
#include "schema/rows/quality.h"

namespace runtail {

// The last result of a page; the next one begins after it.
struct ResultCursor {
  TimePoint created_at;
  Uuid id;
};

// The latest first; results of one moment by id.
Query<DqCheckResultRow> results_of_run(const Uuid& run_id, int limit, const std::optional<ResultCursor>& after = {});
Query<DqCheckResultRow> results_of_check(const Uuid& check_id, const TimeRange& range, int limit,
                                         const std::optional<ResultCursor>& after = {});
Query<DqCheckResultRow> results_of_job(const std::string& job_id, const TimeRange& range, int limit,
                                       const std::optional<ResultCursor>& after = {});
// Warnings and failures; of one job, or of all.
Query<DqCheckResultRow> findings(const std::optional<std::string>& job_id, const TimeRange& range, int limit,
                                 const std::optional<ResultCursor>& after = {});

// As monitoring.dataset_status has it: freshness is of the moment of asking, null for a dataset that never succeeded.
struct DatasetFreshness {
  std::string dataset;
  std::optional<std::string> environment;
  std::optional<TimePoint> last_successful_update;
  std::optional<std::int64_t> record_count, freshness_minutes;
  std::optional<Uuid> last_run_id;
  std::optional<std::string> last_status;

  static void columns(auto& row, auto&& visit) {
    visit("dataset", row.dataset);
    visit("environment", row.environment);
    visit("last_successful_update", row.last_successful_update);
    visit("record_count", row.record_count);
    visit("freshness_minutes", row.freshness_minutes);
    visit("last_run_id", row.last_run_id);
    visit("last_status", row.last_status);
  }
};
// The stalest first, those that never succeeded before all.
Query<DatasetFreshness> dataset_freshness(const std::optional<std::string>& environment, int limit);

}  // namespace runtail
