#include "history/postgres_store.h"

#include <utility>

#include "history/log_queries.h"
#include "history/trace_queries.h"

namespace runtail {
namespace {

// A line touches its run, so it lies between the run's first and last event; a span may have begun before the line that
// tells of it.
constexpr std::chrono::hours kLinesAround{1}, kSpansAround{24};

template <typename Cursor>
std::optional<Cursor> cursor_of(const Slice& slice) {
  if (!slice.after) return std::nullopt;
  return Cursor{slice.after->at, slice.after->id};
}

template <typename Row>
Result<Listing<Row>> read_page(History::Moment& moment, const Query<Row>& query, bool with_total) {
  auto rows = moment.read(query);
  if (!rows) return rows.error();
  Listing<Row> out{std::move(*rows)};
  if (with_total) {
    const auto count = moment.read(count_of(query));
    if (!count) return count.error();
    out.total = count->empty() ? 0 : count->front().count;
  }
  return out;
}

template <typename Row>
Result<Listing<Row>> page(History& history, const Query<Row>& query, bool with_total) {
  if (!with_total) {
    auto rows = history.read(query);
    if (!rows) return rows.error();
    return Listing<Row>{std::move(*rows)};
  }
  return history.at_once(query.name, [&](History::Moment& moment) { return read_page(moment, query, with_total); });
}

// query_at(place) makes the question once it is known that the run is there and may be seen.
template <typename Row, typename QueryAt>
Result<OfRun<Row>> of_run(History& history, std::string_view name, const Uuid& run_id, const Projects& projects,
                          bool with_total, const QueryAt& query_at) {
  return history.at_once(name, [&](History::Moment& moment) -> Result<OfRun<Row>> {
    const auto places = moment.read(run_place(run_id, projects));
    if (!places) return places.error();
    if (places->empty()) return OfRun<Row>();
    auto listing = read_page<Row>(moment, query_at(places->front()), with_total);
    if (!listing) return listing.error();
    return OfRun<Row>(std::move(*listing));
  });
}

}  // namespace

PostgresStore::PostgresStore(PgConnection& connection, std::string schema, std::chrono::milliseconds statement_timeout,
                             bool is_set)
    : history_(connection, std::move(schema), statement_timeout, is_set) {}

Result<Listing<JobSummary>> PostgresStore::jobs(const JobFilter& filter, TimePoint now, const Slice& slice) {
  const auto query =
      runtail::jobs(filter, now, slice.rows, slice.after ? slice.after->text : std::string(), slice.skip);
  if (!slice.with_total) return page(history_, query, false);
  return history_.at_once("jobs", [&](History::Moment& moment) -> Result<Listing<JobSummary>> {
    auto rows = moment.read(query);
    if (!rows) return rows.error();
    const auto count = moment.read(job_count(filter, now));
    if (!count) return count.error();
    return Listing<JobSummary>{std::move(*rows), count->front().count};
  });
}

Result<Listing<RunSummary>> PostgresStore::runs(const RunFilter& filter, const Slice& slice) {
  return page(history_, runtail::runs(filter, slice.rows, cursor_of<RunCursor>(slice), slice.skip), slice.with_total);
}

Result<Listing<RunSummary>> PostgresStore::failed_runs(const FailedFilter& filter, const Slice& slice) {
  return page(history_, runtail::failed_runs(filter, slice.rows, cursor_of<RunCursor>(slice), slice.skip),
              slice.with_total);
}

Result<std::optional<RunView>> PostgresStore::run(const Uuid& run_id, const Projects& projects) {
  auto rows = history_.read(run_with_id(run_id, projects));
  if (!rows) return rows.error();
  if (rows->empty()) return std::optional<RunView>();
  return std::optional<RunView>(std::move(rows->front()));
}

Result<OfRun<RunAttemptRow>> PostgresStore::attempts(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  return of_run<RunAttemptRow>(history_, "attempts", run_id, projects, slice.with_total,
                               [&](const RunPlace&) { return attempts_of_run(run_id, slice.rows, slice.skip); });
}

Result<OfRun<TaskRunRow>> PostgresStore::tasks(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  return of_run<TaskRunRow>(history_, "tasks", run_id, projects, slice.with_total,
                            [&](const RunPlace&) { return tasks_of_run(run_id, slice.rows, slice.skip); });
}

Result<OfRun<RunStateChangeRow>> PostgresStore::changes(const Uuid& run_id, const Projects& projects,
                                                        const Slice& slice) {
  return of_run<RunStateChangeRow>(history_, "changes", run_id, projects, slice.with_total, [&](const RunPlace&) {
    return state_changes_of_run(run_id, slice.rows, slice.skip);
  });
}

Result<OfRun<LogEventRow>> PostgresStore::events(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  return of_run<LogEventRow>(history_, "events", run_id, projects, slice.with_total, [&](const RunPlace& place) {
    return log_lines(RunLines{run_id}, {place.first_event_at - kLinesAround, place.last_event_at + kLinesAround},
                     slice.rows, cursor_of<LineCursor>(slice), slice.skip, projects);
  });
}

Result<OfRun<SpanRow>> PostgresStore::trace(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  return of_run<SpanRow>(history_, "trace", run_id, projects, slice.with_total, [&](const RunPlace& place) {
    return spans_of_run(run_id, {place.first_event_at - kSpansAround, place.last_event_at + kSpansAround}, slice.rows,
                        slice.skip);
  });
}

Result<Listing<DatasetFreshness>> PostgresStore::datasets(const DatasetFilter& filter, const Slice& slice) {
  return page(history_, dataset_freshness(filter, slice.rows, slice.skip), slice.with_total);
}

Result<Listing<DqCheckResultRow>> PostgresStore::check_results(const ResultFilter& filter, const Slice& slice) {
  return page(history_, runtail::check_results(filter, slice.rows, cursor_of<ResultCursor>(slice), slice.skip),
              slice.with_total);
}

Result<Listing<AlertEventRow>> PostgresStore::alerts(const AlertFilter& filter, const Slice& slice) {
  return page(history_, alert_events(filter, slice.rows, cursor_of<AlertCursor>(slice), slice.skip), slice.with_total);
}

Result<Listing<WeeklySummary>> PostgresStore::weeks(const WeekFilter& filter, const Slice& slice) {
  return page(history_, weekly_summaries(filter, slice.rows, slice.skip), slice.with_total);
}

Result<Listing<ServiceView>> PostgresStore::services(const ServiceFilter& filter, const Slice& slice) {
  return page(history_, runtail::services(filter, slice.rows, slice.skip), slice.with_total);
}

}  // namespace runtail
