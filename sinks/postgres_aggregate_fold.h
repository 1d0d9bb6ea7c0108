// Samples of a batch, counted into the rows of metrics_aggregates. No I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/aggregate.h"

namespace runtail {

// Counts of one metric with its dimensions in one bucket of time. All are whole numbers, so that adding is exact.
struct AggregateRow {
  std::int64_t count = 0, error_count = 0, sum_micros = 0, min_micros = 0, max_micros = 0;
  std::optional<std::int64_t> tokens, cost_micros;
  std::vector<std::int64_t> buckets;  // by spec_of(..).bounds, and one for what exceeds all
};

class PostgresAggregateFold {
 public:
  void clear() { rows_.clear(); }
  void add(const Sample& sample, TimePoint at);
  bool empty() const { return rows_.empty(); }
  // The parameter of the statement that merges them.
  std::string rows() const;

 private:
  using Key = std::tuple<TimePoint, Aggregate, std::string, std::string, std::string>;  // environment, dimensions
  std::map<Key, AggregateRow> rows_;
};

// Of a merged row, from its columns as the statement returns them: p50, p95, p99 by metric, buckets ("{1,0,3}"), min
// and max in seconds. Nothing for a metric that this version does not know, or buckets of another number.
struct Quantiles {
  double p50 = 0, p95 = 0, p99 = 0;
};
std::optional<Quantiles> quantiles_of_row(std::string_view metric, std::string_view buckets, double min, double max);

}  // namespace runtail
