// Lists of runs against what plain SQL says of the same tables.
#include "tests/unit/history/history_fixture.h"

namespace runtail::test {
namespace {

using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

RunCursor by_schedule(const RunSummary& run) { return {run.scheduled_at, run.run_id}; }
RunCursor by_end(const RunSummary& run) { return {run.end_at.value(), run.run_id}; }

TEST_F(HistoryTest, PagesOfRunsShowEachRunOnceTheLatestFirst) {
  // Every two runs have one scheduled_at, and pages of odd and even sizes part them.
  for (const int limit : {49, 100}) {
    for (const auto& [filter, where] : std::vector<std::pair<RunFilter, std::string>>{
             {{all(), {}, {}, {}}, "true"},
             {{all(), "job_003", {}, {}}, "job_id = 'job_003'"},
             {{all(), {}, "cancelled", {}}, "status = 'cancelled'"},
             {{all(), {}, {}, "staging"}, "environment = 'staging'"},
             {{all(), "job_000", "success", "prod"},
              "job_id = 'job_000' AND status = 'success' AND environment = 'prod'"},
         }) {
      const auto rows = by_page<RunCursor>(
          limit, [&filter = filter](int most, auto after) { return runs(filter, most, after); }, by_schedule);
      const auto expected =
          column("SELECT run_id FROM job_runs WHERE " + where + " ORDER BY scheduled_at DESC, run_id");
      EXPECT_THAT(expected, Not(IsEmpty())) << where;
      EXPECT_EQ(ids(rows, &RunSummary::run_id), expected) << where << ", pages of " << limit;
    }
  }
}

TEST_F(HistoryTest, RunsAreThoseScheduledInTheRange) {
  const TimeRange week{now() - std::chrono::days(20), now() - std::chrono::days(13)};
  const auto rows = read(runs({week, {}, {}, {}}, 1000));
  EXPECT_EQ(std::to_string(rows.size()),
            value("SELECT count(*) FROM job_runs WHERE scheduled_at >= '" + to_rfc3339(week.from) +
                  "' AND scheduled_at < '" + to_rfc3339(week.to) + "'"));
  // The bounds themselves: the first is in, the second is not.
  const TimePoint edge = rows[10].scheduled_at;
  for (const RunSummary& run : read(runs({{week.from, edge}, {}, {}, {}}, 1000))) EXPECT_LT(run.scheduled_at, edge);
  EXPECT_EQ(read(runs({{edge, week.to}, {}, {}, {}}, 1000)).back().scheduled_at, edge);
}

TEST_F(HistoryTest, ARunInAListIsWhatTheViewShows) {
  for (const RunSummary& run : read(runs({all(), {}, {}, {}}, 100))) {
    const std::string text =
        to_string(run.run_id) + " " + run.job_id + " " + run.external_run_id.value_or("-") + " " + run.status + " " +
        (run.stalled ? "t" : "f") + " " + (run.duration_ms ? std::to_string(*run.duration_ms) : "-") + " " +
        run.error_category.value_or("-") + " " + (run.end_at ? to_rfc3339(*run.end_at) : "-") + " " +
        (run.records_loaded ? std::to_string(*run.records_loaded) : "-") + " " + run.dq_status.value_or("-");
    EXPECT_EQ(text, value("SELECT concat_ws(' ', run_id, job_id, coalesce(external_run_id, '-'), status, stalled, "
                          "coalesce(duration_ms::text, '-'), coalesce(error_category, '-'), "
                          "coalesce(to_char(end_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '-'), "
                          "coalesce(records_loaded::text, '-'), coalesce(dq_status, '-')) FROM runs WHERE run_id = '" +
                          to_string(run.run_id) + "'"));
  }
}

TEST_F(HistoryTest, WeeksAddUpTheRunsThatCountOfThoseOneMaySee) {
  for (const Projects& projects : {Projects(), Projects(std::vector<std::string>{"sponsor_a", "sponsor_c"})}) {
    std::vector<std::string> weeks;
    for (int skip = 0;; skip += 1000) {
      const auto page = read(weekly_summaries({all(), {}, {}, projects}, 1000, skip));
      for (const WeeklySummary& week : page) {
        weeks.push_back(pg_text::write(week.week) + " " + week.job_id + " " + week.environment.value_or("-") + " " +
                        std::to_string(week.runs) + " " + std::to_string(week.succeeded) + " " +
                        std::to_string(week.failed) + " " + std::to_string(week.avg_duration_ms.value_or(-1)) + " " +
                        std::to_string(week.records_loaded.value_or(-1)));
      }
      if (page.size() < 1000) break;
    }
    EXPECT_EQ(weeks,
              column("WITH each AS (SELECT *, NOT coalesce(parent_run_id IN (SELECT p.run_id FROM job_runs p "
                     "WHERE p.job_id = runs.job_id AND p.run_id <> runs.run_id), false) AS counts FROM runs WHERE " +
                     std::string(projects ? "project_id IN ('sponsor_a', 'sponsor_c')" : "true") +
                     ") SELECT concat_ws(' ', date_trunc('week', scheduled_at)::date, job_id, coalesce(environment, "
                     "'-'), count(*) FILTER (WHERE counts), count(*) FILTER (WHERE counts AND status = 'success'), "
                     "count(*) FILTER (WHERE counts AND status = 'failed'), coalesce(round(avg(duration_ms) FILTER "
                     "(WHERE counts))::bigint, -1), coalesce(sum(records_loaded), -1)) FROM each GROUP BY "
                     "date_trunc('week', scheduled_at)::date, job_id, environment ORDER BY "
                     "date_trunc('week', scheduled_at)::date DESC, job_id, environment"));
    EXPECT_THAT(weeks, Not(IsEmpty()));
  }
}

TEST_F(HistoryTest, AJobIsFoundByPartOfItsNameAndByItsLastRun) {
  const auto of = [&](const JobFilter& filter) {
    std::vector<std::string> out;
    for (const JobSummary& job : read(jobs(filter, now(), 1000))) out.push_back(job.job_id);
    EXPECT_EQ(read(job_count(filter, now())).front().count, static_cast<std::int64_t>(out.size()));
    return out;
  };
  EXPECT_EQ(of({"JOB_01", {}, {}}), column("SELECT job_id FROM etl_jobs WHERE job_id LIKE 'job_01%' ORDER BY 1"));
  EXPECT_EQ(of({{}, {}, std::vector<std::string>{"sponsor_b"}}),
            column("SELECT DISTINCT job_id FROM job_runs WHERE project_id = 'sponsor_b' AND scheduled_at <= '" +
                   to_rfc3339(now()) + "' ORDER BY 1"));
  EXPECT_THAT(of({{}, {}, std::vector<std::string>{}}), IsEmpty());
  EXPECT_THAT(of({{}, {}, std::vector<std::string>{"\"},{\"", "a\\"}}), IsEmpty());
  std::size_t all_statuses = 0;
  for (const char* status : {"queued", "running", "success", "failed", "cancelled", "skipped"}) {
    all_statuses += of({{}, status, {}}).size();
  }
  EXPECT_EQ(all_statuses, of({}).size());
}

TEST_F(HistoryTest, FailedRunsAreListedByTheirEndAllOrOfACategory) {
  for (const std::optional<std::string>& category :
       {std::optional<std::string>(), std::optional<std::string>("Data")}) {
    const auto rows = by_page<RunCursor>(
        11,
        [&](int limit, auto after) {
          return failed_runs({all(), category, {}, {}}, limit, after);
        },
        by_end);
    const auto expected =
        column("SELECT run_id FROM runs WHERE status = 'failed' " +
               std::string(category ? "AND error_category = 'Data' " : "") + "ORDER BY end_at DESC, run_id");
    EXPECT_THAT(expected, Not(IsEmpty()));
    EXPECT_EQ(ids(rows, &RunSummary::run_id), expected);
    for (const RunSummary& run : rows) {
      EXPECT_EQ(run.status, "failed");
      EXPECT_TRUE(run.duration_ms && run.error_category && run.error_message);
    }
  }
}

TEST(SkewedHistoryTest, ARunThatEndedBeforeItStartedHasNoDuration) {
  const std::string made = PostgresCluster::shared().create_migrated_database("skewed_history");
  const TimePoint now = SystemClock().now();
  fill_history(made, {.days = 5, .runs_per_day = 20, .tasks_per_run = 1, .log_events = 10}, now);
  PgConnection connection = connect(made);
  ASSERT_TRUE(
      connection.exec("UPDATE observability.job_runs SET duration_ms = NULL, "
                      "started_at = finished_at + interval '7 seconds'"));
  History history(connection, "observability");
  const auto failed = history.read(failed_runs({{now - std::chrono::days(6), now}, {}, {}, {}}, 100, {}));
  ASSERT_TRUE(failed);
  EXPECT_THAT(*failed, Not(IsEmpty()));
  for (const RunSummary& run : *failed) EXPECT_EQ(run.duration_ms, std::nullopt);
  const auto known = history.read(jobs({}, now, 100));
  ASSERT_TRUE(known);
  for (const JobSummary& job : *known) EXPECT_EQ(job.avg_duration_ms_7d, std::nullopt);
}

TEST_F(HistoryTest, StalledRunsAreTheOpenOnesThatAreSilentTheLongestFirst) {
  const auto rows = read(stalled_runs(100));
  EXPECT_EQ(ids(rows, &RunSummary::run_id),
            column("SELECT run_id FROM runs WHERE stalled ORDER BY last_event_at, run_id"));
  EXPECT_THAT(rows, SizeIs(15));
}

TEST_F(HistoryTest, RunsOfOneFlowAreFoundByItsCorrelationId) {
  EXPECT_EQ(ids(read(runs_of_correlation("flow-70", 10)), &RunSummary::run_id),
            column("SELECT run_id FROM job_runs WHERE correlation_id = 'flow-70' ORDER BY scheduled_at DESC, run_id"));
  EXPECT_THAT(read(runs_of_correlation("flow-70", 10)), SizeIs(4));
}

TEST_F(HistoryTest, ARunComesWithAllThatHangsOnIt) {
  const Uuid run_id =
      uuid("SELECT run_id FROM job_runs WHERE attempt_count = 2 AND status = 'failed' ORDER BY scheduled_at");
  const std::string where = " WHERE run_id = '" + to_string(run_id) + "' ";
  const auto found = history_.run(run_id);
  ASSERT_TRUE(found && *found);
  const RunDetails& details = **found;
  EXPECT_EQ(details.run.run_id, run_id);
  EXPECT_EQ(details.run.status, "failed");
  EXPECT_EQ(details.run.verdict_source, "log");
  EXPECT_EQ(details.run.max_attempts, 3);
  EXPECT_EQ(details.run.trace_id, value("SELECT trace_id FROM job_runs" + where));
  EXPECT_EQ(ids(details.attempts, &RunAttemptRow::id),
            column("SELECT id FROM run_attempts" + where + "ORDER BY attempt_no"));
  EXPECT_THAT(details.attempts, SizeIs(2));
  EXPECT_EQ(ids(details.tasks, &TaskRunRow::task_run_id),
            column("SELECT task_run_id FROM task_runs" + where + "ORDER BY first_event_at, task_run_id"));
  EXPECT_THAT(details.tasks, SizeIs(4));
  EXPECT_EQ(ids(details.changes, &RunStateChangeRow::id),
            column("SELECT id FROM run_state_changes" + where + "ORDER BY at, id"));
  EXPECT_THAT(details.changes, SizeIs(2));
}

TEST_F(HistoryTest, ARunThatIsNotThereIsNoError) {
  const auto found = history_.run(Uuid{});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_FALSE(*found);
}

TEST_F(HistoryTest, JobsShowTheirLatestRunAndTheirWeek) {
  std::vector<JobSummary> found;
  for (std::string after;;) {
    const auto page = read(jobs({}, now(), 30, after));
    if (page.empty()) break;
    found.insert(found.end(), page.begin(), page.end());
    after = page.back().job_id;
  }
  const std::string at = "'" + to_rfc3339(now()) + "'::timestamptz";
  const auto expected = column(R"sql(
      SELECT concat_ws(' ', j.job_id, extract(epoch FROM max(r.scheduled_at)),
        coalesce(round(avg((r.status = 'success')::int) FILTER (WHERE week AND own AND r.status IN ('success', 'failed', 'cancelled')), 4)::text, '-'),
        coalesce(round(avg(coalesce(duration_ms, extract(epoch FROM finished_at - started_at) * 1000)) FILTER (WHERE week AND own))::text, '-'),
        coalesce((sum(records_loaded) FILTER (WHERE r.scheduled_at > now - interval '1 day'))::text, '-'))
      FROM etl_jobs j CROSS JOIN (SELECT )sql" +
                               at + R"sql( AS now) AS n
      LEFT JOIN LATERAL (SELECT *, scheduled_at > now - interval '7 days' AS week, parent_run_id IS NULL OR parent_run_id NOT IN
          (SELECT run_id FROM job_runs AS outer_run WHERE outer_run.job_id = j.job_id) AS own FROM job_runs
        WHERE job_runs.job_id = j.job_id AND scheduled_at <= now AND scheduled_at > now - interval '90 days') AS r ON true
      GROUP BY j.job_id ORDER BY j.job_id)sql");
  std::vector<std::string> real;
  int with_failures = 0;
  for (const JobSummary& job : found) {
    char rate[16] = "-";
    if (job.success_rate_7d) std::snprintf(rate, sizeof rate, "%.4f", *job.success_rate_7d);
    with_failures += job.success_rate_7d.value_or(1) < 1;
    char last[32];
    std::snprintf(last, sizeof last, "%.6f", static_cast<double>(to_micros(job.last_run_at.value())) / 1e6);
    const auto number = [](const auto& value) { return value ? std::to_string(*value) : "-"; };
    real.push_back(job.job_id + " " + last + " " + rate + " " + number(job.avg_duration_ms_7d) + " " +
                   number(job.records_loaded_24h));
    // Of two runs at one time either is the latest.
    EXPECT_EQ(job.last_run_status, value("SELECT status FROM job_runs WHERE job_id = '" + job.job_id +
                                         "' AND run_id = '" + to_string(job.last_run_id.value()) + "'"));
  }
  EXPECT_EQ(real, expected);
  EXPECT_GT(with_failures, 0);
  // Some are inside of another run of their job.
  EXPECT_NE(value("SELECT count(*) FROM job_runs WHERE parent_run_id IS NOT NULL"), "0");
}

TEST_F(HistoryTest, AWeekCountsARunInsideOfOneOfItsJobOnceAndAllThatWasLoaded) {
  const TimePoint from = now() - std::chrono::days(56);
  const auto weeks = read(weekly_summaries({{from, now()}, {}, {}, {}}, kHistoryRowsMax));
  std::vector<std::string> real;
  for (const WeeklySummary& week : weeks) {
    const auto number = [](const auto& value) { return value ? std::to_string(*value) : "-"; };
    real.push_back(week.job_id + " " + week.environment.value_or("-") + " " + pg_text::write(week.week) + " " +
                   std::to_string(week.runs) + " " + std::to_string(week.succeeded) + " " +
                   std::to_string(week.failed) + " " + number(week.avg_duration_ms) + " " +
                   number(week.records_loaded));
  }
  const std::string range = "scheduled_at >= '" + to_rfc3339(from) + "' AND scheduled_at < '" + to_rfc3339(now()) + "'";
  const auto expected =
      column(R"sql(
      SELECT concat_ws(' ', job_id, coalesce(environment, '-'), date_trunc('week', scheduled_at AT TIME ZONE 'UTC')::date,
        count(*) FILTER (WHERE own), count(*) FILTER (WHERE own AND status = 'success'),
        count(*) FILTER (WHERE own AND status = 'failed'),
        coalesce(round(avg(coalesce(duration_ms, extract(epoch FROM finished_at - started_at) * 1000)) FILTER (WHERE own))::text, '-'),
        coalesce(sum(records_loaded)::text, '-'))
      FROM (SELECT *, parent_run_id IS NULL OR parent_run_id NOT IN
          (SELECT run_id FROM job_runs AS outer_run WHERE outer_run.job_id = r.job_id) AS own FROM job_runs r) AS each
      WHERE )sql" +
             range + R"sql( GROUP BY job_id, environment, date_trunc('week', scheduled_at AT TIME ZONE 'UTC')::date
      ORDER BY date_trunc('week', scheduled_at AT TIME ZONE 'UTC')::date DESC, job_id, environment LIMIT )sql" +
             std::to_string(kHistoryRowsMax));
  EXPECT_EQ(real, expected);
  EXPECT_GT(real.size(), 50u);
}

TEST_F(HistoryTest, DailySummariesAreOfAJobOrOfAllTheLatestDayFirst) {
  const auto today = std::chrono::floor<std::chrono::days>(now());
  const auto from = today - std::chrono::days(10), to = today - std::chrono::days(2);
  const std::string where =
      "FROM job_daily_summary WHERE day >= '" + pg_text::write(from) + "' AND day < '" + pg_text::write(to) + "' ";
  EXPECT_EQ(ids(read(daily_summaries({}, from, to, 1000)), &JobDailySummaryRow::id),
            column("SELECT id " + where + "ORDER BY day DESC, job_id, environment"));
  EXPECT_EQ(ids(read(daily_summaries("job_002", from, to, 1000)), &JobDailySummaryRow::id),
            column("SELECT id " + where + "AND job_id = 'job_002' ORDER BY day DESC, job_id, environment"));
}

}  // namespace
}  // namespace runtail::test
