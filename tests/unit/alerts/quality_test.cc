#include "alerts/quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/alerts/quality_reference.h"

namespace runtail {
namespace {

using std::chrono::days;
using std::chrono::hours;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kTable[] = "stg.orders";

TimePoint hour(int count) { return from_micros(1'790'000'000'000'000) + hours(count); }

Uuid id(int number) {
  Uuid uuid;
  uuid.bytes[15] = static_cast<std::uint8_t>(number);
  return uuid;
}

QualityRun run(int number, int scheduled, RunStatus status = RunStatus::kSuccess) {
  return {id(number), hour(scheduled), status, 1, {}};
}

QualityObservation& observe(QualityRun& run, int at, int attempt = 1) {
  QualityObservation& made = run.observations.emplace_back();
  made.at = hour(at);
  made.event_id = id(static_cast<int>(run.observations.size()));
  made.attempt = attempt;
  made.table = kTable;
  return made;
}
QualityRun with_rows(QualityRun run, std::int64_t rows, int at = 1000) {
  observe(run, at).rows = rows;
  return run;
}
QualityRun with_rate(QualityRun run, const std::string& column, double rate) {
  observe(run, 1000).rates = {{column, rate}};
  return run;
}
QualityRun with_columns(QualityRun run, std::map<std::string, std::string> columns) {
  observe(run, 1000).columns = std::move(columns);
  return run;
}

QualityCheck check(CheckType type) {
  QualityCheck made;
  made.type = type;
  made.table = kTable;
  if (type == CheckType::kNullRate) made.column = "email";
  return made;
}

QualityVerdict only(const std::vector<QualityVerdict>& verdicts) {
  EXPECT_THAT(verdicts, SizeIs(1));
  return verdicts.empty() ? QualityVerdict{} : verdicts[0];
}
QualityVerdict rows_verdict(const QualityRun& judged, const std::vector<QualityRun>& others) {
  return only(judge(check(CheckType::kRowCountDelta), judged, others));
}

TEST(Quality, RowsThatDifferByMoreThanTheThresholdAreFlagged) {
  const auto status_of = [](std::int64_t now) {
    return rows_verdict(with_rows(run(2, 2), now), {with_rows(run(1, 1), 100)}).status;
  };
  EXPECT_EQ(status_of(120), DqStatus::kPass);
  EXPECT_EQ(status_of(121), DqStatus::kWarn);
  EXPECT_EQ(status_of(80), DqStatus::kPass);
  EXPECT_EQ(status_of(79), DqStatus::kWarn);
  EXPECT_EQ(status_of(0), DqStatus::kWarn);
  const QualityVerdict verdict = rows_verdict(with_rows(run(2, 2), 75), {with_rows(run(1, 1), 100)});
  EXPECT_EQ(verdict.value, -25);
  EXPECT_EQ(verdict.baseline, 100);
  EXPECT_EQ(verdict.threshold, 20);
  EXPECT_EQ(verdict.baseline_run, id(1));
  EXPECT_EQ(verdict.rows, 75);
  EXPECT_EQ(verdict.at, hour(1000));
}

TEST(Quality, TheSeverityOfTheCheckIsThatOfItsFlag) {
  QualityCheck strict = check(CheckType::kRowCountDelta);
  strict.severity = DqStatus::kFail;
  strict.threshold = 0;
  const std::vector<QualityRun> before = {with_rows(run(1, 1), 100)};
  EXPECT_EQ(only(judge(strict, with_rows(run(2, 2), 101), before)).status, DqStatus::kFail);
  EXPECT_EQ(only(judge(strict, with_rows(run(2, 2), 100), before)).status, DqStatus::kPass);
}

TEST(Quality, AFirstRunPassesAndSaysThatNothingWasCompared) {
  for (const QualityVerdict& verdict :
       {rows_verdict(with_rows(run(1, 1), 5), {}),
        only(judge(check(CheckType::kNullRate), with_rate(run(1, 1), "email", 1), {})),
        only(judge(check(CheckType::kSchemaDrift), with_columns(run(1, 1), {{"id", "int"}}), {}))}) {
    EXPECT_EQ(verdict.status, DqStatus::kPass);
    EXPECT_EQ(verdict.reason, "no_baseline");
    EXPECT_FALSE(verdict.baseline_run);
  }
}

TEST(Quality, RunsThatDidNotSucceedOrSayNothingArePassedOver) {
  const std::vector<QualityRun> others = {with_rows(run(1, 1), 100), with_rows(run(2, 2, RunStatus::kFailed), 1),
                                          with_rows(run(3, 3, RunStatus::kRunning), 1),
                                          with_rows(run(4, 4, RunStatus::kSkipped), 1), run(5, 5)};
  const QualityVerdict verdict = rows_verdict(with_rows(run(6, 6), 100), others);
  EXPECT_EQ(verdict.baseline_run, id(1));
  EXPECT_EQ(verdict.status, DqStatus::kPass);
}

TEST(Quality, RowsOutOfNothingAreFlaggedAndNothingAgainIsNot) {
  const std::vector<QualityRun> empty_before = {with_rows(run(1, 1), 0)};
  const QualityVerdict grown = rows_verdict(with_rows(run(2, 2), 1), empty_before);
  EXPECT_EQ(grown.status, DqStatus::kWarn);
  EXPECT_EQ(grown.reason, "zero_before");
  EXPECT_FALSE(grown.value);
  const QualityVerdict same = rows_verdict(with_rows(run(2, 2), 0), empty_before);
  EXPECT_EQ(same.status, DqStatus::kPass);
  EXPECT_EQ(same.value, 0);
}

TEST(Quality, ABackfilledRunIsComparedWithWhatWasBeforeItThen) {
  // Run 9 is of hour 2, although its lines come last; run 3 is judged by it from then on.
  const QualityRun backfilled = with_rows(run(9, 2), 500, 2000), later = with_rows(run(3, 3), 510);
  const std::vector<QualityRun> all = {with_rows(run(1, 1), 100), backfilled, later};
  EXPECT_EQ(rows_verdict(backfilled, all).baseline_run, id(1));
  EXPECT_EQ(rows_verdict(later, all).baseline_run, id(9));
  EXPECT_EQ(rows_verdict(later, {all[0], later}).baseline_run, id(1));
}

TEST(Quality, RunsThatEndOutOfOrderAreComparedInTheOrderOfTheirSchedule) {
  const QualityRun slow = with_rows(run(1, 1), 100, 50), quick = with_rows(run(2, 2), 100, 3);
  EXPECT_EQ(rows_verdict(quick, {slow, quick}).baseline_run, id(1));
  EXPECT_EQ(rows_verdict(slow, {slow, quick}).reason, "no_baseline");
}

TEST(Quality, RunsOfOneMomentAreOrderedByTheirIds) {
  const QualityRun first = with_rows(run(1, 5), 100), second = with_rows(run(2, 5), 100);
  EXPECT_EQ(rows_verdict(second, {first, second}).baseline_run, id(1));
  EXPECT_EQ(rows_verdict(first, {first, second}).reason, "no_baseline");
}

TEST(Quality, ABaselineThatIsTooOldIsNone) {
  const int days_90 = 90 * 24;
  EXPECT_EQ(rows_verdict(with_rows(run(2, days_90 + 1), 5), {with_rows(run(1, 1), 5)}).baseline_run, id(1));
  EXPECT_EQ(rows_verdict(with_rows(run(2, days_90 + 2), 5), {with_rows(run(1, 1), 5)}).reason, "no_baseline");
}

TEST(Quality, ARunWithoutAnObservationOfTheTableIsNotJudged) {
  QualityRun of_another = run(2, 2);
  observe(of_another, 3).rows = 7;
  of_another.observations[0].table = "stg.items";
  for (const CheckType type : {CheckType::kRowCountDelta, CheckType::kNullRate, CheckType::kSchemaDrift}) {
    EXPECT_THAT(judge(check(type), run(2, 2), {}), IsEmpty());
    EXPECT_THAT(judge(check(type), of_another, {}), IsEmpty());
  }
}

TEST(Quality, TheLastOfSeveralObservationsCountsByTimeThenEvent) {
  QualityRun judged = run(2, 2);
  observe(judged, 10).rows = 1;
  observe(judged, 12).rows = 100;  // event 2
  observe(judged, 12).rows = 90;   // event 3
  observe(judged, 11).rows = 5;
  std::vector<QualityRun> before = {with_rows(run(1, 1), 90)};
  EXPECT_EQ(rows_verdict(judged, before).rows, 90);
  std::ranges::reverse(judged.observations);
  EXPECT_EQ(rows_verdict(judged, before).rows, 90);
}

TEST(Quality, EachAttemptIsJudgedAndTheHighestIsTheBaseline) {
  QualityRun judged = run(2, 2);
  judged.attempt = 2;
  observe(judged, 11, 2).rows = 100;
  observe(judged, 10, 1).rows = 10;
  const auto verdicts = judge(check(CheckType::kRowCountDelta), judged, std::vector{with_rows(run(1, 1), 100)});
  ASSERT_THAT(verdicts, SizeIs(2));
  EXPECT_EQ(verdicts[0].attempt, 1);
  EXPECT_EQ(verdicts[0].status, DqStatus::kWarn);
  EXPECT_EQ(verdicts[1].attempt, 2);
  EXPECT_EQ(verdicts[1].status, DqStatus::kPass);
  EXPECT_EQ(rows_verdict(with_rows(run(3, 3), 100), {judged}).baseline, 100);
}

TEST(Quality, NullsAreFlaggedByTheirRiseOrByALimitThatNeedsNoBaseline) {
  QualityCheck nulls = check(CheckType::kNullRate);
  nulls.threshold = 0.25;
  const std::vector<QualityRun> before = {with_rate(run(1, 1), "email", 0.125)};
  const auto status_of = [&](double rate, const std::vector<QualityRun>& others) {
    return only(judge(nulls, with_rate(run(2, 2), "email", rate), others));
  };
  EXPECT_EQ(status_of(0.375, before).status, DqStatus::kPass);
  EXPECT_EQ(status_of(0.3751, before).status, DqStatus::kWarn);
  EXPECT_EQ(status_of(0, before).status, DqStatus::kPass);
  nulls.absolute_limit = 0.2;
  EXPECT_EQ(status_of(0.2, {}).status, DqStatus::kPass);
  EXPECT_EQ(status_of(0.21, {}).status, DqStatus::kWarn);
  EXPECT_EQ(status_of(0.21, before).reason, "absolute_limit");
  EXPECT_EQ(status_of(0.21, before).threshold, 0.2);
}

TEST(Quality, AColumnThatIsNeverNamedIsFlaggedWhenTheAttemptIsOver) {
  const QualityCheck nulls = check(CheckType::kNullRate);
  const std::vector<QualityRun> before = {with_rate(run(1, 1), "email", 0.1)};
  EXPECT_THAT(judge(nulls, with_rate(run(2, 2, RunStatus::kRunning), "phone", 0), before), IsEmpty());
  EXPECT_EQ(only(judge(nulls, with_rate(run(2, 2), "phone", 0), before)).reason, "missing_column");
  EXPECT_EQ(only(judge(nulls, with_rate(run(2, 2), "phone", 0), before)).status, DqStatus::kWarn);
  // An attempt ends with the next one.
  QualityRun retried = with_rate(run(2, 2, RunStatus::kRunning), "phone", 0);
  retried.attempt = 2;
  EXPECT_EQ(only(judge(nulls, retried, before)).reason, "missing_column");
  // Rates may come in several lines, and a run that lacks the column is no baseline of it.
  QualityRun in_parts = with_rate(with_rate(run(2, 2), "email", 0.1), "phone", 0);
  EXPECT_EQ(only(judge(nulls, in_parts, before)).value, 0.1);
  EXPECT_EQ(
      only(judge(nulls, with_rate(run(3, 3), "email", 0.1), std::vector{before[0], with_rate(run(2, 2), "phone", 0)}))
          .baseline_run,
      id(1));
}

TEST(Quality, NewMissingAndRetypedColumnsAreDriftAgainstTheRunBefore) {
  const QualityRun before = with_columns(run(1, 1), {{"id", "int"}, {"name", "TEXT"}, {"old", "date"}});
  const QualityVerdict drift =
      only(judge(check(CheckType::kSchemaDrift),
                 with_columns(run(2, 2), {{"id", "bigint"}, {"name", "text"}, {"x", "int"}}), std::vector{before}));
  EXPECT_EQ(drift.status, DqStatus::kWarn);
  EXPECT_EQ(drift.value, 3);
  EXPECT_THAT(drift.added, ElementsAre("x"));
  EXPECT_THAT(drift.missing, ElementsAre("old"));
  EXPECT_THAT(drift.retyped, ElementsAre(RetypedColumn{"id", "int", "bigint"}));
}

TEST(Quality, AnExpectedSchemaIsHeldWhateverTheRunsBefore) {
  QualityCheck drift = check(CheckType::kSchemaDrift);
  drift.expected.emplace()["id"] = "int";
  const QualityRun judged = with_columns(run(2, 2), {{"id", "int"}});
  const QualityVerdict verdict = only(judge(drift, judged, std::vector{with_columns(run(1, 1), {{"x", "int"}})}));
  EXPECT_EQ(verdict.status, DqStatus::kPass);
  EXPECT_FALSE(verdict.baseline_run);
  EXPECT_EQ(only(judge(drift, with_columns(run(1, 1), {}), {})).missing, std::vector<std::string>{"id"});
}

TEST(Quality, VerdictsOfRandomHistoriesEqualAnIndependentComputation) {
  std::mt19937_64 random(test::seed());
  int flagged = 0, missing = 0, compared = 0;
  for (int history = 0; history < test::by_scale(2'000, 40'000); ++history) {
    const test::QualityHistory made = test::random_history(random);
    std::vector<QualityRun> arrived = made.runs;
    std::ranges::shuffle(arrived, random);
    for (const QualityCheck& each : made.checks) {
      const auto expected = test::verdicts_by_walking(each, made.runs);
      for (const QualityRun& judged : made.runs) {
        const auto verdicts = judge(each, judged, arrived);
        ASSERT_EQ(test::spelled(verdicts), expected.at(judged.id)) << "history " << history;
        for (const QualityVerdict& verdict : verdicts) {
          flagged += verdict.status != DqStatus::kPass;
          missing += verdict.reason == "missing_column";
          compared += verdict.baseline_run.has_value();
        }
      }
    }
  }
  // The histories hold what they are meant to.
  EXPECT_GT(flagged, 1000);
  EXPECT_GT(missing, 100);
  EXPECT_GT(compared, 1000);
}

}  // namespace
}  // namespace runtail
