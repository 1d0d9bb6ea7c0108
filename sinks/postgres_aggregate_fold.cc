#include "sinks/postgres_aggregate_fold.h"

#include <algorithm>
#include <charconv>

#include "core/identity.h"
#include "core/json_text.h"
#include "sinks/json_rows.h"
#include "sinks/postgres_json.h"

namespace runtail {
namespace {

// Most a cost column holds, numeric(10,6); a larger sum stays there.
constexpr std::int64_t kCostMicrosMax = 9'999'999'999;

void add_to(std::optional<std::int64_t>& sum, const std::optional<std::int64_t>& more) {
  if (more) sum = sum.value_or(0) + *more;
}

std::string dimensions_json(const AggregateSpec& spec, std::string_view environment,
                            const std::array<std::string_view, 2>& values) {
  std::string out = "{";
  const auto member = [&out](std::string_view name, std::string_view value) {
    if (name.empty() || value.empty()) return;
    if (out.size() > 1) out += ',';
    append_json_string(out, name);
    out += ':';
    append_json_string(out, value);
  };
  member("environment", environment);
  member(spec.dimensions[0], values[0]);
  member(spec.dimensions[1], values[1]);
  out += '}';
  // As the column will have it: what it cannot tell apart is one row.
  std::string neutral;
  append_neutral_json(neutral, out);
  return neutral;
}

}  // namespace

void PostgresAggregateFold::add(const Sample& sample, TimePoint at) {
  AggregateRow& row = rows_[{aggregate_bucket_of(at), sample.of, std::string(sample.environment),
                             std::string(sample.dimensions[0]), std::string(sample.dimensions[1])}];
  const auto bounds = spec_of(sample.of).bounds;
  row.buckets.resize(bounds.size() + 1);
  ++row.buckets[aggregate_bucket_index(bounds, sample.micros)];
  row.min_micros = row.count == 0 ? sample.micros : std::min(row.min_micros, sample.micros);
  row.max_micros = std::max(row.max_micros, sample.micros);
  ++row.count;
  row.error_count += sample.error;
  row.sum_micros += sample.micros;
  add_to(row.tokens, sample.tokens);
  add_to(row.cost_micros, sample.cost_micros);
  if (row.cost_micros) row.cost_micros = std::min(*row.cost_micros, kCostMicrosMax);
}

std::string PostgresAggregateFold::rows() const {
  JsonRows rows;
  for (const auto& [key, row] : rows_) {
    const auto& [bucket, aggregate, environment, first, second] = key;
    const AggregateSpec& spec = spec_of(aggregate);
    const std::string dimensions = dimensions_json(spec, environment, {first, second});
    const std::string seconds = std::to_string(kAggregateBucket.count());
    rows.begin_row();
    rows.uuid("id", uuid_v5(runtail_namespace(), {to_rfc3339(bucket), seconds, spec.metric, dimensions}));
    rows.time("bucket", bucket);
    rows.integer("bucket_seconds", kAggregateBucket.count());
    rows.text("metric", spec.metric);
    rows.json("dimensions", dimensions);
    rows.integer("count", row.count);
    rows.decimal_micros("sum", row.sum_micros);
    std::string buckets;
    for (const std::int64_t count : row.buckets) buckets += (buckets.empty() ? "[" : ",") + std::to_string(count);
    rows.json("buckets", buckets + ']');
    rows.integer("error_count", row.error_count);
    rows.integer("tokens", row.tokens);
    rows.decimal_micros("cost_usd", row.cost_micros);
    rows.decimal_micros("min", row.min_micros);
    rows.decimal_micros("max", row.max_micros);
  }
  return rows.take();
}

std::optional<Quantiles> quantiles_of_row(std::string_view metric, std::string_view buckets, double min, double max) {
  std::vector<std::int64_t> counts;
  for (const char* at = buckets.data(); at < buckets.data() + buckets.size();) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(at, buckets.data() + buckets.size(), count);
    if (error == std::errc{}) counts.push_back(count);
    at = error == std::errc{} ? end : at + 1;
  }
  for (const Aggregate aggregate :
       {Aggregate::kJobDuration, Aggregate::kTaskDuration, Aggregate::kRequestDuration, Aggregate::kSpanDuration}) {
    const AggregateSpec& spec = spec_of(aggregate);
    if (spec.metric != metric) continue;
    const auto at = [&](double q) { return quantile_of(spec.bounds, counts, min, max, q); };
    if (!at(0.5)) return std::nullopt;
    return Quantiles{*at(0.5), *at(0.95), *at(0.99)};
  }
  return std::nullopt;
}

}  // namespace runtail
