// A metric of dashboards, computed ahead. Optional group.
#pragma once

#include "schema/row.h"

namespace runtail {

struct MetricsAggregateRow {
  static constexpr std::string_view kTable = "metrics_aggregates";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  TimePoint bucket{};
  std::int32_t bucket_seconds = 0;
  std::string metric;
  Json dimensions;
  std::int64_t count = 0;
  std::optional<double> sum;
  std::optional<std::vector<std::int64_t>> buckets;
  std::optional<std::int64_t> error_count, tokens;
  std::optional<UsdMicros> cost_usd;
  std::optional<double> min, max, p50, p95, p99;
  bool operator==(const MetricsAggregateRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("bucket", row.bucket);
    visit("bucket_seconds", row.bucket_seconds);
    visit("metric", row.metric);
    visit("dimensions", row.dimensions);
    visit("count", row.count);
    visit("sum", row.sum);
    visit("buckets", row.buckets);
    visit("error_count", row.error_count);
    visit("tokens", row.tokens);
    visit("cost_usd", row.cost_usd);
    visit("min", row.min);
    visit("max", row.max);
    visit("p50", row.p50);
    visit("p95", row.p95);
    visit("p99", row.p99);
  }
};

}  // namespace runtail
