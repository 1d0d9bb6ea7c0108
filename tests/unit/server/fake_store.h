// A history that answers what it is told to, and remembers what it was asked.
#pragma once

#include <string>

#include "history/history_store.h"

namespace runtail::test {

class FakeStore final : public HistoryStore {
 public:
  std::string asked;  // the function asked last
  Slice slice;
  Projects projects;
  RunFilter run_filter;
  FailedFilter failed_filter;
  JobFilter job_filter;
  ResultFilter result_filter;
  AlertFilter alert_filter;
  WeekFilter week_filter;
  ServiceFilter service_filter;
  DatasetFilter dataset_filter;

  int rows = 1;         // of each list
  bool has_run = true;  // for what is of a run
  std::string status = "success";
  std::optional<Error> error;

  Result<Listing<JobSummary>> jobs(const JobFilter& filter, TimePoint, const Slice& of) override {
    job_filter = filter;
    return list<JobSummary>("jobs", filter.projects, of,
                            [](JobSummary& job, int at) { job.job_id = "job_" + std::to_string(at); });
  }
  Result<Listing<RunSummary>> runs(const RunFilter& filter, const Slice& of) override {
    run_filter = filter;
    return list<RunSummary>("runs", filter.projects, of, [&](RunSummary& run, int at) { fill(run, at); });
  }
  Result<Listing<RunSummary>> failed_runs(const FailedFilter& filter, const Slice& of) override {
    failed_filter = filter;
    return list<RunSummary>("failed_runs", filter.projects, of, [&](RunSummary& run, int at) { fill(run, at); });
  }
  Result<std::optional<RunView>> run(const Uuid& run_id, const Projects& of) override {
    asked = "run";
    projects = of;
    if (error) return *error;
    if (!has_run) return std::optional<RunView>();
    RunView view;
    fill(view, 0);
    view.run_id = run_id;
    view.verdict_source = "log";
    view.error_message = std::string(3000, 'x');
    view.cost_usd = UsdMicros{1'500'000};
    return std::optional<RunView>(view);
  }
  Result<OfRun<RunAttemptRow>> attempts(const Uuid&, const Projects& who, const Slice& of) override {
    return of_run<RunAttemptRow>("attempts", who, of);
  }
  Result<OfRun<TaskRunRow>> tasks(const Uuid&, const Projects& who, const Slice& of) override {
    return of_run<TaskRunRow>("tasks", who, of);
  }
  Result<OfRun<RunStateChangeRow>> changes(const Uuid&, const Projects& who, const Slice& of) override {
    return of_run<RunStateChangeRow>("changes", who, of);
  }
  Result<OfRun<LogEventRow>> events(const Uuid&, const Projects& who, const Slice& of) override {
    return of_run<LogEventRow>("events", who, of);
  }
  Result<OfRun<SpanRow>> trace(const Uuid&, const Projects& who, const Slice& of) override {
    return of_run<SpanRow>("trace", who, of);
  }
  Result<Listing<DatasetFreshness>> datasets(const DatasetFilter& filter, const Slice& of) override {
    dataset_filter = filter;
    return list<DatasetFreshness>("datasets", filter.projects, of);
  }
  Result<Listing<DqCheckResultRow>> check_results(const ResultFilter& filter, const Slice& of) override {
    result_filter = filter;
    return list<DqCheckResultRow>("check_results", filter.projects, of);
  }
  Result<Listing<AlertEventRow>> alerts(const AlertFilter& filter, const Slice& of) override {
    alert_filter = filter;
    return list<AlertEventRow>("alerts", filter.projects, of);
  }
  Result<Listing<WeeklySummary>> weeks(const WeekFilter& filter, const Slice& of) override {
    week_filter = filter;
    return list<WeeklySummary>("weeks", filter.projects, of);
  }
  Result<Listing<ServiceView>> services(const ServiceFilter& filter, const Slice& of) override {
    service_filter = filter;
    return list<ServiceView>("services", filter.projects, of);
  }

 private:
  struct Nothing {
    void operator()(auto&, int) const {}
  };

  void fill(RunSummary& run, int at) const {
    run.run_id = uuid_v5(Uuid{}, {std::to_string(at)});
    run.scheduled_at = from_micros(1'772'323'200'000'000 - at * 1'000'000ll);
    run.end_at = run.scheduled_at + std::chrono::minutes(5);
    run.job_id = "orders";
    run.status = status;
    run.error_message = std::string(3000, 'x');
  }

  template <typename Row, typename Fill = Nothing>
  Result<Listing<Row>> list(const char* name, const Projects& who, const Slice& of, const Fill& make = {}) {
    asked = name;
    slice = of;
    projects = who;
    if (error) return *error;
    Listing<Row> out;
    for (int at = 0; at < std::min(rows, of.rows); ++at) make(out.rows.emplace_back(), at);
    if (of.with_total) out.total = 4711;
    return out;
  }
  template <typename Row>
  Result<OfRun<Row>> of_run(const char* name, const Projects& who, const Slice& of) {
    auto listing = list<Row>(name, who, of);
    if (!listing) return listing.error();
    if (!has_run) return OfRun<Row>();
    return OfRun<Row>(std::move(*listing));
  }
};

}  // namespace runtail::test
