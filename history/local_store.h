// The history in the agent's own directory, for agents without PostgreSQL: the same answers as history/postgres_store.h
// (one test asks both), from what HistoryFold and the fold of runs keep.
//   Cost     lists of runs read the entries of their window (history/run_index.h) and the runs of their page; jobs and
//            weeks the entries of theirs; lines and spans the chunks that hold them.
//   Memory   a page, and sums by job; of a list by end or of lines the places up to the page's end.
//   Moment   each scan is of one; a run that changes between two may show as it is at the second.
//   Alerts   an agent evaluates none: the list is empty.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "core/run_record.h"
#include "core/time.h"
#include "derive/deriver.h"
#include "history/history_store.h"
#include "history/kept_keys.h"
#include "history/kept_state.h"
#include "history/run_index.h"
#include "history/run_rows.h"

namespace runtail {

class LocalStore final : public HistoryStore {
 public:
  // `kinds`: Redactor::kinds(). Kept state and clock outlive this. Questions about lines end after `time_limit`.
  LocalStore(const KeptState& kept, DeriverSettings settings, std::vector<std::string> kinds, const Clock& clock,
             std::chrono::milliseconds time_limit)
      : kept_(kept), deriver_(std::move(settings)), kinds_(std::move(kinds)), clock_(clock), time_limit_(time_limit) {}

  Result<Listing<JobSummary>> jobs(const JobFilter& filter, TimePoint now, const Slice& slice) override;
  Result<Listing<RunSummary>> runs(const RunFilter& filter, const Slice& slice) override;
  Result<Listing<RunSummary>> failed_runs(const FailedFilter& filter, const Slice& slice) override;
  Result<std::optional<RunView>> run(const Uuid& run_id, const Projects& projects) override;
  Result<OfRun<RunAttemptRow>> attempts(const Uuid& run_id, const Projects& projects, const Slice& slice) override;
  Result<OfRun<TaskRunRow>> tasks(const Uuid& run_id, const Projects& projects, const Slice& slice) override;
  Result<OfRun<RunStateChangeRow>> changes(const Uuid& run_id, const Projects& projects, const Slice& slice) override;
  Result<OfRun<LogEventRow>> events(const Uuid& run_id, const Projects& projects, const Slice& slice) override;
  Result<OfRun<SpanRow>> trace(const Uuid& run_id, const Projects& projects, const Slice& slice) override;
  Result<Listing<DatasetFreshness>> datasets(const DatasetFilter& filter, const Slice& slice) override;
  Result<Listing<DqCheckResultRow>> check_results(const ResultFilter& filter, const Slice& slice) override;
  Result<Listing<AlertEventRow>> alerts(const AlertFilter& filter, const Slice& slice) override;
  Result<Listing<WeeklySummary>> weeks(const WeekFilter& filter, const Slice& slice) override;
  Result<Listing<ServiceView>> services(const ServiceFilter& filter, const Slice& slice) override;

 private:
  // Those scheduled before `end`, the latest first, down to `begin`. False ends it.
  using VisitRun = std::function<bool(const TimedId& place, const RunIndexRow& row)>;
  void each_run(TimePoint begin, TimePoint end, const VisitRun& visit) const;
  std::optional<RunRecord> record(const Uuid& run_id) const;
  std::optional<RunRecord> record(const Uuid& run_id, const Projects& projects) const;  // none that may not be seen
  bool is_run_of(const std::optional<Uuid>& run_id, const Projects& projects) const;
  bool counts_as_run(const Uuid& run_id, const RunIndexRow& row) const;
  RunQuality quality_of(const Uuid& run_id) const;
  std::optional<Uuid> retry_of(const RunRecord& record) const;
  Result<Listing<RunSummary>> summaries(const std::vector<Uuid>& ids) const;

  const KeptState& kept_;
  const Deriver deriver_;
  const std::vector<std::string> kinds_;
  const Clock& clock_;
  const std::chrono::milliseconds time_limit_;
};

}  // namespace runtail
