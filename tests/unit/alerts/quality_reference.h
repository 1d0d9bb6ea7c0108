// Random histories of runs with what they observed, and their verdicts computed another way: walking forward through
// the runs in their order with the last known value in hand, instead of looking back from each.
#pragma once

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "alerts/quality.h"
#include "tests/support/scale.h"

namespace runtail::test {

struct QualityHistory {
  std::vector<QualityRun> runs;  // of one job and environment
  std::vector<QualityCheck> checks;
};

inline Uuid random_uuid(std::mt19937_64& random) {
  Uuid id;
  for (std::uint8_t& byte : id.bytes) byte = static_cast<std::uint8_t>(random());
  return id;
}

// Small worlds, so that ties, zeros, failures, retries, gaps beyond the oldest baseline and missing columns are common.
// All times are within 200 days after `from`.
inline QualityHistory random_history(std::mt19937_64& random, TimePoint from = from_micros(1'790'000'000'000'000)) {
  const auto below = [&](int bound) { return static_cast<int>(random() % static_cast<unsigned>(bound)); };
  constexpr RunStatus kStatuses[] = {RunStatus::kSuccess, RunStatus::kSuccess,  RunStatus::kSuccess,
                                     RunStatus::kFailed,  RunStatus::kRunning,  RunStatus::kQueued,
                                     RunStatus::kSkipped, RunStatus::kCancelled};
  constexpr std::int64_t kRows[] = {0, 0, 1, 80, 100, 100, 119, 120, 121, 1000000};
  constexpr double kRates[] = {0, 0, 0.05, 0.1, 0.15, 0.5, 1};
  const char* const kTypes[] = {"int", "INT", "text"};
  QualityHistory made;
  const int runs = 1 + below(7);
  for (int i = 0; i < runs; ++i) {
    QualityRun& run = made.runs.emplace_back();
    run.id = random_uuid(random);
    run.scheduled_at = from + std::chrono::hours(below(8)) + std::chrono::days(below(10) == 0 ? 95 : 0);
    run.status = kStatuses[below(8)];
    run.attempt = 1 + below(2);
    for (int k = below(6); k > 0; --k) {
      QualityObservation& seen = run.observations.emplace_back();
      seen.at = from + std::chrono::days(100) + std::chrono::hours(below(4));
      seen.event_id = random_uuid(random);
      seen.attempt = 1 + below(run.attempt);
      seen.table = below(5) ? "stg.orders" : "stg.items";
      switch (below(3)) {
        case 0:
          seen.rows = kRows[below(10)];
          break;
        case 1:
          seen.rates.emplace();
          for (const char* column : {"email", "phone"}) {
            if (below(3)) (*seen.rates)[column] = kRates[below(7)];
          }
          break;
        default:
          seen.columns.emplace();
          for (const char* column : {"id", "name", "at"}) {
            if (below(4)) (*seen.columns)[column] = kTypes[below(3)];
          }
      }
    }
  }
  for (const CheckType type : {CheckType::kRowCountDelta, CheckType::kNullRate, CheckType::kSchemaDrift}) {
    QualityCheck& check = made.checks.emplace_back();
    check.id = random_uuid(random);
    check.type = type;
    check.table = "stg.orders";
    check.severity = below(2) ? DqStatus::kWarn : DqStatus::kFail;
    if (type == CheckType::kSchemaDrift) {
      if (below(3) == 0) check.expected = std::map<std::string, std::string>{{"id", "int"}, {"name", "text"}};
      continue;
    }
    if (below(2)) check.threshold = type == CheckType::kNullRate ? 0.1 : below(30);
    if (type == CheckType::kNullRate) {
      check.column = "email";
      if (below(2)) check.absolute_limit = 0.5;
    }
  }
  return made;
}

inline std::string number(const std::optional<double>& value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value.value_or(0));
  return value ? text : "-";
}

// One line per attempt.
inline std::string spelled(const std::vector<QualityVerdict>& verdicts) {
  std::string out;
  for (const QualityVerdict& each : verdicts) {
    out += std::to_string(each.attempt) + " " + to_rfc3339(each.at) + " " + std::string(to_string(each.status)) + " " +
           number(each.value) + " " + number(each.baseline) + " " + number(each.threshold) + " " +
           (each.baseline_run ? to_string(*each.baseline_run) : "-") + " " + std::string(each.reason);
    for (const std::string& name : each.added) out += " +" + name;
    for (const std::string& name : each.missing) out += " -" + name;
    for (const RetypedColumn& column : each.retyped) out += " " + column.name + ":" + column.before + ">" + column.now;
    out += "\n";
  }
  return out;
}

// By run, spelled.
inline std::map<Uuid, std::string> verdicts_by_walking(const QualityCheck& check, std::vector<QualityRun> runs) {
  std::map<Uuid, std::string> out;
  std::sort(runs.begin(), runs.end(), [](const QualityRun& a, const QualityRun& b) {
    return a.scheduled_at != b.scheduled_at ? a.scheduled_at < b.scheduled_at : a.id < b.id;
  });
  // What the last successful run said, and when it was scheduled.
  std::optional<std::pair<TimePoint, Uuid>> known;
  double known_number = 0;
  std::map<std::string, std::string> known_columns;
  for (const QualityRun& run : runs) {
    std::string& text = out[run.id];
    if (known && run.scheduled_at - known->first > std::chrono::days(90)) known.reset();
    std::vector<const QualityObservation*> seen;
    for (const QualityObservation& each : run.observations) {
      const bool fits = check.type == CheckType::kRowCountDelta ? each.rows.has_value()
                        : check.type == CheckType::kNullRate    ? each.rates.has_value()
                                                                : each.columns.has_value();
      if (fits && each.table == check.table) seen.push_back(&each);
    }
    std::sort(seen.begin(), seen.end(), [](const QualityObservation* a, const QualityObservation* b) {
      return std::tuple(a->attempt, a->at, a->event_id) < std::tuple(b->attempt, b->at, b->event_id);
    });
    std::optional<double> own_number;
    std::optional<std::map<std::string, std::string>> own_columns;
    for (std::size_t i = 0; i < seen.size();) {
      const int attempt = seen[i]->attempt;
      std::optional<double> value;
      TimePoint at{};
      for (; i < seen.size() && seen[i]->attempt == attempt; ++i) {
        if (check.type == CheckType::kNullRate) {
          const auto rate = seen[i]->rates->find(check.column);
          if (rate == seen[i]->rates->end()) {
            if (!value) at = seen[i]->at;
            continue;
          }
          value = rate->second;
        } else if (check.type == CheckType::kRowCountDelta) {
          value = static_cast<double>(*seen[i]->rows);
        } else {
          value = 0;
          own_columns = *seen[i]->columns;
        }
        at = seen[i]->at;
      }
      const bool ended = run.status != RunStatus::kQueued && run.status != RunStatus::kRunning;
      if (!value && attempt >= run.attempt && !ended) continue;
      if (value) own_number = value;
      std::string status = "pass", shown = "-", baseline = "-", threshold = "-", reason, tail;
      const std::string bad(to_string(check.severity));
      const bool fixed = check.expected.has_value();
      const std::string run_text = known && !fixed ? to_string(known->second) : "-";
      if (check.type == CheckType::kSchemaDrift) {
        if (!fixed && !known) {
          reason = "no_baseline";
        } else {
          const auto& old = fixed ? *check.expected : known_columns;
          int count = 0;
          std::string gone, changed;
          for (const auto& [name, type] : *own_columns) {
            if (!old.contains(name)) tail += " +" + name, ++count;
          }
          for (const auto& [name, type] : old) {
            const auto now = own_columns->find(name);
            if (now == own_columns->end()) {
              gone += " -" + name, ++count;
            } else if (std::tolower(now->second[0]) != std::tolower(type[0])) {  // int and text
              changed += " " + name + ":" + type + ">" + now->second, ++count;
            }
          }
          tail += gone + changed;
          shown = std::to_string(count);
          if (count) status = bad;
        }
      } else {
        const bool nulls = check.type == CheckType::kNullRate;
        double limit = check.threshold ? *check.threshold : nulls ? 0.05 : 20;
        if (known) baseline = number(known_number);
        if (!value) {
          reason = "missing_column", status = bad;
        } else if (nulls) {
          shown = number(*value);
          if (check.absolute_limit && *value > *check.absolute_limit) {
            reason = "absolute_limit", status = bad, limit = *check.absolute_limit;
          } else if (!known) {
            reason = "no_baseline";
          } else if (*value - known_number > limit) {
            status = bad;
          }
        } else if (!known) {
          reason = "no_baseline";
        } else if (known_number == 0) {
          if (*value == 0) shown = "0";
          if (*value != 0) reason = "zero_before", status = bad;
        } else {
          shown = number((*value - known_number) / known_number * 100);
          // Exact, in whole numbers: |now - old| * 100 > limit * old.
          if (std::abs(*value - known_number) * 100 > limit * known_number) status = bad;
        }
        threshold = number(limit);
      }
      text += std::to_string(attempt) + " " + to_rfc3339(at) + " " + status + " " + shown + " " + baseline + " " +
              threshold + " " + run_text + " " + reason + tail + "\n";
    }
    if (run.status == RunStatus::kSuccess && own_number) {
      known = {run.scheduled_at, run.id};
      known_number = *own_number;
      if (own_columns) known_columns = *own_columns;
    }
  }
  return out;
}

}  // namespace runtail::test
