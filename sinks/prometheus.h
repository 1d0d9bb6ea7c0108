// The page a scrape reads: text format 0.0.4, which every Prometheus understands.
#pragma once

#include <string>
#include <string_view>

#include "core/metric.h"

namespace runtail {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// All published series, in the order of metric_families(); a family without series is left out. Threads: any.
std::string render(const PublishedMetrics& metrics);

}  // namespace runtail
