// Distributions kept in the database for dashboards (metrics_aggregates): how long what lines report took, by five
// minutes, metric and dimensions. Bounds are fixed, so that what several agents counted adds up without loss.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/time.h"

namespace runtail {

inline constexpr std::chrono::seconds kAggregateBucket{300};
// Start of the five minutes, counted from 1970.
TimePoint aggregate_bucket_of(TimePoint at);

enum class Aggregate : std::uint8_t { kJobDuration, kTaskDuration, kRequestDuration, kSpanDuration };

struct AggregateSpec {
  std::string_view metric;                     // as the family on /metrics of the same name
  std::array<std::string_view, 2> dimensions;  // beside the environment; "" none
  std::span<const double> bounds;              // buckets_of() the family
};
const AggregateSpec& spec_of(Aggregate aggregate);

// One duration that a line reports. Views are valid as long as its event.
struct Sample {
  Aggregate of = Aggregate::kJobDuration;
  std::string_view environment;
  std::array<std::string_view, 2> dimensions;  // values of spec_of(of).dimensions
  std::int64_t micros = 0;                     // >= 0
  bool error = false;
  std::optional<std::int64_t> tokens, cost_micros;
};

// Which of the bounds.size() + 1 buckets a duration falls into: the first bound it does not exceed.
std::size_t aggregate_bucket_index(std::span<const double> bounds, std::int64_t micros);

// The value below which a share `q` in (0, 1] of what was counted lies, taken as evenly spread within each bucket,
// between the smallest and the largest value seen; nothing for no count. `counts` has bounds.size() + 1 members, the
// last for what exceeds all.
std::optional<double> quantile_of(std::span<const double> bounds, std::span<const std::int64_t> counts, double min,
                                  double max, double q);

}  // namespace runtail
