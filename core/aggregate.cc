#include "core/aggregate.h"

#include <algorithm>

#include "core/metric.h"

namespace runtail {

TimePoint aggregate_bucket_of(TimePoint at) {
  const std::int64_t length = std::chrono::microseconds(kAggregateBucket).count();
  const std::int64_t micros = to_micros(at);
  const std::int64_t rest = ((micros % length) + length) % length;
  return from_micros(micros - rest);
}

const AggregateSpec& spec_of(Aggregate aggregate) {
  const auto as_family = [](Metric metric, std::array<std::string_view, 2> dimensions) {
    return AggregateSpec{spec_of(metric).name, dimensions, buckets_of(metric)};
  };
  static const AggregateSpec kSpecs[] = {
      as_family(Metric::kJobDuration, {"job_id", "status"}), as_family(Metric::kTaskDuration, {"phase", ""}),
      as_family(Metric::kApiRequestDuration, {"route", "method"}), as_family(Metric::kSpanDuration, {"span_type", ""})};
  return kSpecs[static_cast<std::size_t>(aggregate)];
}

std::size_t aggregate_bucket_index(std::span<const double> bounds, std::int64_t micros) {
  const double seconds = static_cast<double>(micros) / 1e6;
  return static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin());
}

std::optional<double> quantile_of(std::span<const double> bounds, std::span<const std::int64_t> counts, double min,
                                  double max, double q) {
  std::int64_t total = 0;
  for (const std::int64_t count : counts) total += count;
  if (total == 0 || counts.size() != bounds.size() + 1) return std::nullopt;
  const double rank = q * static_cast<double>(total);
  std::int64_t below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0 || static_cast<double>(below + counts[i]) < rank) {
      below += counts[i];
      continue;
    }
    const double low = std::max(min, i == 0 ? 0.0 : bounds[i - 1]);
    const double high = i < bounds.size() ? std::min(max, bounds[i]) : max;
    const double share = (rank - static_cast<double>(below)) / static_cast<double>(counts[i]);
    // Rounding may lead a little beyond the bucket.
    return std::clamp(std::min(low + (high - low) * share, high), min, max);
  }
  return max;
}

}  // namespace runtail
