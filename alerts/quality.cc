#include "alerts/quality.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>

namespace runtail {
namespace {

constexpr std::pair<CheckType, std::string_view> kTypes[] = {{CheckType::kRowCountDelta, "row_count_delta"},
                                                             {CheckType::kNullRate, "null_rate"},
                                                             {CheckType::kSchemaDrift, "schema_drift"}};

// What one attempt says at a check.
struct Seen {
  const QualityObservation* last = nullptr;   // of the check's kind, whatever columns it names
  const QualityObservation* value = nullptr;  // the last that says something; null_rate: of the column
};

bool is_of_kind(const QualityCheck& check, const QualityObservation& observation) {
  if (observation.table != check.table) return false;
  if (check.type == CheckType::kRowCountDelta) return observation.rows.has_value();
  return check.type == CheckType::kNullRate ? observation.rates.has_value() : observation.columns.has_value();
}

bool says_something(const QualityCheck& check, const QualityObservation& observation) {
  return check.type != CheckType::kNullRate || observation.rates->contains(check.column);
}

Seen seen_in(const QualityCheck& check, const QualityRun& run, int attempt) {
  Seen seen;
  const auto take_later = [](const QualityObservation*& kept, const QualityObservation& each) {
    if (!kept || std::tie(kept->at, kept->event_id) < std::tie(each.at, each.event_id)) kept = &each;
  };
  for (const QualityObservation& each : run.observations) {
    if (each.attempt != attempt || !is_of_kind(check, each)) continue;
    take_later(seen.last, each);
    if (says_something(check, each)) take_later(seen.value, each);
  }
  return seen;
}

std::set<int> attempts_of(const QualityCheck& check, const QualityRun& run) {
  std::set<int> attempts;
  for (const QualityObservation& each : run.observations) {
    if (is_of_kind(check, each)) attempts.insert(each.attempt);
  }
  return attempts;
}

// The last word of a run: that of its highest attempt that says something.
const QualityObservation* last_word(const QualityCheck& check, const QualityRun& run) {
  const std::set<int> attempts = attempts_of(check, run);
  for (auto attempt = attempts.rbegin(); attempt != attempts.rend(); ++attempt) {
    if (const Seen seen = seen_in(check, run, *attempt); seen.value) return seen.value;
  }
  return nullptr;
}

struct Baseline {
  const QualityRun* run = nullptr;
  const QualityObservation* observation = nullptr;
};

Baseline baseline_of(const QualityCheck& check, const QualityRun& run, std::span<const QualityRun> others) {
  Baseline nearest;
  for (const QualityRun& other : others) {
    if (other.status != RunStatus::kSuccess) continue;
    if (std::tie(other.scheduled_at, other.id) >= std::tie(run.scheduled_at, run.id)) continue;
    if (other.scheduled_at < run.scheduled_at - kBaselineWithin) continue;
    if (nearest.run && std::tie(other.scheduled_at, other.id) < std::tie(nearest.run->scheduled_at, nearest.run->id)) {
      continue;
    }
    if (const QualityObservation* said = last_word(check, other)) nearest = {&other, said};
  }
  return nearest;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

void compare_columns(const std::map<std::string, std::string>& before, const std::map<std::string, std::string>& now,
                     QualityVerdict& verdict) {
  for (const auto& [name, type] : now) {
    const auto old = before.find(name);
    if (old == before.end()) {
      verdict.added.push_back(name);
    } else if (lower(old->second) != lower(type)) {
      verdict.retyped.push_back({name, old->second, type});
    }
  }
  for (const auto& [name, type] : before) {
    if (!now.contains(name)) verdict.missing.push_back(name);
  }
}

void judge_rows(const QualityCheck& check, std::int64_t now, const Baseline& before, QualityVerdict& verdict) {
  verdict.threshold = check.threshold.value_or(kRowDeltaThreshold);
  verdict.rows = now;
  if (!before.run) {
    verdict.reason = "no_baseline";
    return;
  }
  const std::int64_t old = *before.observation->rows;
  verdict.baseline = static_cast<double>(old);
  if (old == 0) {
    if (now == 0) {
      verdict.value = 0;
    } else {
      verdict.reason = "zero_before";
      verdict.status = check.severity;
    }
    return;
  }
  verdict.value = (static_cast<double>(now) - static_cast<double>(old)) / std::abs(static_cast<double>(old)) * 100;
  if (std::abs(*verdict.value) > *verdict.threshold) verdict.status = check.severity;
}

void judge_nulls(const QualityCheck& check, double now, const Baseline& before, QualityVerdict& verdict) {
  verdict.threshold = check.threshold.value_or(kNullRateThreshold);
  verdict.value = now;
  if (before.run) verdict.baseline = before.observation->rates->at(check.column);
  if (check.absolute_limit && now > *check.absolute_limit) {
    verdict.reason = "absolute_limit";
    verdict.threshold = check.absolute_limit;
    verdict.status = check.severity;
  } else if (!before.run) {
    verdict.reason = "no_baseline";
  } else if (now - *verdict.baseline > *verdict.threshold) {
    verdict.status = check.severity;
  }
}

void judge_columns(const QualityCheck& check, const std::map<std::string, std::string>& now, const Baseline& before,
                   QualityVerdict& verdict) {
  if (!check.expected && !before.run) {
    verdict.reason = "no_baseline";
    return;
  }
  compare_columns(check.expected ? *check.expected : *before.observation->columns, now, verdict);
  const std::size_t differ = verdict.added.size() + verdict.missing.size() + verdict.retyped.size();
  verdict.value = static_cast<double>(differ);
  if (differ > 0) verdict.status = check.severity;
}

}  // namespace

std::optional<CheckType> to_check_type(std::string_view word) {
  for (const auto& [type, name] : kTypes) {
    if (name == word) return type;
  }
  return std::nullopt;
}

std::string_view to_string(CheckType type) { return kTypes[static_cast<std::size_t>(type)].second; }

std::string_view observed_by(CheckType type) {
  if (type == CheckType::kRowCountDelta) return "row_count";
  return type == CheckType::kNullRate ? "null_rates" : "columns";
}

std::vector<QualityVerdict> judge(const QualityCheck& check, const QualityRun& run,
                                  std::span<const QualityRun> others) {
  std::vector<QualityVerdict> verdicts;
  const std::set<int> attempts = attempts_of(check, run);
  if (attempts.empty()) return verdicts;
  const bool has_own_schema = check.type == CheckType::kSchemaDrift && check.expected;
  const Baseline before = has_own_schema ? Baseline{} : baseline_of(check, run, others);
  for (const int attempt : attempts) {
    const Seen seen = seen_in(check, run, attempt);
    const bool is_over = attempt < run.attempt || is_terminal(run.status);
    if (!seen.value && !is_over) continue;  // the column may still be named
    QualityVerdict& verdict = verdicts.emplace_back();
    verdict.attempt = attempt;
    verdict.at = (seen.value ? seen.value : seen.last)->at;
    if (before.run) verdict.baseline_run = before.run->id;
    if (!seen.value) {
      verdict.reason = "missing_column";
      verdict.threshold = check.threshold.value_or(kNullRateThreshold);
      if (before.run) verdict.baseline = before.observation->rates->at(check.column);
      verdict.status = check.severity;
    } else if (check.type == CheckType::kRowCountDelta) {
      judge_rows(check, *seen.value->rows, before, verdict);
    } else if (check.type == CheckType::kNullRate) {
      judge_nulls(check, seen.value->rates->at(check.column), before, verdict);
    } else {
      judge_columns(check, *seen.value->columns, before, verdict);
    }
  }
  return verdicts;
}

}  // namespace runtail
