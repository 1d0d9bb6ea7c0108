// The page a scrape reads that asks for OpenMetrics, as every Prometheus since 2.5 does: the same series as the text
// format, and with them exemplars that lead from a count to a run and its trace.
#pragma once

#include <string>
#include <string_view>

#include "core/metric.h"

namespace runtail {

inline constexpr std::string_view kOpenMetricsContentType =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

// Whether the value of an Accept header asks for OpenMetrics, and the plain text format not more so.
bool prefers_openmetrics(std::string_view accept);

// All published series, in the order of metric_families(), ended by `# EOF`. Names and bounds are spelled as in the
// text format, so that a series is the same whatever was asked for. Threads: any.
std::string render_openmetrics(const PublishedMetrics& metrics);

// The same in pieces, for a history: a family begins with its head, each of its series follows as it was at one time
// after the other, and the whole is ended.
void append_openmetrics_head(std::string& page, Metric metric);
void append_openmetrics(std::string& page, const Series& series, std::int64_t at_seconds);
inline constexpr std::string_view kOpenMetricsEnd = "# EOF\n";

}  // namespace runtail
