#include "sinks/prometheus.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

namespace runtail {
namespace {

prometheus::MetricType to_prometheus(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric::Histogram to_histogram(const Series& series) {
  prometheus::ClientMetric::Histogram histogram;
  histogram.sample_sum = series.sum;
  histogram.bucket.reserve(series.buckets.size());
  const std::span<const double> bounds = buckets_of(series.metric);
  for (std::size_t i = 0; i < series.buckets.size(); ++i) {
    histogram.sample_count += series.buckets[i];
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({histogram.sample_count, bound});
  }
  return histogram;
}

prometheus::ClientMetric to_sample(const Series& series) {
  prometheus::ClientMetric sample;
  sample.label.reserve(series.labels.size());
  std::string_view names = spec_of(series.metric).labels;
  for (const std::string& value : series.labels) {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    sample.label.push_back({std::string(name), value});
  }
  switch (spec_of(series.metric).type) {
    case MetricType::kCounter:
      sample.counter.value = series.value;
      break;
    case MetricType::kGauge:
      sample.gauge.value = series.value;
      break;
    case MetricType::kHistogram:
      sample.histogram = to_histogram(series);
      break;
  }
  return sample;
}

// `all` is ordered by family.
std::vector<prometheus::MetricFamily> to_families(const std::vector<Series>& all) {
  std::vector<prometheus::MetricFamily> families;
  const MetricFamilySpec* current = nullptr;
  for (const Series& series : all) {
    const MetricFamilySpec& spec = spec_of(series.metric);
    if (&spec != current) {
      families.push_back({std::string(spec.name), std::string(spec.help), to_prometheus(spec.type), {}});
      current = &spec;
    }
    families.back().metric.push_back(to_sample(series));
  }
  return families;
}

}  // namespace

std::string render(const PublishedMetrics& metrics) {
  return prometheus::TextSerializer().Serialize(to_families(metrics.snapshot()));
}

}  // namespace runtail
