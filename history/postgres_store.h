// The history in PostgreSQL: each answer is of one moment, in a read-only transaction of its own.
#pragma once

#include <chrono>
#include <string>

#include "history/history.h"
#include "history/history_store.h"

namespace runtail {

class PostgresStore final : public HistoryStore {
 public:
  // As History: the connection outlives this and is in no transaction whenever this is asked.
  PostgresStore(PgConnection& connection, std::string schema, std::chrono::milliseconds statement_timeout,
                bool is_set = false);

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
  History history_;
};

}  // namespace runtail
