// The routes and what each asks of the store.
#include <array>
#include <initializer_list>

#include "server/api_call.h"
#include "server/api_route.h"
#include "server/json_row.h"
#include "server/list_cursor.h"

namespace runtail {
namespace {

constexpr std::string_view kStatuses[] = {"queued", "running", "success", "failed", "cancelled", "skipped"};
constexpr std::string_view kCategories[] = {"API", "DB", "Data", "System"};
constexpr std::string_view kRunTimes[] = {"scheduled_at", "end_at"};
constexpr std::string_view kCheckStatuses[] = {"pass", "warn", "fail", "finding", "any"};
constexpr std::string_view kAlertStatuses[] = {"firing", "resolved", "stale"};

ListPlace place_of(const JobSummary& job) { return {{}, {}, job.job_id}; }
ListPlace place_of(const LogEventRow& line) { return {line.ts, line.event_id}; }
ListPlace place_of(const DqCheckResultRow& result) { return {result.created_at, result.id}; }
ListPlace place_of(const AlertEventRow& alert) { return {alert.fired_at, alert.id}; }
// By which time runs are listed depends on who asks.
struct RunsBySchedule {
  static ListPlace of(const RunSummary& run) { return {run.scheduled_at, run.run_id}; }
};
struct RunsByEnd {
  static ListPlace of(const RunSummary& run) { return {run.end_at.value_or(TimePoint{}), run.run_id}; }
};
struct ByPlace {
  static ListPlace of(const auto& row) { return place_of(row); }
};
// Pages of a list without places are counted from its beginning.
struct ByNumber {};

// One row more than the page tells whether there is a next one.
Slice slice_of(const ApiCall& call) {
  Slice slice = call.slice;
  ++slice.rows;
  return slice;
}

template <typename Order, typename Row>
ApiAnswer list_answer(const ApiCall& call, const Listing<Row>& listing) {
  const auto page_size = static_cast<std::size_t>(call.slice.rows);
  ApiAnswer answer;
  std::string& out = answer.body = "{\"data\":[";
  std::size_t shown = 0;
  for (; shown < std::min(page_size, listing.rows.size()) && out.size() < kApiBodyMax; ++shown) {
    if (shown > 0) out += ",\n";
    append_json_row(out, listing.rows[shown], kErrorShownInLists);
  }
  out += "],\"page\":" + (call.page ? std::to_string(*call.page) : "null");
  out += ",\"page_size\":" + std::to_string(page_size) + ",\"next_cursor\":";
  if (shown < listing.rows.size()) {
    ListCursor next{call.list, call.range, {}, 0};
    if constexpr (std::is_same_v<Order, ByNumber>) {
      next.skip = call.slice.skip + static_cast<int>(shown);
    } else {
      next.after = Order::of(listing.rows[shown - 1]);
    }
    out += '"' + encode_cursor(next) + '"';
  } else {
    out += "null";
  }
  if (listing.total) out += ",\"total\":" + std::to_string(*listing.total);
  out += "}\n";
  answer.rows = static_cast<std::int64_t>(shown);
  return answer;
}

template <typename Order, typename Row>
Result<ApiAnswer> answer_of(const ApiCall& call, const Result<Listing<Row>>& listing) {
  if (!listing) return listing.error();
  return list_answer<Order>(call, *listing);
}

template <typename Order, typename Row>
Result<ApiAnswer> answer_of(const ApiCall& call, const Result<OfRun<Row>>& listing) {
  if (!listing) return listing.error();
  if (!*listing) {
    ApiAnswer missing;
    missing.is_missing = true;
    return missing;
  }
  return list_answer<Order>(call, **listing);
}

bool has_ended(std::string_view status) { return status != "queued" && status != "running"; }

Result<ApiAnswer> ask_jobs(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByPlace>(call,
                            store.jobs({call.text("q"), call.text("status"), call.projects}, call.now, slice_of(call)));
}

Result<ApiAnswer> ask_runs(const ApiCall& call, HistoryStore& store) {
  if (call.text("by") == "end_at") {
    const FailedFilter filter{*call.range, call.text("error_category"), call.text("job"), call.text("environment"),
                              call.projects};
    return answer_of<RunsByEnd>(call, store.failed_runs(filter, slice_of(call)));
  }
  const RunFilter filter{*call.range,
                         call.text(call.values.contains("job_id") ? "job_id" : "job"),
                         call.text("status"),
                         call.text("environment"),
                         call.text("error_category"),
                         call.projects};
  return answer_of<RunsBySchedule>(call, store.runs(filter, slice_of(call)));
}

std::string conflict_of_runs(const ApiCall& call) {
  const std::string status = call.text("status").value_or("failed");
  if (status == "failed") return "";
  if (call.text("error_category")) return "only failed runs have an error_category: status is failed, or left out";
  if (call.text("by") == "end_at") return "by=end_at lists failed runs: status is failed, or left out";
  return "";
}

Result<ApiAnswer> ask_run(const ApiCall& call, HistoryStore& store) {
  const auto run = store.run(*call.uuid("run_id"), call.projects);
  if (!run) return run.error();
  ApiAnswer answer;
  answer.is_missing = !*run;
  if (!*run) return answer;
  append_json_row(answer.body, **run, kErrorShown);
  answer.body += '\n';
  answer.rows = 1;
  answer.is_final = has_ended((*run)->status);
  return answer;
}

Result<ApiAnswer> ask_attempts(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByNumber>(call, store.attempts(*call.uuid("run_id"), call.projects, slice_of(call)));
}
Result<ApiAnswer> ask_tasks(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByNumber>(call, store.tasks(*call.uuid("run_id"), call.projects, slice_of(call)));
}
Result<ApiAnswer> ask_changes(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByNumber>(call, store.changes(*call.uuid("run_id"), call.projects, slice_of(call)));
}
Result<ApiAnswer> ask_events(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByPlace>(call, store.events(*call.uuid("run_id"), call.projects, slice_of(call)));
}
Result<ApiAnswer> ask_trace(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByNumber>(call, store.trace(*call.uuid("run_id"), call.projects, slice_of(call)));
}

Result<ApiAnswer> ask_datasets(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByNumber>(
      call, store.datasets({call.text("environment"), call.text("dataset"), call.projects}, slice_of(call)));
}

Result<ApiAnswer> ask_quality(const ApiCall& call, HistoryStore& store) {
  ResultFilter filter{*call.range, call.text("job")};
  filter.run_id = call.uuid("run_id");
  filter.table_name = call.text("table");
  filter.column_name = call.text("column");
  filter.status = call.text("status");
  if (filter.status == "any") filter.status.reset();
  filter.projects = call.projects;
  return answer_of<ByPlace>(call, store.check_results(filter, slice_of(call)));
}

Result<ApiAnswer> ask_alerts(const ApiCall& call, HistoryStore& store) {
  AlertFilter filter{*call.range, call.text("status")};
  filter.severity = call.text("severity");
  filter.job_id = call.text("job");
  filter.run_id = call.uuid("run_id");
  filter.projects = call.projects;
  return answer_of<ByPlace>(call, store.alerts(filter, slice_of(call)));
}

Result<ApiAnswer> ask_summary(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByNumber>(
      call, store.weeks({*call.range, call.text("job"), call.text("environment"), call.projects}, slice_of(call)));
}

Result<ApiAnswer> ask_services(const ApiCall& call, HistoryStore& store) {
  return answer_of<ByNumber>(call,
                             store.services({call.flag("drift"), call.text("service"), call.projects}, slice_of(call)));
}

// ---- The parameters

ApiParameter text(std::string_view name, std::string_view says) { return {name, ParameterType::kText, says}; }
ApiParameter word(std::string_view name, std::span<const std::string_view> words, std::string_view says,
                  std::string_view fallback = {}) {
  return {name, ParameterType::kWord, says, words, 0, 0, fallback};
}
ApiParameter in_path(std::string_view name, ParameterType type, std::string_view says) {
  return {name, type, says, {}, 0, 0, {}, true};
}

const ApiParameter kJob = text("job", "Only of this job_id");
const ApiParameter kEnvironment = text("environment", "Only of this environment");
const ApiParameter kRunIdInPath = in_path("run_id", ParameterType::kUuid, "Id of the run");
const ApiParameter kRunStatus = word("status", kStatuses, "Only runs of this status");
const ApiParameter kOfRun{"run_id", ParameterType::kUuid, "Only of this run"};

// A list's own parameters, and those of every list.
std::vector<ApiParameter> list_of(std::initializer_list<ApiParameter> own, bool has_window = false) {
  std::vector<ApiParameter> all(own);
  if (has_window) {
    all.push_back({"from", ParameterType::kTime, "Beginning of the window, included; 90 days before its end at most"});
    all.push_back({"to", ParameterType::kTime, "End of the window, not included. Default: now"});
  }
  all.push_back({"page", ParameterType::kNumber, "Page by its number", {}, 1, kApiSkipMax + 1});
  all.push_back({"page_size", ParameterType::kNumber, "Rows of a page", {}, 1, kApiPageMax, "50"});
  all.push_back({"cursor", ParameterType::kCursor, "The page after the one with this next_cursor; instead of page"});
  all.push_back({"total", ParameterType::kFlag, "Also count the rows of all pages", {}, 0, 0, "false"});
  return all;
}

template <typename Row>
ApiRoute list(std::string_view name, std::string_view path, std::string_view label, std::string_view says,
              std::string_view row, std::vector<ApiParameter> parameters,
              Result<ApiAnswer> (*ask)(const ApiCall&, HistoryStore&), std::chrono::days window = {}) {
  ApiRoute route;
  route.name = name;
  route.path = path;
  route.label = label;
  route.says = says;
  route.parameters = std::move(parameters);
  route.window = window;
  route.is_of_run = path.starts_with("/v1/obs/runs/");
  route.row = row;
  route.row_schema = json_schema_of<Row>;
  route.ask = ask;
  return route;
}

std::vector<ApiRoute> make_routes() {
  using std::chrono::days;
  std::vector<ApiRoute> routes;
  routes.push_back(list<JobSummary>(
      "list_jobs", "/v1/obs/jobs", "/v1/obs/jobs",
      "Jobs with their last run and how they did: rates and averages of 7 days, records of 24 hours; by job_id", "Job",
      list_of({word("status", kStatuses, "Only jobs whose last run has this status"),
               text("q", "Only jobs with this in their job_id or name, in any case")}),
      ask_jobs));
  routes.back().is_shared = true;
  routes.push_back(list<RunSummary>(
      "list_runs_of_job", "/v1/obs/jobs/{job_id}/runs", "/v1/obs/jobs/:job_id/runs",
      "Runs of a job, by scheduled_at, the latest first. Default window: 30 days", "RunSummary",
      list_of({in_path("job_id", ParameterType::kText, "The job"), kRunStatus}, true), ask_runs, days(30)));
  routes.push_back(list<RunSummary>(
      "list_runs", "/v1/obs/runs", "/v1/obs/runs", "Runs, the latest first. Default window: 24 hours", "RunSummary",
      list_of({kRunStatus, word("error_category", kCategories, "Only failed runs of this category"), kJob, kEnvironment,
               word("by", kRunTimes,
                    "Which time the window and the order are of. end_at: failed runs only, by when they failed",
                    "scheduled_at")},
              true),
      ask_runs, days(1)));
  routes.back().conflict = conflict_of_runs;
  ApiRoute run = list<RunView>("get_run", "/v1/obs/runs/{run_id}", "/v1/obs/runs/:run_id", "One run", "Run",
                               {kRunIdInPath}, ask_run);
  run.is_list = false;
  routes.push_back(std::move(run));
  routes.push_back(list<RunAttemptRow>("list_attempts", "/v1/obs/runs/{run_id}/attempts",
                                       "/v1/obs/runs/:run_id/attempts", "Attempts of a run, by number", "Attempt",
                                       list_of({kRunIdInPath}), ask_attempts));
  routes.push_back(list<TaskRunRow>("list_tasks", "/v1/obs/runs/{run_id}/tasks", "/v1/obs/runs/:run_id/tasks",
                                    "Tasks of a run, by their first event", "Task", list_of({kRunIdInPath}),
                                    ask_tasks));
  routes.push_back(list<LogEventRow>("list_events", "/v1/obs/runs/{run_id}/events", "/v1/obs/runs/:run_id/events",
                                     "Stored lines of a run, in order of time; kept for 30 days unless configured",
                                     "Event", list_of({kRunIdInPath}), ask_events));
  routes.push_back(list<SpanRow>("list_spans", "/v1/obs/runs/{run_id}/trace", "/v1/obs/runs/:run_id/trace",
                                 "Spans that name the run, by their start", "Span", list_of({kRunIdInPath}),
                                 ask_trace));
  routes.push_back(list<RunStateChangeRow>("list_changes", "/v1/obs/runs/{run_id}/changes",
                                           "/v1/obs/runs/:run_id/changes", "How the run's state changed, by time",
                                           "Change", list_of({kRunIdInPath}), ask_changes));
  routes.push_back(
      list<DatasetFreshness>("list_datasets", "/v1/obs/datasets", "/v1/obs/datasets",
                             "Datasets, the stalest first. last_status is null for a token that is bound to projects",
                             "Dataset", list_of({kEnvironment, text("dataset", "Only this dataset")}), ask_datasets));
  routes.push_back(list<DqCheckResultRow>(
      "list_check_results", "/v1/obs/dq", "/v1/obs/dq",
      "Results of data quality checks, the latest first. Default window: 7 days", "CheckResult",
      list_of({word("status", kCheckStatuses, "Only such results; finding: warn and fail", "finding"), kJob, kOfRun,
               text("table", "Only of this table"), text("column", "Only of this column")},
              true),
      ask_quality, days(7)));
  routes.push_back(list<AlertEventRow>("list_alerts", "/v1/obs/alerts", "/v1/obs/alerts",
                                       "Alerts by fired_at, the latest first. Default window: 7 days", "Alert",
                                       list_of({word("status", kAlertStatuses, "Only alerts of this status"),
                                                text("severity", "Only alerts of this severity"), kJob, kOfRun},
                                               true),
                                       ask_alerts, days(7)));
  routes.push_back(list<WeeklySummary>(
      "list_weeks", "/v1/obs/summary", "/v1/obs/summary",
      "What each job did in each week (from Monday, UTC) of the window: success rate, average duration, records. The "
      "latest week first. Default window: 56 days",
      "WeeklySummary", list_of({kJob, kEnvironment}, true), ask_summary, days(56)));
  routes.back().is_shared = true;
  routes.push_back(list<ServiceView>(
      "list_services", "/v1/obs/services", "/v1/obs/services",
      "Instances of services as they last said they are. A token that is bound to projects sees none", "Service",
      list_of({text("service", "Only this service"),
               {"drift",
                ParameterType::kFlag,
                "Only instances whose version or configuration differs from most others of their service and "
                "environment",
                {},
                0,
                0,
                "false"}}),
      ask_services));
  ApiRoute document;
  document.name = "get_openapi";
  document.path = document.label = "/v1/openapi.json";
  document.says = "This document";
  document.is_list = false;
  document.is_open = true;
  routes.push_back(std::move(document));
  return routes;
}

}  // namespace

std::span<const ApiRoute> api_routes() {
  static const std::vector<ApiRoute> kRoutes = make_routes();
  return kRoutes;
}

}  // namespace runtail
