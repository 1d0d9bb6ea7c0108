#include "alerts/quality_evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "alerts/json_object.h"
#include "core/identity.h"
#include "tests/unit/alerts/alerts_fixture.h"
#include "tests/unit/alerts/quality_reference.h"

namespace runtail {
namespace {

using std::chrono::days;
using std::chrono::hours;
using testing::ElementsAre;
using testing::IsEmpty;

class QualityEvaluationTest : public test::AlertsTest {
 protected:
  QualityRound evaluate(int news_max = 5000) {
    QualityRound all;
    for (bool more = true; more;) {
      auto round = evaluate_quality(*connection_, kSchema, now_, news_max);
      if (!round) throw std::runtime_error(round.error().message);
      all.runs += round->runs;
      all.written += round->written;
      all.removed += round->removed;
      all.taken |= round->taken;
      more = round->more;
    }
    return all;
  }

  void add_check(const std::string& job, const QualityCheck& check) {
    JsonObject expected;
    if (check.expected) {
      for (const auto& [name, type] : *check.expected) expected.text(name, type);
    }
    const auto real = [](const std::optional<double>& value) { return value ? std::to_string(*value) : "NULL"; };
    run("INSERT INTO dq_check_definitions VALUES ('" + to_string(check.id) + "', '" + job + "', '" + check.table +
        "', " + (check.column.empty() ? "NULL" : "'" + check.column + "'") + ", '" +
        std::string(to_string(check.type)) + "', 'm', " + real(check.threshold) + ", " + real(check.absolute_limit) +
        ", " + (check.expected ? "'" + expected.take() + "'" : "NULL") + ", '" +
        std::string(to_string(check.severity)) + "', true, 'yaml', now())");
  }
  // A statement that stores one observation, as a writer would.
  static std::string observation(const std::string& job, const Uuid& run_id, const QualityObservation& seen) {
    std::string kind = "row_count", rows = "NULL", data;
    if (seen.rows) rows = std::to_string(*seen.rows);
    if (seen.rates) {
      kind = "null_rates";
      JsonObject rates;
      for (const auto& [name, rate] : *seen.rates) rates.real(name, rate);
      data = rates.take();
    }
    if (seen.columns) {
      kind = "columns";
      std::vector<std::string> columns;
      for (const auto& [name, type] : *seen.columns) {
        columns.push_back(JsonObject().text("name", name).text("type", type).take());
      }
      data = json_array(columns);
    }
    return "INSERT INTO dq_observations (id, observed_at, run_id, job_id, attempt_no, table_name, kind, row_count, "
           "data, event_id) VALUES ('" +
           to_string(seen.event_id) + "', '" + to_rfc3339(seen.at) + "', '" + to_string(run_id) + "', '" + job + "', " +
           std::to_string(seen.attempt) + ", '" + seen.table + "', '" + kind + "', " + rows + ", " +
           (seen.rows ? "NULL" : "'" + data + "'") + ", '" + to_string(seen.event_id) + "');";
  }
  QualityRun& store(const std::string& job, QualityRun& run_facts) {
    add_run(job, run_facts.id, run_facts.scheduled_at, to_string(run_facts.status), run_facts.attempt);
    for (const QualityObservation& seen : run_facts.observations) run(observation(job, run_facts.id, seen));
    return run_facts;
  }
  QualityRun with_rows(int number, int hour, std::int64_t count, RunStatus status = RunStatus::kSuccess) {
    QualityRun made{test::numbered(number), now_ - hours(100 - hour), status, 1, {}};
    QualityObservation& seen = made.observations.emplace_back();
    seen.at = made.scheduled_at + std::chrono::minutes(5);
    seen.event_id = test::numbered(1000 + number);
    seen.table = "stg.orders";
    seen.rows = count;
    return made;
  }
  QualityCheck row_check() {
    QualityCheck check;
    check.id = test::numbered(7);
    check.table = "stg.orders";
    return check;
  }
  // What a run has, spelled as the reference spells verdicts.
  std::string stored(const Uuid& run_id, const Uuid& check_id) {
    std::string out;
    for (const std::string& row :
         rows("SELECT attempt_no || ' ' || to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
              "|| ' ' || status || ' ' || coalesce(value::numeric(30,12)::text, '-') || ' ' || "
              "coalesce(baseline::text, '-') || ' ' || coalesce(threshold::text, '-') || ' ' || "
              "coalesce(details->>'baseline_run', '-') || ' ' || coalesce(details->>'reason', '') || "
              "coalesce((SELECT string_agg(' +' || v, '' ORDER BY v COLLATE \"C\") FROM "
              "jsonb_array_elements_text(details->'new') v), '') || "
              "coalesce((SELECT string_agg(' -' || v, '' ORDER BY v COLLATE \"C\") FROM "
              "jsonb_array_elements_text(details->'missing') v), '') || "
              "coalesce((SELECT string_agg(' ' || (v->>'column') || ':' || (v->>'before') || '>' || (v->>'now'), '' "
              "ORDER BY v->>'column' COLLATE \"C\") FROM jsonb_array_elements(details->'retyped') v), '') "
              "FROM dq_check_results WHERE run_id = '" +
              to_string(run_id) + "' AND check_id = '" + to_string(check_id) + "' ORDER BY attempt_no")) {
      out += row + "\n";
    }
    return out;
  }
  std::vector<std::string> results() {
    return rows("SELECT right(run_id::text, 2), status, value, details->>'reason' FROM dq_check_results ORDER BY 1");
  }
};

// Numbers as %.9g, so that both spellings of a value are one.
std::string rounded(const std::string& text) {
  std::string out, word;
  int column = 0;
  for (const char c : text + " ") {
    if (c != ' ' && c != '\n') {
      word += c;
      continue;
    }
    if (column >= 3 && column <= 5 && word != "-" && !word.empty()) word = test::number(std::stod(word));
    out += word + c;
    word.clear();
    column = c == '\n' ? 0 : column + 1;
  }
  out.pop_back();
  return out;
}

TEST_F(QualityEvaluationTest, ResultsAndFindingsFollowWhatWasObserved) {
  add_job("orders");
  add_check("orders", row_check());
  QualityRun first = with_rows(1, 1, 100), second = with_rows(2, 2, 50);
  store("orders", first);
  EXPECT_EQ(evaluate().written, 1);
  store("orders", second);
  EXPECT_EQ(evaluate().written, 1);
  EXPECT_THAT(results(), ElementsAre("01 pass - no_baseline", "02 warn -50 -"));
  EXPECT_THAT(
      rows("SELECT dq_status, dq_findings->0->>'table', dq_findings->0->>'value' FROM job_runs ORDER BY run_id"),
      ElementsAre("pass - -", "warn stg.orders -50"));
  // With the day of each, for the summaries.
  EXPECT_NE(one("SELECT count(*) FROM summary_dirty WHERE job_id = 'orders'"), "0");
}

// Teams that share a database may call their jobs alike.
TEST_F(QualityEvaluationTest, ARunOfAnotherProjectIsNoBaseline) {
  add_job("orders");
  add_check("orders", row_check());
  QualityRun first = with_rows(1, 1, 100), theirs = with_rows(2, 2, 1), second = with_rows(3, 3, 101);
  for (QualityRun* each : {&first, &theirs, &second}) store("orders", *each);
  run("UPDATE job_runs SET project_id = CASE right(run_id::text, 1) WHEN '2' THEN 'theirs' ELSE 'ours' END");
  EXPECT_EQ(evaluate().written, 3);
  EXPECT_THAT(results(), ElementsAre("01 pass - no_baseline", "02 pass - no_baseline", "03 pass 1 -"));
  // The later run of ours is judged again when the one before it changes, past a run of theirs.
  run("UPDATE job_runs SET status = 'failed' WHERE run_id = '" + to_string(first.id) + "'");
  add_state_change(first.id);
  EXPECT_EQ(evaluate().written, 1);
  EXPECT_THAT(results(), ElementsAre("01 pass - no_baseline", "02 pass - no_baseline", "03 pass - no_baseline"));
}

TEST_F(QualityEvaluationTest, TheSameRowsAgainChangeNothing) {
  add_job("orders");
  add_check("orders", row_check());
  QualityRun first = with_rows(1, 1, 100), second = with_rows(2, 2, 50);
  store("orders", first);
  store("orders", second);
  evaluate();
  const auto before = rows("SELECT r.xmin, r.* FROM dq_check_results r ORDER BY id");
  EXPECT_EQ(evaluate().runs, 0);
  run("UPDATE evaluation_progress SET stored_before = 0");
  const QualityRound again = evaluate();
  EXPECT_EQ(again.runs, 2);
  EXPECT_EQ(again.written + again.removed, 0);
  EXPECT_EQ(rows("SELECT r.xmin, r.* FROM dq_check_results r ORDER BY id"), before);
}

TEST_F(QualityEvaluationTest, ARunThatComesBetweenChangesTheVerdictOfTheNext) {
  add_job("orders");
  add_check("orders", row_check());
  QualityRun first = with_rows(1, 1, 100), later = with_rows(3, 3, 50), between = with_rows(2, 2, 51);
  store("orders", first);
  store("orders", later);
  evaluate();
  EXPECT_THAT(results(), ElementsAre("01 pass - no_baseline", "03 warn -50 -"));
  store("orders", between);
  evaluate();
  EXPECT_EQ(results().at(2).substr(0, 7), "03 pass");
  // It turns out to have failed: then the one before counts again.
  run("UPDATE job_runs SET status = 'failed' WHERE run_id = '" + to_string(between.id) + "'");
  add_state_change(between.id);
  evaluate();
  EXPECT_EQ(results().at(2), "03 warn -50 -");
}

TEST_F(QualityEvaluationTest, ARunThatMovesIsJudgedInItsNewPlace) {
  add_job("orders");
  add_check("orders", row_check());
  QualityRun first = with_rows(1, 1, 100), moved = with_rows(2, 2, 51), later = with_rows(3, 3, 50);
  for (QualityRun* each : {&first, &moved, &later}) store("orders", *each);
  evaluate();
  run("UPDATE run_ids SET scheduled_at = '" + to_rfc3339(now_ - hours(200)) + "' WHERE run_id = '" +
      to_string(moved.id) + "'");
  evaluate();
  EXPECT_THAT(results(), ElementsAre(testing::StartsWith("01 warn"), "02 pass - no_baseline", "03 warn -50 -"));
}

TEST_F(QualityEvaluationTest, ALaterObservationOfTheAttemptReplacesTheResult) {
  add_job("orders");
  add_check("orders", row_check());
  QualityRun first = with_rows(1, 1, 100), second = with_rows(2, 2, 50, RunStatus::kRunning);
  store("orders", first);
  store("orders", second);
  evaluate();
  QualityObservation again = second.observations[0];
  again.at += std::chrono::minutes(1);
  again.event_id = test::numbered(2000);
  again.rows = 100;
  run(observation("orders", second.id, again));
  EXPECT_EQ(evaluate().removed, 1);
  EXPECT_THAT(results(), ElementsAre("01 pass - no_baseline", "02 pass 0 -"));
  EXPECT_EQ(one("SELECT dq_status, dq_findings FROM job_runs WHERE run_id = '" + to_string(second.id) + "'"), "pass -");
}

TEST_F(QualityEvaluationTest, WhatIsNotCheckedOrSwitchedOffIsLeftAlone) {
  add_job("orders");
  add_job("other");
  add_check("orders", row_check());
  run("UPDATE dq_check_definitions SET enabled = false");
  QualityRun first = with_rows(1, 1, 100), second = with_rows(2, 2, 5);
  store("orders", first);
  store("other", second);
  EXPECT_EQ(evaluate().runs, 0);
  EXPECT_THAT(results(), IsEmpty());
}

TEST_F(QualityEvaluationTest, EnvironmentsOfAJobAreJudgedApart) {
  add_job("orders");
  add_check("orders", row_check());
  QualityRun first = with_rows(1, 1, 100), second = with_rows(2, 2, 5);
  store("orders", first);
  run("UPDATE job_runs SET environment = 'prod'");
  store("orders", second);
  evaluate();
  EXPECT_THAT(results(), ElementsAre("01 pass - no_baseline", "02 pass - no_baseline"));
}

TEST_F(QualityEvaluationTest, WhatATransactionStoredThatEndsLateIsNotMissed) {
  add_job("orders");
  add_check("orders", row_check());
  PgConnection slow = connect(), other = connect();
  QualityRun first = with_rows(1, 1, 100), second = with_rows(2, 2, 50);
  store("orders", first);
  add_run("orders", second.id, second.scheduled_at, "success", 1);
  evaluate();
  // Begins, and has its number, before the next round; ends after it.
  ask(slow,
      "BEGIN; SET LOCAL search_path = observability; " + observation("orders", second.id, second.observations[0]));
  QualityRun third = with_rows(3, 3, 100);
  store("orders", third);
  EXPECT_EQ(evaluate().written, 1);
  ask(slow, "COMMIT");
  EXPECT_EQ(evaluate().written, 2);
  EXPECT_THAT(results(), ElementsAre("01 pass - no_baseline", "02 warn -50 -", "03 warn 100 -"));
}

TEST_F(QualityEvaluationTest, TwoServersDoNotWaitForEachOther) {
  add_job("orders");
  evaluate();
  PgConnection other = connect();
  ask(other, "BEGIN; SELECT FROM observability.evaluation_progress FOR UPDATE");
  EXPECT_TRUE(evaluate().taken);
  ask(other, "ROLLBACK");
  EXPECT_FALSE(evaluate().taken);
}

TEST_F(QualityEvaluationTest, ADatabaseWhoseTransactionsCountAnewIsLookedAtAgain) {
  add_job("orders");
  add_check("orders", row_check());
  QualityRun first = with_rows(1, 1, 100);
  store("orders", first);
  evaluate();
  run("UPDATE evaluation_progress SET stored_before = 4000000000000");
  EXPECT_EQ(evaluate().runs, 1);
}

TEST_F(QualityEvaluationTest, RandomHistoriesInAnyOrderEqualAnIndependentComputation) {
  std::mt19937_64 random(test::seed());
  const TimePoint from = std::chrono::floor<days>(now_) - days(210);
  const int histories = test::by_scale(15, 10'000), at_once = test::by_scale(15, 500);
  for (int batch = 0; batch * at_once < histories; ++batch) {
    std::vector<test::QualityHistory> made;
    std::vector<std::string> arrivals;
    std::string setup;
    for (int i = 0; i < at_once; ++i) {
      const std::string job = "job-" + std::to_string(batch * at_once + i);
      add_job(job);
      test::QualityHistory& history = made.emplace_back(test::random_history(random, from));
      for (const QualityCheck& check : history.checks) add_check(job, check);
      for (const QualityRun& each : history.runs) {
        // First open and at another time, then as it ends up; each in a moment of its own.
        setup += run_statement(job, each.id, each.scheduled_at + hours(random() % 3), "running", each.attempt);
        arrivals.push_back("UPDATE run_ids SET scheduled_at = '" + to_rfc3339(each.scheduled_at) +
                           "' WHERE run_id = '" + to_string(each.id) + "';");
        arrivals.push_back("UPDATE job_runs SET status = '" + std::string(to_string(each.status)) +
                           "' WHERE run_id = '" + to_string(each.id) + "';" + state_change_statement(each.id));
        for (const QualityObservation& seen : each.observations) {
          arrivals.push_back(observation(job, each.id, seen));
        }
      }
    }
    run(setup);
    std::ranges::shuffle(arrivals, random);
    for (std::size_t at = 0; at < arrivals.size();) {
      std::string together;
      for (std::size_t end = std::min(arrivals.size(), at + 1 + random() % (arrivals.size() / 3)); at < end; ++at)
        together += arrivals[at];
      run(together);
      evaluate(random() % 2 ? 5000 : at_once * 3);
    }
    for (const test::QualityHistory& history : made) {
      for (const QualityCheck& check : history.checks) {
        for (const auto& [run_id, expected] : test::verdicts_by_walking(check, history.runs)) {
          ASSERT_EQ(rounded(stored(run_id, check.id)), rounded(expected)) << to_string(run_id);
        }
      }
    }
    // The worst of a run's highest attempt is the run's.
    EXPECT_EQ(one("SELECT count(*) FROM job_runs j WHERE dq_status IS DISTINCT FROM ("
                  "SELECT CASE max(CASE status WHEN 'fail' THEN 2 WHEN 'warn' THEN 1 ELSE 0 END) WHEN 2 THEN 'fail' "
                  "WHEN 1 THEN 'warn' WHEN 0 THEN 'pass' END FROM dq_check_results d WHERE d.run_id = j.run_id AND "
                  "attempt_no = (SELECT max(attempt_no) FROM dq_check_results m WHERE m.run_id = j.run_id))"),
              "0");
  }
}

}  // namespace
}  // namespace runtail
