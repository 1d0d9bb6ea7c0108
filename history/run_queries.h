// Questions about jobs, runs and what hangs on a run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "history/query.h"
#include "schema/rows/jobs.h"
#include "schema/rows/runs.h"

namespace runtail {

// A run as a list shows it, from the view `runs`: what is not stored (stalled, a missing duration) is computed, and an
// error shows only while the run is failed.
struct RunSummary {
  Uuid run_id;
  TimePoint scheduled_at{};
  std::string job_id;
  std::optional<std::string> external_run_id, environment, service, dataset;
  std::string status;
  std::optional<std::string> end_reason;
  bool stalled = false;
  std::optional<TimePoint> start_at, end_at;
  std::optional<std::int64_t> duration_ms;
  std::int32_t attempt_count = 0;
  bool retries_exhausted = false;
  std::optional<std::string> error_category, error_code, error_message;
  std::optional<std::int64_t> records_extracted, records_loaded;
  std::optional<std::string> dq_status, correlation_id;
  TimePoint last_event_at{};

  static void columns(auto& row, auto&& visit) {
    visit("run_id", row.run_id);
    visit("scheduled_at", row.scheduled_at);
    visit("job_id", row.job_id);
    visit("external_run_id", row.external_run_id);
    visit("environment", row.environment);
    visit("service", row.service);
    visit("dataset", row.dataset);
    visit("status", row.status);
    visit("end_reason", row.end_reason);
    visit("stalled", row.stalled);
    visit("start_at", row.start_at);
    visit("end_at", row.end_at);
    visit("duration_ms", row.duration_ms);
    visit("attempt_count", row.attempt_count);
    visit("retries_exhausted", row.retries_exhausted);
    visit("error_category", row.error_category);
    visit("error_code", row.error_code);
    visit("error_message", row.error_message);
    visit("records_extracted", row.records_extracted);
    visit("records_loaded", row.records_loaded);
    visit("dq_status", row.dq_status);
    visit("correlation_id", row.correlation_id);
    visit("last_event_at", row.last_event_at);
  }
};

// The same with the rest of what one run's page shows.
struct RunView : RunSummary {
  std::optional<Uuid> parent_run_id, retry_of;
  std::optional<std::string> org_id, project_id, request_id, trace_id, job_type;
  std::string verdict_source;
  std::optional<TimePoint> queued_at;
  TimePoint first_event_at{};
  std::optional<std::int32_t> exit_code, exit_signal, max_attempts;
  std::optional<std::int64_t> tokens_in, tokens_out;
  std::optional<UsdMicros> cost_usd;
  std::optional<Json> metrics, dq_findings;
  std::optional<std::string> agent_id, ruleset;

  static void columns(auto& row, auto&& visit) {
    RunSummary::columns(row, visit);
    visit("parent_run_id", row.parent_run_id);
    visit("retry_of", row.retry_of);
    visit("org_id", row.org_id);
    visit("project_id", row.project_id);
    visit("request_id", row.request_id);
    visit("trace_id", row.trace_id);
    visit("job_type", row.job_type);
    visit("verdict_source", row.verdict_source);
    visit("queued_at", row.queued_at);
    visit("first_event_at", row.first_event_at);
    visit("exit_code", row.exit_code);
    visit("exit_signal", row.exit_signal);
    visit("max_attempts", row.max_attempts);
    visit("tokens_in", row.tokens_in);
    visit("tokens_out", row.tokens_out);
    visit("cost_usd", row.cost_usd);
    visit("metrics", row.metrics);
    visit("dq_findings", row.dq_findings);
    visit("agent_id", row.agent_id);
    visit("ruleset", row.ruleset);
  }
};

struct RunFilter {
  TimeRange scheduled;  // of scheduled_at
  std::optional<std::string> job_id, status, environment;
  std::optional<std::string> error_category = {};  // failed runs only
  Projects projects = {};
};
struct FailedFilter {
  TimeRange ended;  // of end_at
  std::optional<std::string> error_category, job_id, environment;
  Projects projects = {};
};
// The last run of a page; the next one begins after it.
struct RunCursor {
  TimePoint at;  // scheduled_at or end_at, whichever the list is ordered by
  Uuid run_id;
};

// The latest first; runs of one moment by run_id. `skip`: rows, for pages by number.
Query<RunSummary> runs(const RunFilter& filter, int limit, const std::optional<RunCursor>& after = {}, int skip = 0);
// The latest end first; runs without an end do not show.
Query<RunSummary> failed_runs(const FailedFilter& filter, int limit, const std::optional<RunCursor>& after = {},
                              int skip = 0);
// Queued or running, and silent for longer than their job allows (15 minutes where it says nothing). The longest
// silence first.
Query<RunSummary> stalled_runs(int limit);
// Runs that share it: those of one flow, and the attempts that a scheduler gave a run_id each. The latest first.
Query<RunSummary> runs_of_correlation(const std::string& correlation_id, int limit);

// How a job does. Rates, averages and sums are of runs scheduled in the time named; a run inside of another one of this
// job counts in no rate and no average (schema/nested_runs.h).
struct JobSummary {
  std::string job_id;
  bool enabled = false;
  std::optional<Uuid> last_run_id;       // of the last 90 days
  std::optional<TimePoint> last_run_at;  // scheduled_at
  std::optional<std::string> last_run_status;
  std::optional<double> success_rate_7d;  // success / (success + failed + cancelled)
  std::optional<std::int64_t> avg_duration_ms_7d;
  std::optional<std::int64_t> records_loaded_24h;

