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

struct ResultFilter {
  TimeRange created;
  std::optional<std::string> job_id;
  std::optional<Uuid> run_id = {}, check_id = {};
  std::optional<std::string> table_name = {}, column_name = {};
  std::optional<std::string> status = {};  // pass, warn, fail; "finding": warn and fail
  Projects projects = {};
};
// The latest first; results of one moment by id.
Query<DqCheckResultRow> check_results(const ResultFilter& filter, int limit,
                                      const std::optional<ResultCursor>& after = {}, int skip = 0);

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
struct DatasetFilter {
  std::optional<std::string> environment, dataset = {};
  // Datasets whose last success is a run of one of them; last_status is null then: it may be that of another run.
  Projects projects = {};
};
// The stalest first, those that never succeeded before all.
Query<DatasetFreshness> dataset_freshness(const DatasetFilter& filter, int limit, int skip = 0);

}  // namespace runtail
