// Lists of lines, check results, datasets, dead letters, alerts and spans against what plain SQL says of the tables.
#include "history/log_queries.h"
#include "history/quality_queries.h"
#include "history/service_queries.h"
#include "history/trace_queries.h"
#include "tests/unit/history/history_fixture.h"

namespace runtail::test {
namespace {

using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

LineCursor line_cursor(const LogEventRow& line) { return {line.ts, line.event_id}; }
ResultCursor result_cursor(const DqCheckResultRow& result) { return {result.created_at, result.id}; }

TEST_F(HistoryTest, LinesOfARunTaskFlowOrTraceComeInOrderOfTime) {
  const Uuid run_id = uuid("SELECT run_id FROM log_events ORDER BY ts LIMIT 1");
  const std::string of_run = " WHERE run_id = '" + to_string(run_id) + "' ";
  const Uuid task_id = uuid("SELECT task_run_id FROM log_events" + of_run + "ORDER BY ts LIMIT 1");
  const std::string flow = value("SELECT correlation_id FROM log_events" + of_run + "LIMIT 1");
  const std::string trace = value("SELECT trace_id FROM log_events" + of_run + "LIMIT 1");
  for (const auto& [of, where] : std::vector<std::pair<LinesOf, std::string>>{
           {RunLines{run_id}, of_run},
           {TaskLines{task_id}, " WHERE task_run_id = '" + to_string(task_id) + "' "},
           {CorrelationLines{flow}, " WHERE correlation_id = '" + flow + "' "},
           {TraceLines{trace}, " WHERE trace_id = '" + trace + "' "}}) {
    const auto lines = by_page<LineCursor>(
        6, [&of = of](int limit, auto after) { return log_lines(of, all_lines(), limit, after); }, line_cursor);
    const auto expected = column("SELECT event_id FROM log_events" + where + "ORDER BY ts, event_id");
    EXPECT_THAT(expected, Not(IsEmpty())) << where;
    EXPECT_EQ(ids(lines, &LogEventRow::event_id), expected) << where;
  }
}

TEST_F(HistoryTest, LinesOfOneMomentAreParted) {
  // Two runs of a flow begin at the same time or nearly so: of some moments there are several lines.
  EXPECT_GT(
      std::stoi(value("SELECT max(c) FROM (SELECT count(*) AS c FROM log_events GROUP BY correlation_id, ts) AS s")),
      1);
  const std::string flow =
      value("SELECT correlation_id FROM log_events GROUP BY correlation_id, ts ORDER BY count(*) DESC, 1 LIMIT 1");
  const auto lines = by_page<LineCursor>(
      1, [&](int limit, auto after) { return log_lines(CorrelationLines{flow}, all_lines(), limit, after); },
      line_cursor);
  EXPECT_EQ(ids(lines, &LogEventRow::event_id),
            column("SELECT event_id FROM log_events WHERE correlation_id = '" + flow + "' ORDER BY ts, event_id"));
}

TEST_F(HistoryTest, ErrorLinesAreOfAllRunsTheLatestFirst) {
  const TimeRange week{now() - std::chrono::days(9), now() - std::chrono::days(2)};
  const auto lines = by_page<LineCursor>(
      9, [&](int limit, auto after) { return error_lines(week, limit, after); }, line_cursor);
  EXPECT_EQ(ids(lines, &LogEventRow::event_id),
            column("SELECT event_id FROM log_events WHERE level IN ('ERROR', 'FATAL') AND ts >= '" +
                   to_rfc3339(week.from) + "' AND ts < '" + to_rfc3339(week.to) + "' ORDER BY ts DESC, event_id"));
  EXPECT_THAT(lines, Not(IsEmpty()));
}

TEST_F(HistoryTest, CheckResultsAreOfARunACheckAJobOrFindings) {
  const Uuid run_id = uuid("SELECT run_id FROM dq_check_results ORDER BY id LIMIT 1");
  const Uuid check_id = uuid("SELECT check_id FROM dq_check_results GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1");
  const auto same = [&](const auto& ask, const std::string& where) {
    const auto rows = by_page<ResultCursor>(5, ask, result_cursor);
    const auto expected = column("SELECT id FROM dq_check_results WHERE " + where + " ORDER BY created_at DESC, id");
    EXPECT_THAT(expected, Not(IsEmpty())) << where;
    EXPECT_EQ(ids(rows, &DqCheckResultRow::id), expected) << where;
  };
  // Both results of a run are of one moment.
  ResultFilter of_run{all(), {}}, of_check{all(), {}}, of_job{all(), "job_000"}, findings_of_job{all(), "job_000"};
  of_run.run_id = run_id;
  of_check.check_id = check_id;
  findings_of_job.status = "finding";
  same([&](int limit, auto after) { return check_results(of_run, limit, after); },
       "run_id = '" + to_string(run_id) + "'");
  EXPECT_THAT(read(check_results(of_run, 1, result_cursor(read(check_results(of_run, 1)).front()))), SizeIs(1));
  same([&](int limit, auto after) { return check_results(of_check, limit, after); },
       "check_id = '" + to_string(check_id) + "'");
  same([&](int limit, auto after) { return check_results(of_job, limit, after); }, "job_id = 'job_000'");
  same([&](int limit, auto after) { return check_results(findings_of_job, limit, after); },
       "job_id = 'job_000' AND status IN ('warn', 'fail')");
  const TimeRange month{now() - std::chrono::days(40), now() - std::chrono::days(10)};
  ResultFilter findings_of_month{month, {}};
  findings_of_month.status = "finding";
  same([&](int limit, auto after) { return check_results(findings_of_month, limit, after); },
       "status IN ('warn', 'fail') AND created_at >= '" + to_rfc3339(month.from) + "' AND created_at < '" +
           to_rfc3339(month.to) + "'");
}

TEST_F(HistoryTest, TheStalestDatasetComesFirst) {
  const auto all_of_them = read(dataset_freshness({{}}, 1000));
  EXPECT_EQ(std::to_string(all_of_them.size()), value("SELECT count(*) FROM dataset_status"));
  for (std::size_t at = 1; at < all_of_them.size(); ++at) {
    EXPECT_LE(all_of_them[at - 1].last_successful_update, all_of_them[at].last_successful_update);
    EXPECT_TRUE(all_of_them[at].freshness_minutes);
  }
  EXPECT_EQ(std::to_string(read(dataset_freshness({"staging"}, 1000)).size()),
            value("SELECT count(*) FROM dataset_status WHERE environment = 'staging'"));
}

TEST_F(HistoryTest, DeadLettersAreListedAndCountedByReason) {
  const auto letters = by_page<DeadLetterCursor>(
      3, [&](int limit, auto after) { return dead_letters("bad_time", all(), limit, after); },
      [](const DeadLetterView& letter) {
        return DeadLetterCursor{letter.at, letter.id};
      });
  EXPECT_EQ(ids(letters, &DeadLetterView::id),
            column("SELECT id FROM dead_letters WHERE reason = 'bad_time' ORDER BY at DESC, id"));
  std::vector<std::string> counted;
  for (const DeadLetterCount& count : read(dead_letter_counts(all()))) {
    counted.push_back(count.reason + " " + std::to_string(count.count) + " " + to_rfc3339(count.last_at));
  }
  EXPECT_THAT(counted, SizeIs(5));
  EXPECT_EQ(counted,
            column("SELECT reason || ' ' || count(*) || to_char(max(at), ' YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM "
                   "dead_letters GROUP BY reason ORDER BY count(*) DESC, reason"));
}

TEST_F(HistoryTest, AlertsAreOfAStatusOrOfARun) {
  const auto firing = read(alert_events({all(), "firing"}, 1000));
  EXPECT_EQ(ids(firing, &AlertEventRow::id),
            column("SELECT id FROM alert_events WHERE status = 'firing' ORDER BY fired_at DESC, id"));
  const auto everything = read(alert_events({all(), {}}, 1000));
  EXPECT_EQ(ids(everything, &AlertEventRow::id), column("SELECT id FROM alert_events ORDER BY fired_at DESC, id"));
  ASSERT_THAT(everything, Not(IsEmpty()));
  AlertFilter of_run{all(), {}};
  of_run.run_id = everything.front().run_id;
  EXPECT_EQ(ids(read(alert_events(of_run, 1000)), &AlertEventRow::id),
            std::vector<std::string>{to_string(everything.front().id)});
}

TEST_F(HistoryTest, EveryInstanceShowsItsHeartbeat) {
  const auto beats = read(services({}, 1000));
  EXPECT_THAT(beats, SizeIs(40));
  EXPECT_EQ(beats.front().instance, "worker-0");
}

TEST_F(HistoryTest, SpansMessagesAndDocumentEventsComeInOrder) {
  const Uuid run_id = uuid("SELECT run_id FROM spans ORDER BY ts LIMIT 1");
  const std::string trace = value("SELECT trace_id FROM spans WHERE run_id = '" + to_string(run_id) + "' LIMIT 1");
  const auto spans = column("SELECT id FROM spans WHERE trace_id = '" + trace + "' ORDER BY ts, id");
  EXPECT_THAT(spans, SizeIs(5));
  EXPECT_EQ(ids(read(spans_of_trace(trace, all_lines(), 100)), &SpanRow::id), spans);
  EXPECT_EQ(ids(read(spans_of_run(run_id, all_lines(), 100)), &SpanRow::id), spans);
  const std::string session = value("SELECT session_id FROM chat_messages ORDER BY ts DESC LIMIT 1");
  EXPECT_EQ(ids(read(messages_of_session(session, all_lines(), 100)), &ChatMessageRow::id),
            column("SELECT id FROM chat_messages WHERE session_id = '" + session + "' ORDER BY ts, id"));
  const std::string document = value("SELECT document_id FROM document_events ORDER BY ts DESC LIMIT 1");
  EXPECT_EQ(ids(read(events_of_document(document, all_lines(), 100)), &DocumentEventRow::id),
            column("SELECT id FROM document_events WHERE document_id = '" + document + "' ORDER BY ts DESC, id"));
}

}  // namespace
}  // namespace runtail::test
