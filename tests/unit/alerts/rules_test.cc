#include "alerts/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

#include "alerts/alert_state.h"
#include "tests/support/scale.h"

namespace runtail {
namespace {

using std::chrono::minutes;
using State = RuleFinding::State;
using Action = AlertStep::Action;
using testing::IsEmpty;
using testing::SizeIs;

TimePoint minute(int count) { return from_micros(1'790'000'000'000'000) + minutes(count); }

Uuid id(int number) {
  Uuid uuid;
  uuid.bytes[14] = static_cast<std::uint8_t>(number >> 8);
  uuid.bytes[15] = static_cast<std::uint8_t>(number);
  return uuid;
}

JudgedRun ended(int number, int at, RunStatus status) {
  JudgedRun run;
  run.id = id(number);
  run.status = status;
  run.started_at = minute(at - 1);
  run.ended_at = minute(at);
  return run;
}
JudgedRun open(int number, int at) {
  JudgedRun run;
  run.id = id(number);
  run.started_at = minute(at);
  return run;
}
JudgedRun failed(int number, int at) { return ended(number, at, RunStatus::kFailed); }
JudgedRun succeeded(int number, int at) { return ended(number, at, RunStatus::kSuccess); }

AlertRule rule(RuleKind kind) {
  AlertRule made;
  made.name = to_string(kind);
  made.kind = kind;
  return made;
}
JobFacts facts(std::vector<JudgedRun> runs) {
  JobFacts made;
  made.job_id = "orders";
  made.known_since = minute(0);
  made.runs = std::move(runs);
  return made;
}

State state_of(const RuleFindings& findings) {
  EXPECT_LE(findings.all.size(), 1u);
  return findings.all.empty() ? State::kUnchanged : findings.all[0].state;
}
State state_of(const AlertRule& each, std::vector<JudgedRun> runs, int now = 100) {
  return state_of(judge(each, facts(std::move(runs)), minute(now), minute(now)));
}

TEST(Rules, JobFailedFiresAfterAFailureAndIsClearedByASuccess) {
  const AlertRule job_failed = rule(RuleKind::kJobFailed);
  EXPECT_EQ(state_of(job_failed, {}), State::kUnchanged);
  EXPECT_EQ(state_of(job_failed, {succeeded(1, 1), failed(2, 2)}), State::kFiring);
  EXPECT_EQ(state_of(job_failed, {failed(2, 2), succeeded(3, 3)}), State::kCleared);
  EXPECT_EQ(state_of(job_failed, {failed(2, 2), ended(3, 3, RunStatus::kCancelled), ended(4, 4, RunStatus::kSkipped)}),
            State::kFiring);
  EXPECT_EQ(state_of(job_failed, {failed(2, 2), open(3, 3)}), State::kFiring);
  const RuleFindings said = judge(job_failed, facts({failed(2, 2)}), minute(3), minute(3));
  EXPECT_EQ(said.all[0].since, minute(2));
  EXPECT_EQ(said.all[0].run_id, id(2));
}

TEST(Rules, AFailureThatArrivesLateAndIsOlderThanASuccessChangesNothing) {
  EXPECT_EQ(state_of(rule(RuleKind::kJobFailed), {succeeded(3, 30), failed(2, 20)}), State::kCleared);
}

TEST(Rules, JobFailedWaitsForARetryThatMayCome) {
  JudgedRun first = failed(1, 10);
  first.max_attempts = 3;
  const AlertRule job_failed = rule(RuleKind::kJobFailed);
  EXPECT_EQ(state_of(job_failed, {first}, 14), State::kUnchanged);
  EXPECT_EQ(judge(job_failed, facts({first}), minute(14), minute(14)).look_again, minute(15));
  EXPECT_EQ(state_of(job_failed, {first}, 15), State::kFiring);
  // Without attempts left there is nothing to wait for.
  JudgedRun last = first;
  last.retries_exhausted = true;
  EXPECT_EQ(state_of(job_failed, {last}, 11), State::kFiring);
  last.retries_exhausted = false;
  last.attempt = 3;
  EXPECT_EQ(state_of(job_failed, {last}, 11), State::kFiring);
  // A retry under way is a run of its own, in some schedulers.
  JudgedRun retry = open(2, 12);
  retry.retry_of = first.id;
  EXPECT_EQ(state_of(job_failed, {first, retry}, 50), State::kUnchanged);
}

TEST(Rules, RetryExhaustedNeedsMoreThanOneAttempt) {
  const AlertRule exhausted = rule(RuleKind::kRetryExhausted);
  JudgedRun run = failed(1, 10);
  EXPECT_EQ(state_of(exhausted, {run}), State::kUnchanged);
  run.max_attempts = 1;
  EXPECT_EQ(state_of(exhausted, {run}), State::kUnchanged);
  run.max_attempts = 2;
  EXPECT_EQ(state_of(exhausted, {run}), State::kUnchanged);
  run.attempt = 2;
  EXPECT_EQ(state_of(exhausted, {run}), State::kFiring);
  run = failed(1, 10);
  run.retries_exhausted = true;
  EXPECT_EQ(state_of(exhausted, {run}), State::kFiring);
  EXPECT_EQ(state_of(exhausted, {run, succeeded(2, 20)}), State::kCleared);
}

TEST(Rules, ConsecutiveFailuresCountOnlyWhatEndedInARow) {
  const AlertRule row = rule(RuleKind::kConsecutiveFailures);
  EXPECT_EQ(state_of(row, {failed(1, 1), failed(2, 2)}), State::kUnchanged);
  EXPECT_EQ(state_of(row, {failed(1, 1), failed(2, 2), failed(3, 3)}), State::kFiring);
  EXPECT_EQ(state_of(row, {failed(1, 1), succeeded(4, 2), failed(2, 3), failed(3, 4)}), State::kUnchanged);
  EXPECT_EQ(state_of(row, {failed(1, 1), failed(2, 2), failed(3, 3), succeeded(4, 4)}), State::kCleared);
}

TEST(Rules, RetrySurgeMeansMoreThanSoManyWithinTheWindow) {
  const AlertRule surge = rule(RuleKind::kRetrySurge);
  JobFacts job = facts({});
  job.retries = {minute(1), minute(2), minute(3)};
  EXPECT_EQ(state_of(judge(surge, job, minute(10), minute(10))), State::kCleared);
  job.retries.push_back(minute(4));
  const RuleFindings said = judge(surge, job, minute(10), minute(10));
  EXPECT_EQ(state_of(said), State::kFiring);
  EXPECT_EQ(said.all[0].since, minute(4));
  // The first of them leaves the window then.
  EXPECT_EQ(said.look_again, minute(31));
  EXPECT_EQ(state_of(judge(surge, job, minute(31), minute(31))), State::kCleared);
}

TEST(Rules, ALateStartFiresWhenThePeriodIsOverAndAllIsRead) {
  const AlertRule late = rule(RuleKind::kNoRecentRuns);
  JobFacts job = facts({succeeded(1, 11)});  // began at 10
  EXPECT_THAT(judge(late, job, minute(500), minute(500)).all, IsEmpty());
  job.expected_every = minutes(60);
  EXPECT_EQ(state_of(judge(late, job, minute(69), minute(69))), State::kCleared);
  EXPECT_EQ(judge(late, job, minute(69), minute(69)).look_again, minute(70));
  EXPECT_EQ(state_of(judge(late, job, minute(70), minute(69))), State::kUnchanged);
  const RuleFindings said = judge(late, job, minute(75), minute(70));
  EXPECT_EQ(state_of(said), State::kFiring);
  EXPECT_EQ(said.all[0].since, minute(70));
  EXPECT_EQ(said.all[0].reason, "late_start");
  job.runs.push_back(open(2, 72));
  EXPECT_EQ(state_of(judge(late, job, minute(75), minute(75))), State::kCleared);
  // One that never ran is late from when it was known.
  EXPECT_EQ(state_of(judge(
                late,
                [&] {
                  auto none = job;
                  none.runs.clear();
                  return none;
                }(),
                minute(60), minute(60))),
            State::kFiring);
}

// minute(0) is 2026-09-21T14:13:20Z.
TEST(Rules, AScheduleSaysWhenARunIsDueInTheTimeOfItsPlace) {
  AlertRule late = rule(RuleKind::kNoRecentRuns);
  JobFacts job = facts({});
  job.schedule = "CRON_TZ=Europe/Rome 30 16 * * *";  // 14:30 UTC, which is minute 16.7
  const auto state = [&](int at) { return judge(late, job, minute(at), minute(at)).all.at(0).state; };
  EXPECT_EQ(state(17), State::kCleared);
  EXPECT_EQ(state(21), State::kCleared);  // kLateBy is not over
  EXPECT_EQ(state(22), State::kFiring);
  job.runs = {open(1, 16)};
  EXPECT_EQ(state(22), State::kCleared) << "a little early";
  job.runs = {open(1, 15)};
  EXPECT_EQ(state(22), State::kFiring);
  job.runs = {open(1, 18)};
  EXPECT_EQ(state(22), State::kCleared);
  EXPECT_EQ(state(24 * 60 + 22), State::kFiring);
  // The rule's own word wins, then the job's period, then its schedule; words are none.
  late.late_by = minutes(60);
  late.schedule = "0 15 1 * *";
  EXPECT_EQ(state(24 * 60 + 22), State::kCleared);
  late.schedule = "";
  job.expected_every = minutes(5);
  late.late_by = minutes(0);
  EXPECT_EQ(state(24), State::kFiring);
  job.expected_every.reset();
  job.schedule = "every night";
  EXPECT_THAT(judge(late, job, minute(5'000), minute(5'000)).all, IsEmpty());
}

TEST(Rules, ALongRunIsItsOwnReason) {
  AlertRule longest = rule(RuleKind::kNoRecentRuns);
  longest.long_run = minutes(30);
  const RuleFindings said = judge(longest, facts({open(1, 10), open(2, 20)}), minute(40), minute(40));
  ASSERT_THAT(said.all, SizeIs(1));
  EXPECT_EQ(said.all[0].state, State::kFiring);
  EXPECT_EQ(said.all[0].reason, "long_run");
  EXPECT_EQ(said.all[0].run_id, id(1));
  EXPECT_EQ(state_of(longest, {open(1, 11)}, 40), State::kCleared);
  EXPECT_EQ(state_of(longest, {succeeded(1, 40)}, 90), State::kCleared);
  EXPECT_EQ(state_of(judge(longest, facts({open(1, 10)}), minute(90), minute(39))), State::kUnchanged);
}

TEST(Rules, ResultsFireByTableWhileOneOfItsChecksIsFlagged) {
  const auto result = [](int number, const char* table, DqStatus status) {
    ResultFact made;
    made.check_id = made.result_id = id(number);
    made.type = CheckType::kNullRate;
    made.table = table;
    made.status = status;
    made.at = minute(number);
    return made;
  };
  JobFacts job = facts({});
  job.results = {result(1, "a", DqStatus::kWarn), result(2, "a", DqStatus::kPass), result(3, "b", DqStatus::kPass)};
  const RuleFindings said = judge(rule(RuleKind::kDqNullRateSpike), job, minute(9), minute(9));
  ASSERT_THAT(said.all, SizeIs(2));
  EXPECT_EQ(said.all[0].table + (said.all[0].state == State::kFiring ? " fires" : ""), "a fires");
  EXPECT_EQ(said.all[0].result->result_id, id(1));
  EXPECT_EQ(said.all[1].state, State::kCleared);
  EXPECT_THAT(judge(rule(RuleKind::kSchemaDriftDetected), job, minute(9), minute(9)).all, IsEmpty());
}

TEST(Rules, APatternHoldsAnyTextForAStar) {
  for (const char* pattern : {"etl_orders", "*", "etl_*", "*orders", "e*_*s", "**", "etl_orders*"}) {
    EXPECT_TRUE(matches(pattern, "etl_orders")) << pattern;
  }
  for (const char* pattern : {"", "etl", "orders", "etl_*x", "*etl_order", "ETL_*", "etl?orders"}) {
    EXPECT_FALSE(matches(pattern, "etl_orders")) << pattern;
  }
  EXPECT_TRUE(matches("*ab", "aab"));
  EXPECT_TRUE(matches("", ""));
}

TEST(Rules, AnAlertIsKnownByRuleJobTableReasonAndSeverityAlone) {
  AlertRule one = rule(RuleKind::kJobFailed);
  RuleFinding finding;
  const std::string key = dedupe_key(one, "orders", finding);
  finding.run_id = id(5);
  finding.since = minute(5);
  EXPECT_EQ(dedupe_key(one, "orders", finding), key);
  EXPECT_NE(dedupe_key(one, "items", finding), key);
  finding.table = "t";
  EXPECT_NE(dedupe_key(one, "orders", finding), key);
  one.severity = "critical";
  EXPECT_NE(dedupe_key(one, "orders", {}), key);
}

RuleFinding firing(int since) {
  RuleFinding finding;
  finding.state = State::kFiring;
  finding.since = minute(since);
  return finding;
}

TEST(AlertState, AnAlertIsOpenedOnceAndResolved) {
  const AlertPolicy policy;
  EXPECT_EQ(next_step(firing(1), {}, policy, minute(2), {}).action, Action::kOpen);
  EXPECT_EQ(next_step(firing(1), {}, policy, minute(2), {}).notify_at, minute(2));
  EXPECT_EQ(next_step(firing(1), {true, {minute(1)}}, policy, minute(3), {}).action, Action::kSeen);
  RuleFinding cleared;
  cleared.state = State::kCleared;
  EXPECT_EQ(next_step(cleared, {true, {minute(1)}}, policy, minute(3), {}).action, Action::kResolve);
  EXPECT_EQ(next_step(cleared, {false, {minute(1)}}, policy, minute(3), {}).action, Action::kNone);
  EXPECT_EQ(next_step({}, {true, {minute(1)}}, policy, minute(3), {}).action, Action::kNone);
}

TEST(AlertState, WhatWasAcknowledgedOrRecordedDoesNotComeBack) {
  EXPECT_EQ(next_step(firing(1), {false, {minute(1)}}, {}, minute(3), {}).action, Action::kNone);
  EXPECT_EQ(next_step(firing(2), {false, {minute(1)}}, {}, minute(3), {}).action, Action::kOpen);
}

TEST(AlertState, OldFactsAreStale) {
  EXPECT_EQ(next_step(firing(0), {}, {}, minute(60), {}).action, Action::kOpen);
  EXPECT_EQ(next_step(firing(0), {}, {}, minute(60) + std::chrono::microseconds(1), {}).action, Action::kOpenStale);
}

TEST(AlertState, AStateThatGoesOnIsToldHoursLater) {
  // As after servers were away: nobody was told, and the job is as dead as it was.
  RuleFinding dead = firing(0);
  dead.goes_on = true;
  EXPECT_EQ(next_step(dead, {}, {}, minute(180), {}).action, Action::kOpen);
  EXPECT_EQ(next_step(dead, {}, {}, minute(24 * 60 + 1), {}).action, Action::kOpenStale)
      << "a history that is replayed";
}

TEST(AlertState, WhatMustHoldLongerThanFactsAreNewsIsToldAllTheSame) {
  AlertPolicy policy;
  policy.hold = minutes(120);
  EXPECT_EQ(next_step(firing(0), {}, policy, minute(119), {}).look_again, minute(120));
  EXPECT_EQ(next_step(firing(0), {}, policy, minute(121), {}).action, Action::kOpen);
}

TEST(AlertState, AnAlertThatMustHoldIsLookedAtAgain) {
  AlertPolicy policy;
  policy.hold = minutes(5);
  EXPECT_EQ(next_step(firing(10), {}, policy, minute(14), {}).look_again, minute(15));
  EXPECT_EQ(next_step(firing(10), {}, policy, minute(14), {}).action, Action::kNone);
  EXPECT_EQ(next_step(firing(10), {}, policy, minute(15), {}).action, Action::kOpen);
}

TEST(AlertState, WhatMustHoldCountsFromItsBeginningHoweverOftenItIsSaid) {
  AlertPolicy policy;
  policy.hold = minutes(10);
  RuleFinding again = firing(25);
  again.began = minute(15);
  EXPECT_EQ(next_step(again, {}, policy, minute(24), {}).look_again, minute(25));
  EXPECT_EQ(next_step(again, {}, policy, minute(25), {}).action, Action::kOpen);
}

TEST(AlertState, FlappingAndMaintenanceDelayTheWord) {
  const AlertPast flapping{false, {minute(1), minute(5), minute(10)}};
  EXPECT_EQ(next_step(firing(15), flapping, {}, minute(15), {}).notify_at, minute(25));
  EXPECT_EQ(next_step(firing(71), flapping, {}, minute(71), {}).notify_at, minute(71));
  EXPECT_EQ(next_step(firing(15), {}, {}, minute(15), minute(40)).notify_at, minute(40));
  EXPECT_EQ(next_step(firing(15), flapping, {}, minute(15), minute(20)).notify_at, minute(25));
}

// A job whose runs begin, fail, are tried again and succeed at random, and beside it what should fire, told event by
// event: counters that move when something happens, where the rules look at all facts anew.
class Model {
 public:
  explicit Model(std::mt19937_64& random) : random_(random) {}

  void step(int now) {
    now_ = now;
    if (below(3) == 0) begin();
    if (below(3) == 0 && !open_.empty()) end();
    while (!retries_.empty() && retries_.front() <= now_ - 30) retries_.pop_front();
  }
  JobFacts shuffled() {
    JobFacts made = facts(runs_);
    std::ranges::shuffle(made.runs, random_);
    made.retries = all_retries_;
    std::ranges::shuffle(made.retries, random_);
    made.expected_every = minutes(8);
    return made;
  }
  bool fires(RuleKind kind) {
    if (kind == RuleKind::kRetryExhausted) return exhausted_;
    if (kind == RuleKind::kConsecutiveFailures) return in_a_row_fired_;
    if (kind == RuleKind::kRetrySurge) return retries_.size() > 3;
    if (kind == RuleKind::kJobFailed) {
      if (waits_for_ && !retried() && now_ >= *wait_until_) failed_ = true;
      return failed_;
    }
    return now_ >= last_start_ + 8;
  }
  bool runs_long() {
    return std::ranges::any_of(open_, [&](std::size_t at) { return *runs_[at].started_at <= minute(now_ - 12); });
  }

 private:
  int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  bool retried() {
    return std::ranges::any_of(open_, [&](std::size_t at) { return runs_[at].retry_of == waits_for_; });
  }
  void begin() {
    JudgedRun run = open(static_cast<int>(runs_.size()) + 1, now_);
    if (below(3) == 0 && last_failed_) {
      run.retry_of = last_failed_;
      run.attempt = 2;
      retries_.push_back(now_);
      all_retries_.push_back(minute(now_));
    }
    if (below(2)) run.max_attempts = 1 + below(3);
    open_.push_back(runs_.size());
    runs_.push_back(run);
    last_start_ = now_;
  }
  void end() {
    const auto at = open_.begin() + below(static_cast<int>(open_.size()));
    JudgedRun& run = runs_[*at];
    open_.erase(at);
    run.ended_at = minute(now_);
    const int verdict = below(8);
    run.status = verdict < 4 ? RunStatus::kFailed : verdict < 7 ? RunStatus::kSuccess : RunStatus::kCancelled;
    if (run.status == RunStatus::kCancelled) return;
    waits_for_.reset();
    if (run.status == RunStatus::kSuccess) {
      in_a_row_ = 0;
      failed_ = exhausted_ = in_a_row_fired_ = false;
      last_failed_.reset();
      return;
    }
    run.retries_exhausted = below(4) == 0;
    last_failed_ = run.id;
    in_a_row_fired_ |= ++in_a_row_ >= 3;
    exhausted_ |=
        run.retries_exhausted || (run.max_attempts && *run.max_attempts > 1 && run.attempt >= *run.max_attempts);
    waits_for_ = run.id;
    wait_until_ = run.max_attempts && run.attempt < *run.max_attempts && !run.retries_exhausted ? now_ + 5 : now_;
  }

  std::mt19937_64& random_;
  std::vector<JudgedRun> runs_;
  std::vector<std::size_t> open_;
  std::deque<int> retries_;
  std::vector<TimePoint> all_retries_;
  std::optional<Uuid> last_failed_, waits_for_;
  std::optional<int> wait_until_;
  int now_ = 0, last_start_ = 0, in_a_row_ = 0;
  bool failed_ = false, exhausted_ = false, in_a_row_fired_ = false;
};

TEST(Rules, RandomHistoriesFireAndResolveAsAModelDoes) {
  std::mt19937_64 random(test::seed());
  std::map<std::string, int> opened;
  for (int history = 0; history < test::by_scale(300, 10'000); ++history) {
    Model model(random);
    std::map<std::string, AlertPast> stored;
    for (int now = 1; now < 120; ++now) {
      model.step(now);
      const JobFacts job = model.shuffled();
      for (const RuleKind kind : {RuleKind::kJobFailed, RuleKind::kRetryExhausted, RuleKind::kConsecutiveFailures,
                                  RuleKind::kRetrySurge, RuleKind::kNoRecentRuns}) {
        AlertRule each = rule(kind);
        if (kind == RuleKind::kNoRecentRuns) each.long_run = minutes(12);
        for (const RuleFinding& finding : judge(each, job, minute(now), minute(now)).all) {
          AlertPast& past = stored[each.name + finding.reason];
          const AlertStep step = next_step(finding, past, {}, minute(now), {});
          ASSERT_NE(step.action, Action::kOpenStale);
          if (step.action == Action::kOpen) {
            past = {true, {finding.since}};
            ++opened[each.name + finding.reason];
          }
          if (step.action == Action::kResolve) past.firing = false;
        }
        for (const bool is_long : {false, true}) {
          if (is_long && kind != RuleKind::kNoRecentRuns) continue;
          const std::string key = each.name + (kind != RuleKind::kNoRecentRuns ? ""
                                               : is_long                       ? "long_run"
                                                                               : "late_start");
          const bool fires = is_long ? model.runs_long() : model.fires(kind);
          ASSERT_EQ(stored[key].firing, fires) << key << " at " << now << ", history " << history;
        }
      }
    }
  }
  EXPECT_THAT(opened, SizeIs(6));
  for (const auto& [key, times] : opened) EXPECT_GT(times, 50) << key;
}

}  // namespace
}  // namespace runtail
