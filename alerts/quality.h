// Verdicts on the data of a run, judged from what its lines said and never from the data. Pure: no I/O, no clock, and a
// verdict depends on which runs and observations there are, never on the order in which they came.
//
// A run's place is (scheduled_at, run id), whenever it ended: so a backfilled run is compared with what was before it
// then, and runs that end out of order with the same runs as in order. Its baseline at a check is the nearest earlier
// run of the same job and environment that succeeded and says something at that check, within kBaselineWithin.
//   first run                pass, "no_baseline"; a limit that needs no baseline is held all the same
//   previous run failed      passed over, as is one that is open, skipped or silent about the table
//   zero rows before         0 again passes; rows out of nothing exceed every percentage: flagged "zero_before"
//   no observation           no verdict: a run that says nothing is not judged
//   missing column           null_rate: once the attempt is over and named rates of the table, but never that one:
//                            flagged "missing_column"
// Of several observations of one attempt the last counts, by (time, event id); of null rates the last that names the
// column. Each attempt that observed something has a verdict of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "core/uuid.h"
#include "core/words.h"

namespace runtail {

inline constexpr std::chrono::days kBaselineWithin{90};
// Thresholds of checks that state none: percent, and a rise of the share.
inline constexpr double kRowDeltaThreshold = 20, kNullRateThreshold = 0.05;

enum class CheckType : std::uint8_t { kRowCountDelta, kNullRate, kSchemaDrift };

// "row_count_delta", "null_rate", "schema_drift", as dq_check_definitions.check_type has them; no value for others.
std::optional<CheckType> to_check_type(std::string_view word);
std::string_view to_string(CheckType type);
// The kind of observation that a check reads, as dq_observations.kind has it.
std::string_view observed_by(CheckType type);

struct QualityCheck {
  Uuid id;
  CheckType type = CheckType::kRowCountDelta;
  std::string table;
  std::string column;                                          // null_rate only
  std::optional<double> threshold;                             // percent, or a rise of the share
  std::optional<double> absolute_limit;                        // null_rate: a share
  std::optional<std::map<std::string, std::string>> expected;  // schema_drift: columns with their types
  DqStatus severity = DqStatus::kWarn;                         // what a flagged result is: kWarn or kFail
};

// One row of dq_observations: what of the last three its kind has.
struct QualityObservation {
  TimePoint at{};
  Uuid event_id;
  int attempt = 1;
  std::string table;
  std::optional<std::int64_t> rows;
  std::optional<std::map<std::string, double>> rates;         // 0 to 1 by column
  std::optional<std::map<std::string, std::string>> columns;  // types by column
};

struct QualityRun {
  Uuid id;
  TimePoint scheduled_at{};
  RunStatus status = RunStatus::kRunning;
  int attempt = 1;  // that the status is of
  std::vector<QualityObservation> observations;
};

struct RetypedColumn {
  std::string name, before, now;
  bool operator==(const RetypedColumn&) const = default;
};

struct QualityVerdict {
  int attempt = 1;
  TimePoint at{};  // of the observation that was judged
  DqStatus status = DqStatus::kPass;
  // row_count_delta: the difference in percent of the baseline. null_rate: the share. schema_drift: how many columns
  // differ. None where there is no number.
  std::optional<double> value;
  std::optional<double> baseline;  // rows, or share
  std::optional<double> threshold;
  std::optional<Uuid> baseline_run;
  // "", or why there is no comparison or what was exceeded: no_baseline, zero_before, missing_column, absolute_limit.
  std::string_view reason = "";
  std::optional<std::int64_t> rows;
  std::vector<std::string> added, missing;  // columns, in byte order; the next too
  std::vector<RetypedColumn> retyped;
  bool operator==(const QualityVerdict&) const = default;
};

// Verdicts of `run` at `check`, by attempt. `others`: runs of its job and environment in any order, at least the one
// that is the baseline; the run itself and later ones do no harm.
std::vector<QualityVerdict> judge(const QualityCheck& check, const QualityRun& run, std::span<const QualityRun> others);

}  // namespace runtail
