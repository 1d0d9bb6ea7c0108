// What happened, in words of the domain: one interface before PostgreSQL and whatever else keeps a history. All lists
// have a total order, so that pages show each row once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "core/uuid.h"
#include "history/quality_queries.h"
#include "history/run_queries.h"
#include "history/service_queries.h"
#include "schema/rows/log_event.h"
#include "schema/rows/traces.h"

namespace runtail {

// The last row of a page: the next page begins after it. Which members count is the list's own: jobs have `text` (the
// job's id), the others `at` and `id`.
struct ListPlace {
  TimePoint at{};
  Uuid id;
  std::string text = {};
};

struct Slice {
  int rows = 50;  // 1 to kHistoryRowsMax
  int skip = 0;   // from the beginning, or from `after`
  std::optional<ListPlace> after = {};
  bool with_total = false;
};

template <typename Row>
struct Listing {
  std::vector<Row> rows;
  std::optional<std::int64_t> total = {};  // of all pages, where asked for
};

// Of a run: nothing where there is no such run, or none that the reader may see.
template <typename Row>
using OfRun = std::optional<Listing<Row>>;

// `projects`, here and in the filters: whose rows may be seen (history/query.h).
// Errors: kUnavailable (connection, time-out), kInvalidInput (somebody must act: rights, a missing table).
// Threads: one at a time.
class HistoryStore {
 public:
  virtual ~HistoryStore() = default;

  virtual Result<Listing<JobSummary>> jobs(const JobFilter& filter, TimePoint now, const Slice& slice) = 0;
  virtual Result<Listing<RunSummary>> runs(const RunFilter& filter, const Slice& slice) = 0;
  virtual Result<Listing<RunSummary>> failed_runs(const FailedFilter& filter, const Slice& slice) = 0;

  virtual Result<std::optional<RunView>> run(const Uuid& run_id, const Projects& projects) = 0;
  virtual Result<OfRun<RunAttemptRow>> attempts(const Uuid& run_id, const Projects& projects, const Slice& slice) = 0;
  virtual Result<OfRun<TaskRunRow>> tasks(const Uuid& run_id, const Projects& projects, const Slice& slice) = 0;
  virtual Result<OfRun<RunStateChangeRow>> changes(const Uuid& run_id, const Projects& projects,
                                                   const Slice& slice) = 0;
  // Its lines and spans, in order of time, as long as they are kept.
  virtual Result<OfRun<LogEventRow>> events(const Uuid& run_id, const Projects& projects, const Slice& slice) = 0;
  virtual Result<OfRun<SpanRow>> trace(const Uuid& run_id, const Projects& projects, const Slice& slice) = 0;

  virtual Result<Listing<DatasetFreshness>> datasets(const DatasetFilter& filter, const Slice& slice) = 0;
  virtual Result<Listing<DqCheckResultRow>> check_results(const ResultFilter& filter, const Slice& slice) = 0;
  virtual Result<Listing<AlertEventRow>> alerts(const AlertFilter& filter, const Slice& slice) = 0;
  virtual Result<Listing<WeeklySummary>> weeks(const WeekFilter& filter, const Slice& slice) = 0;
  virtual Result<Listing<ServiceView>> services(const ServiceFilter& filter, const Slice& slice) = 0;
};

}  // namespace runtail
