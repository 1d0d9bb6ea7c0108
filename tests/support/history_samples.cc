#include "tests/support/history_samples.h"

#include <stdexcept>

#include "history/log_queries.h"
#include "history/quality_queries.h"
#include "history/run_queries.h"
#include "history/service_queries.h"
#include "history/trace_queries.h"
#include "schema/migrations.h"

namespace runtail::test {
namespace {

constexpr int kPage = 50, kLinePage = 200;

PgResult must(PgConnection& connection, const std::string& sql, const PgParams& params = {}) {
  auto result = connection.query(sql, params);
  if (!result) throw std::runtime_error(sql.substr(0, 200) + ": " + result.error().message);
  return std::move(*result);
}

// The columns of the first row.
struct Found {
  PgResult result;
  Uuid uuid(int column) const { return parse_uuid(result.text(0, column)).value(); }
  std::string text(int column) const { return std::string(result.text(0, column)); }
  TimePoint time(int column) const { return from_micros(result.integer(0, column)); }
};
Found find(PgConnection& connection, const std::string& sql) {
  PgResult result = must(connection, sql);
  if (result.rows() == 0) throw std::runtime_error("nothing to ask for: " + sql);
  return {std::move(result)};
}

}  // namespace

std::vector<HistorySample> history_samples(PgConnection& connection, TimePoint now) {
  std::vector<HistorySample> samples;
  const auto add = [&](const char* what, auto query) {
    samples.push_back({std::string(query.name), what, sql_for_schema(query.sql, "observability"), query.params,
                       [query](History& history) -> Result<std::size_t> {
                         const auto rows = history.read(query);
                         if (!rows) return rows.error();
                         return rows->size();
                       }});
  };
  must(connection, "SET search_path = observability");
  // A run three days old, with lines, of a job that runs often.
  const Found run = find(connection,
                         "SELECT r.run_id, r.job_id, r.correlation_id, r.trace_id, (extract(epoch FROM scheduled_at) * "
                         "1000000)::bigint, (extract(epoch FROM finished_at) * 1000000)::bigint "
                         "FROM job_runs r WHERE scheduled_at BETWEEN now() - interval '4 days' AND now() - interval '2 "
                         "days' AND status = 'success' AND job_id < 'job_050' ORDER BY scheduled_at, run_id LIMIT 1");
  const Uuid run_id = run.uuid(0);
  const std::string job = run.text(1);
  const TimePoint scheduled_at = run.time(4), finished_at = run.time(5);
  const Uuid task_run_id =
      find(connection, "SELECT task_run_id FROM task_runs WHERE run_id = '" + to_string(run_id) + "' ORDER BY 1")
          .uuid(0);
  const Uuid check_id =
      find(connection, "SELECT check_id FROM dq_check_definitions WHERE job_id = '" + job + "' ORDER BY 1").uuid(0);
  const std::string session = find(connection,
                                   "SELECT session_id FROM chat_messages WHERE ts > now() - interval '5 days' "
                                   "ORDER BY ts LIMIT 1")
                                  .text(0);
  const std::string document = find(connection,
                                    "SELECT document_id FROM document_events WHERE ts > now() - interval '5 "
                                    "days' ORDER BY ts LIMIT 1")
                                   .text(0);
  const Uuid failed_run = find(connection, "SELECT run_id FROM alert_events ORDER BY fired_at DESC LIMIT 1").uuid(0);
  must(connection, "RESET search_path");

  using std::chrono::days;
  const TimePoint end = now + std::chrono::hours(1);
  const TimeRange quarter{now - days(90), end}, lines{now - days(29), end}, day{now - days(1), end};
  const TimeRange of_run{scheduled_at, finished_at + std::chrono::minutes(1)};
  const TimeRange eight_weeks{now - days(56), end};
  const Projects one = std::vector<std::string>{"sponsor_a"}, two = std::vector<std::string>{"sponsor_a", "sponsor_b"};
  const RunCursor run_cursor{now - days(45), run_id};
  const ResultCursor result_cursor{now - days(45), run_id};

  add("90 days", runs({quarter, {}, {}, {}}, kPage));
  add("a page from the middle", runs({quarter, {}, {}, {}}, kPage, run_cursor));
  add("of a job", runs({quarter, job, {}, {}}, kPage));
  add("of a job, a page from the middle", runs({quarter, job, {}, {}}, kPage, run_cursor));
  add("of a job, failed", runs({quarter, job, "failed", {}}, kPage));
  add("failed", runs({quarter, {}, "failed", {}}, kPage));
  add("cancelled", runs({quarter, {}, "cancelled", {}}, kPage));
  add("running", runs({quarter, {}, "running", {}}, kPage));
  add("of prod", runs({quarter, {}, {}, "prod"}, kPage));
  add("of dev (0.1 %)", runs({quarter, {}, {}, "dev"}, kPage));
  add("of dev, failed", runs({quarter, {}, "failed", "dev"}, kPage));
  add("of an unknown environment", runs({quarter, {}, {}, "nowhere"}, kPage));
  add("all categories", failed_runs({quarter, {}, {}, {}}, kPage));
  add("one category", failed_runs({quarter, "DB", {}, {}}, kPage));
  add("one category, a page from the middle", failed_runs({quarter, "DB", {}, {}}, kPage, run_cursor));
  add("", stalled_runs(kPage));
  add("", runs_of_correlation(run.text(2), kPage));
  add("50 jobs", jobs({}, now, kPage));
  add("by name and last status", jobs({"JOB_", "success", {}}, now, kPage));
  add("of two projects", jobs({{}, {}, two}, now, kPage));
  add("", job_count({{}, {}, two}, now));
  add("of a job, 8 weeks", weekly_summaries({eight_weeks, job, {}}, kPage));
  add("of a job and a project, 8 weeks", weekly_summaries({eight_weeks, job, {}, one}, kPage));
  add("all", count_of(runs({day, {}, {}, {}}, kPage)));
  add("of a project", runs({quarter, {}, {}, {}, {}, one}, kPage));
  add("of a project, a page from the middle", runs({quarter, {}, {}, {}, {}, one}, kPage, run_cursor));
  add("of a category", runs({quarter, {}, {}, {}, "API", {}}, kPage));
  add("of a project", failed_runs({quarter, "DB", {}, {}, one}, kPage));
  add("of a project", run_with_id(run_id, one));
  add("", run_place(run_id, one));
  add("all 200 jobs", jobs({}, now, 500));
  add("", run_with_id(run_id));
  add("", attempts_of_run(run_id));
  add("", tasks_of_run(run_id));
  add("", state_changes_of_run(run_id));
  const auto today = std::chrono::floor<days>(now);
  add("of a job, 90 days", daily_summaries(job, today - days(90), today + days(1), 500));
  add("of all jobs, 7 days", daily_summaries({}, today - days(7), today + days(1), 500));

  add("of a run", log_lines(RunLines{run_id}, of_run, kLinePage));
  add("of a run, time not known", log_lines(RunLines{run_id}, lines, kLinePage));
  add("of a run, second page", log_lines(RunLines{run_id}, of_run, kLinePage, LineCursor{finished_at, run_id}));
  add("of a run and a project", log_lines(RunLines{run_id}, of_run, kLinePage, {}, 0, one));
  add("of a task", log_lines(TaskLines{task_run_id}, of_run, kLinePage));
  add("of a task, time not known", log_lines(TaskLines{task_run_id}, lines, kLinePage));
  add("of a correlation id", log_lines(CorrelationLines{run.text(2)}, lines, kLinePage));
  add("of a trace", log_lines(TraceLines{run.text(3)}, lines, kLinePage));
  add("of the last day", error_lines(day, kLinePage));
  add("of 29 days", error_lines(lines, kLinePage));
  add("a page from the middle", error_lines(lines, kLinePage, LineCursor{now - days(14), run_id}));

  add("", check_results({quarter, {}, run_id}, kPage));
  add("90 days", check_results({quarter, {}, {}, check_id}, kPage));
  add("a page from the middle", check_results({quarter, {}, {}, check_id}, kPage, result_cursor));
  add("90 days", check_results({quarter, job}, kPage));
  add("a page from the middle", check_results({quarter, job}, kPage, result_cursor));
  add("of a job", check_results({quarter, job, {}, {}, {}, {}, "finding"}, kPage));
  add("of all jobs", check_results({quarter, {}, {}, {}, {}, {}, "finding"}, kPage));
  add("of all jobs, a page from the middle",
      check_results({quarter, {}, {}, {}, {}, {}, "fail", one}, kPage, result_cursor));
  add("all", dataset_freshness({{}}, 500));
  add("of prod", dataset_freshness({"prod", {}, one}, 500));

  add("", dead_letters("bad_value", quarter, kPage));
  add("a page from the middle", dead_letters("bad_value", quarter, kPage, DeadLetterCursor{now - days(45), run_id}));
  add("", dead_letter_counts(quarter));
  add("", services({}, kPage));
  add("drifting", services({true, "runtail"}, kPage));
  add("all", alert_events({quarter, {}}, kPage));
  add("firing", alert_events({quarter, "firing"}, kPage));
  add("", alert_events({quarter, {}, {}, {}, failed_run, one}, kPage));

  add("", spans_of_trace(run.text(3), lines, kLinePage));
  add("", spans_of_run(run_id, lines, kLinePage));
  add("", messages_of_session(session, lines, kLinePage));
  add("", events_of_document(document, lines, kLinePage));
  return samples;
}

QueryPlan explain(PgConnection& connection, const std::string& sql, const PgParams& params) {
  const PgResult json = must(connection, "EXPLAIN (ANALYZE, FORMAT JSON) " + sql, params);
  const PgResult nodes = must(connection, R"sql(
      SELECT node->>'Node Type', coalesce(c.relname, ''),
        coalesce((SELECT p.relname FROM pg_class p WHERE p.oid = pg_partition_root(c.oid)), c.relname, ''),
        coalesce(node->>'Index Name', ''), greatest(c.reltuples, 0)::bigint, (node->>'Actual Loops')::float8::bigint,
        ((node->>'Actual Rows')::float8 * (node->>'Actual Loops')::float8)::bigint,
        ((coalesce((node->>'Rows Removed by Filter')::float8, 0)
          + coalesce((node->>'Rows Removed by Index Recheck')::float8, 0)) * (node->>'Actual Loops')::float8)::bigint
      FROM jsonb_path_query($1::jsonb, 'strict $.** ? (exists (@."Node Type"))') AS node
      LEFT JOIN pg_class c ON c.relname = node->>'Relation Name' AND c.relnamespace = 'observability'::regnamespace)sql",
                              {std::string(json.text(0, 0))});
  QueryPlan plan;
  for (int row = 0; row < nodes.rows(); ++row) {
    plan.nodes.push_back({std::string(nodes.text(row, 0)), std::string(nodes.text(row, 1)),
                          std::string(nodes.text(row, 2)), std::string(nodes.text(row, 3)),
                          static_cast<double>(nodes.integer(row, 4)), nodes.integer(row, 5), nodes.integer(row, 6),
                          nodes.integer(row, 7)});
  }
  const PgResult text = must(connection, "EXPLAIN (COSTS ON) " + sql, params);
  for (int row = 0; row < text.rows(); ++row) plan.text += std::string(text.text(row, 0)) + "\n";
  return plan;
}

}  // namespace runtail::test
