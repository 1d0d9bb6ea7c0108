#include "alerts/rules.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "core/cron.h"

namespace runtail {
namespace {

using State = RuleFinding::State;

constexpr std::pair<RuleKind, std::string_view> kKinds[] = {
    {RuleKind::kJobFailed, "JobFailed"},
    {RuleKind::kRetryExhausted, "RetryExhausted"},
    {RuleKind::kConsecutiveFailures, "ConsecutiveFailures"},
    {RuleKind::kRetrySurge, "RetrySurge"},
    {RuleKind::kNoRecentRuns, "NoRecentRuns"},
    {RuleKind::kDqRowCountDelta, "DQRowCountDelta"},
    {RuleKind::kDqNullRateSpike, "DQNullRateSpike"},
    {RuleKind::kSchemaDriftDetected, "SchemaDriftDetected"},
};
// How soon a rule that is held back looks again.
constexpr std::chrono::seconds kHeldBack{10};

// Those with a verdict, the last that ended first.
std::vector<const JudgedRun*> ended_runs(const JobFacts& facts) {
  std::vector<const JudgedRun*> ended;
  for (const JudgedRun& run : facts.runs) {
    if (run.ended_at && (run.status == RunStatus::kSuccess || run.status == RunStatus::kFailed)) ended.push_back(&run);
  }
  std::ranges::sort(ended, [](const JudgedRun* a, const JudgedRun* b) {
    return std::tie(*a->ended_at, a->id) > std::tie(*b->ended_at, b->id);
  });
  return ended;
}

bool is_open(const JudgedRun& run) { return !is_terminal(run.status); }

void look_again_at(RuleFindings& findings, TimePoint at) {
  findings.look_again = findings.look_again ? std::min(*findings.look_again, at) : at;
}

RuleFinding of_run(State state, const JudgedRun& run) {
  RuleFinding finding;
  finding.state = state;
  finding.since = *run.ended_at;
  finding.run_id = run.id;
  return finding;
}

// Of a job that fails again and again: when it had failed `needed` times in a row. The latest first.
RuleFinding of_failures(const std::vector<const JudgedRun*>& ended, std::size_t needed) {
  std::size_t failures = 0;
  while (failures < ended.size() && ended[failures]->status != RunStatus::kSuccess) ++failures;
  RuleFinding finding = of_run(State::kFiring, *ended.front());
  finding.began = *ended[failures - std::min(needed, failures)]->ended_at;
  return finding;
}

void judge_failures(const AlertRule& rule, const JobFacts& facts, TimePoint now, RuleFindings& findings) {
  const auto ended = ended_runs(facts);
  if (ended.empty()) return;
  const JudgedRun& last = *ended.front();
  if (last.status == RunStatus::kSuccess) {
    findings.all.push_back(of_run(State::kCleared, last));
    return;
  }
  if (rule.kind == RuleKind::kConsecutiveFailures) {
    const std::size_t count = static_cast<std::size_t>(std::max(rule.count, 1));
    const bool enough =
        ended.size() >= count && std::all_of(ended.begin(), ended.begin() + static_cast<long>(count),
                                             [](auto* run) { return run->status == RunStatus::kFailed; });
    if (enough) findings.all.push_back(of_failures(ended, count));
    return;
  }
  const bool has_more = last.max_attempts && last.attempt < *last.max_attempts && !last.retries_exhausted;
  if (rule.kind == RuleKind::kRetryExhausted) {
    const bool used_up = last.max_attempts && *last.max_attempts > 1 && last.attempt >= *last.max_attempts;
    if (last.retries_exhausted || used_up) findings.all.push_back(of_failures(ended, 1));
    return;
  }
  const bool retried =
      std::ranges::any_of(facts.runs, [&](const JudgedRun& run) { return is_open(run) && run.retry_of == last.id; });
  if (retried) return;
  if (const TimePoint until = *last.ended_at + rule.retry_grace; has_more && now < until) {
    look_again_at(findings, until);
    return;
  }
  findings.all.push_back(of_failures(ended, 1));
}

void judge_retries(const AlertRule& rule, const JobFacts& facts, TimePoint now, RuleFindings& findings) {
  std::vector<TimePoint> recent;
  for (const TimePoint at : facts.retries) {
    if (at > now - rule.window && at <= now) recent.push_back(at);
    if (at > now) look_again_at(findings, at);
  }
  std::ranges::sort(recent);
  const std::size_t count = static_cast<std::size_t>(std::max(rule.count, 0));
  RuleFinding& finding = findings.all.emplace_back();
  finding.state = recent.size() > count ? State::kFiring : State::kCleared;
  if (recent.size() > count) {
    finding.since = recent[count];
    look_again_at(findings, recent[recent.size() - count - 1] + rule.window);
  } else {
    finding.since = now;
  }
}

void judge_starts(const AlertRule& rule, const JobFacts& facts, TimePoint now, TimePoint read_until,
                  RuleFindings& findings) {
  // Past its limit, but only if what would have lifted it had been read.
  const auto held_to = [&](RuleFinding& finding, TimePoint limit) {
    if (now < limit) {
      finding.state = State::kCleared;
      look_again_at(findings, limit);
    } else if (read_until < limit) {
      look_again_at(findings, now + kHeldBack);
    } else {
      finding.state = State::kFiring;
      finding.since = limit;
      finding.goes_on = true;
    }
  };
  std::optional<std::chrono::milliseconds> every = rule.expected_every;
  if (!every && rule.schedule.empty()) every = facts.expected_every;
  std::optional<Cron> schedule;
  if (!every) {
    if (auto parsed = Cron::parse(rule.schedule.empty() ? facts.schedule : rule.schedule)) schedule = *parsed;
  }
  if (every || schedule) {
    RuleFinding& late = findings.all.emplace_back();
    late.reason = "late_start";
    late.since = facts.known_since;
    for (const JudgedRun& run : facts.runs) {
      if (!run.started_at || *run.started_at < late.since) continue;
      late.since = *run.started_at;
      late.run_id = run.id;
    }
    if (every) {
      held_to(late, late.since + *every + rule.late_by);
    } else if (const auto due = schedule->next(late.since + kEarlyBy)) {
      held_to(late, *due + (rule.late_by > rule.late_by.zero() ? rule.late_by : kLateBy));
    }
  }
  if (!rule.long_run) return;
  RuleFinding longest;
  longest.reason = "long_run";
  longest.state = State::kCleared;
  longest.since = now;
  const JudgedRun* oldest = nullptr;
  for (const JudgedRun& run : facts.runs) {
    if (run.status != RunStatus::kRunning || !run.started_at) continue;
    if (!oldest || std::tie(*run.started_at, run.id) < std::tie(*oldest->started_at, oldest->id)) oldest = &run;
  }
  if (oldest) {
    longest.state = State::kUnchanged;
    longest.run_id = oldest->id;
    held_to(longest, *oldest->started_at + *rule.long_run);
  }
  findings.all.push_back(std::move(longest));
}

void judge_results(const AlertRule& rule, const JobFacts& facts, RuleFindings& findings) {
  const CheckType type = rule.kind == RuleKind::kDqRowCountDelta   ? CheckType::kRowCountDelta
                         : rule.kind == RuleKind::kDqNullRateSpike ? CheckType::kNullRate
                                                                   : CheckType::kSchemaDrift;
  std::map<std::string, RuleFinding> tables;
  for (const ResultFact& result : facts.results) {
    if (result.type != type) continue;
    const State state = result.status == DqStatus::kPass ? State::kCleared : State::kFiring;
    const auto [at, fresh] = tables.try_emplace(result.table);
    RuleFinding& finding = at->second;
    // Of several checks of a table one that is flagged counts; of those the latest, of their results by id.
    const bool wins = fresh || (state == State::kFiring && finding.state != State::kFiring) ||
                      (state == finding.state &&
                       std::tie(result.at, result.result_id) > std::tie(finding.result->at, finding.result->result_id));
    if (!wins) continue;
    finding.state = state;
    finding.table = result.table;
    finding.since = result.at;
    finding.run_id = result.run_id;
    finding.result = result;
  }
  for (auto& [table, finding] : tables) findings.all.push_back(std::move(finding));
}

}  // namespace

std::optional<RuleKind> to_rule_kind(std::string_view word) {
  for (const auto& [kind, name] : kKinds) {
    if (name == word) return kind;
  }
  return std::nullopt;
}

std::string_view to_string(RuleKind kind) { return kKinds[static_cast<std::size_t>(kind)].second; }

bool matches(std::string_view pattern, std::string_view job_id) {
  // Each * takes as little as it can; the last one is given more when the rest does not fit.
  std::size_t p = 0, j = 0, star = std::string_view::npos, taken = 0;
  while (j < job_id.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = j;
    } else if (p < pattern.size() && pattern[p] == job_id[j]) {
      ++p, ++j;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      j = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

RuleFindings judge(const AlertRule& rule, const JobFacts& facts, TimePoint now, TimePoint read_until) {
  RuleFindings findings;
  switch (rule.kind) {
    case RuleKind::kJobFailed:
    case RuleKind::kRetryExhausted:
    case RuleKind::kConsecutiveFailures:
      judge_failures(rule, facts, now, findings);
      break;
    case RuleKind::kRetrySurge:
      judge_retries(rule, facts, now, findings);
      break;
    case RuleKind::kNoRecentRuns:
      judge_starts(rule, facts, now, read_until, findings);
      break;
    case RuleKind::kDqRowCountDelta:
    case RuleKind::kDqNullRateSpike:
    case RuleKind::kSchemaDriftDetected:
      judge_results(rule, facts, findings);
  }
  return findings;
}

std::string dedupe_key(const AlertRule& rule, std::string_view job_id, const RuleFinding& finding) {
  std::string key = rule.name;
  for (const std::string_view part :
       {job_id, std::string_view(finding.table), std::string_view(finding.reason), std::string_view(rule.severity)}) {
    key += '\x1F';
    key += part;
  }
  return key;
}

}  // namespace runtail