  static void columns(auto& row, auto&& visit) {
    visit("job_id", row.job_id);
    visit("enabled", row.enabled);
    visit("last_run_id", row.last_run_id);
    visit("last_run_at", row.last_run_at);
    visit("last_run_status", row.last_run_status);
    visit("success_rate_7d", row.success_rate_7d);
    visit("avg_duration_ms_7d", row.avg_duration_ms_7d);
    visit("records_loaded_24h", row.records_loaded_24h);
  }
};
struct JobFilter {
  std::optional<std::string> part;    // of the job's id or name, in any case
  std::optional<std::string> status;  // of its last run
  // Jobs with a run of the last 90 days in one of them; all that is said of a job is of such runs.
  Projects projects = {};
};
// By job_id, those after `after`, with the latest run of each until `now`.
Query<JobSummary> jobs(const JobFilter& filter, TimePoint now, int limit, const std::string& after = {}, int skip = 0);

Query<RowCount> job_count(const JobFilter& filter, TimePoint now);

// What a job did in a week from Monday, 00:00 UTC, of scheduled_at. A run inside of another one of this job counts as in
// JobSummary: not as a run, but with what it loaded.
struct WeeklySummary {
  std::string job_id;
  std::optional<std::string> environment;
  std::chrono::sys_days week{};
  std::int64_t runs = 0, succeeded = 0, failed = 0, cancelled = 0, skipped = 0;
  std::optional<double> success_rate;  // as in JobSummary
  std::optional<std::int64_t> avg_duration_ms, records_loaded;

  static void columns(auto& row, auto&& visit) {
    visit("job_id", row.job_id);
    visit("environment", row.environment);
    visit("week", row.week);
    visit("runs", row.runs);
    visit("succeeded", row.succeeded);
    visit("failed", row.failed);
    visit("cancelled", row.cancelled);
    visit("skipped", row.skipped);
    visit("success_rate", row.success_rate);
    visit("avg_duration_ms", row.avg_duration_ms);
    visit("records_loaded", row.records_loaded);
  }
};
struct WeekFilter {
  TimeRange scheduled;
  std::optional<std::string> job_id, environment;
  Projects projects = {};
};
// Of the runs themselves, so never behind them. The latest week first, then by job_id and environment.
Query<WeeklySummary> weekly_summaries(const WeekFilter& filter, int limit, int skip = 0);

Query<RunView> run_with_id(const Uuid& run_id, const Projects& projects = {});
// Where and when a run is: what its lines, spans and tasks are looked for with.
struct RunPlace {
  Uuid run_id;
  std::string status;
  TimePoint first_event_at{}, last_event_at{};

  static void columns(auto& row, auto&& visit) {
    visit("run_id", row.run_id);
    visit("status", row.status);
    visit("first_event_at", row.first_event_at);
    visit("last_event_at", row.last_event_at);
  }
};
Query<RunPlace> run_place(const Uuid& run_id, const Projects& projects);
Query<RunAttemptRow> attempts_of_run(const Uuid& run_id, int limit = kHistoryRowsMax, int skip = 0);  // by number
// The first event first.
Query<TaskRunRow> tasks_of_run(const Uuid& run_id, int limit = kHistoryRowsMax, int skip = 0);
// The earliest first.
Query<RunStateChangeRow> state_changes_of_run(const Uuid& run_id, int limit = kHistoryRowsMax, int skip = 0);

// Precomputed by `migrate --maintain`. The latest day first; of one job, or of all.
Query<JobDailySummaryRow> daily_summaries(const std::optional<std::string>& job_id, std::chrono::sys_days from,
                                          std::chrono::sys_days to, int limit);

}  // namespace runtail
