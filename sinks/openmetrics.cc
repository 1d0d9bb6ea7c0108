#include "sinks/openmetrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

namespace runtail {
namespace {

constexpr std::string_view kTotal = "_total";
constexpr double kIntegersUpTo = 9007199254740992;  // 2^53: each below is exact in a double

void append(std::string& page, std::uint64_t value) {
  char text[24];
  page.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void append(std::string& page, double value) {
  if (value >= 0 && value < kIntegersUpTo && std::floor(value) == value) {
    return append(page, static_cast<std::uint64_t>(value));
  }
  char text[40];
  page.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

// Help holds neither quotes, backslashes nor line ends (tests/unit/core/metric_test.cc), label values only the
// characters of a label: nothing needs escaping.
void append_head(std::string& page, const MetricFamilySpec& spec) {
  std::string_view family = spec.name;
  if (spec.type == MetricType::kCounter) family.remove_suffix(kTotal.size());
  page.append("# HELP ").append(family).append(" ").append(spec.help);
  page.append("\n# TYPE ").append(family).append(" ").append(to_string(spec.type)) += '\n';
}

// `job_id="orders",status="failed"`
void write_labels(const Series& series, std::string& labels) {
  labels.clear();
  std::string_view names = spec_of(series.metric).labels;
  for (const std::string& value : series.labels) {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    if (!labels.empty()) labels += ',';
    labels.append(name).append("=\"").append(value) += '"';
  }
}

// ` # {run_id="...",trace_id="..."} 12.5 1772323202.000123`
void append_exemplar(std::string& page, const Series& series, std::size_t bucket) {
  const auto found = std::find_if(series.exemplars.begin(), series.exemplars.end(),
                                  [bucket](const Exemplar& each) { return each.bucket == bucket; });
  if (found == series.exemplars.end()) return;
  page += " # {";
  if (!found->run_id.is_nil()) page.append("run_id=\"").append(to_string(found->run_id)) += '"';
  if (!found->trace_id.empty()) {
    page.append(found->run_id.is_nil() ? "" : ",").append("trace_id=\"").append(found->trace_id) += '"';
  }
  page += "} ";
  append(page, found->value);
  const std::int64_t micros = to_micros(found->at);
  char text[40];
  page += ' ';
  page.append(
      text,
      std::to_chars(text, text + sizeof text, static_cast<double>(micros) / 1e6, std::chars_format::fixed, 6).ptr);
}

void append_sample(std::string& page, std::string_view name, std::string_view suffix, std::string_view labels) {
  page.append(name).append(suffix);
  if (!labels.empty()) (page += '{').append(labels) += '}';
  page += ' ';
}

// `stamp`: " 1772323202", or "".
void append_histogram(std::string& page, const Series& series, std::string_view labels, std::string_view stamp) {
  const std::string_view name = spec_of(series.metric).name;
  const std::span<const double> bounds = buckets_of(series.metric);
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < series.buckets.size(); ++i) {
    count += series.buckets[i];
    page.append(name).append("_bucket{").append(labels).append(labels.empty() ? "le=\"" : ",le=\"");
    if (i < bounds.size()) {
      append(page, bounds[i]);
    } else {
      page += "+Inf";
    }
    page += "\"} ";
    append(page, count);
    page += stamp;
    append_exemplar(page, series, i);
    page += '\n';
  }
  append_sample(page, name, "_count", labels);
  append(page, count);
  page.append(stamp) += '\n';
  append_sample(page, name, "_sum", labels);
  append(page, series.sum);
  page.append(stamp) += '\n';
}

void append_series(std::string& page, const Series& series, std::string_view labels, std::string_view stamp) {
  const MetricFamilySpec& spec = spec_of(series.metric);
  if (spec.type == MetricType::kHistogram) return append_histogram(page, series, labels, stamp);
  append_sample(page, spec.name, "", labels);
  append(page, series.value);
  page += stamp;
  append_exemplar(page, series, 0);
  page += '\n';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the part before `end` off the front, or all of it.
std::string_view next_part(std::string_view& rest, char end) {
  const std::size_t at = std::min(rest.find(end), rest.size());
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(rest.size(), at + 1));
  return trimmed(part);
}

}  // namespace

bool prefers_openmetrics(std::string_view accept) {
  double open = 0, text = 0;
  while (!accept.empty()) {
    std::string_view range = next_part(accept, ',');
    const std::string_view type = next_part(range, ';');
    double quality = 1;
    bool is_known_version = true;
    while (!range.empty()) {
      const std::string_view parameter = next_part(range, ';');
      if (parameter.starts_with("q=")) {
        const auto [end, error] = std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), quality);
        if (error != std::errc() || end != parameter.data() + parameter.size()) quality = 0;
      } else if (parameter.starts_with("version=")) {
        is_known_version = parameter == "version=1.0.0" || parameter == "version=0.0.1" || parameter == "version=0.0.4";
      }
    }
    if (!is_known_version) continue;
    if (type == "application/openmetrics-text") open = std::max(open, quality);
    if (type == "text/plain") text = std::max(text, quality);
  }
  return open > 0 && open >= text;
}

std::string render_openmetrics(const PublishedMetrics& metrics) {
  std::string page, labels;
  const MetricFamilySpec* current = nullptr;
  metrics.for_each([&](const Series& series) {
    const MetricFamilySpec& spec = spec_of(series.metric);
    if (&spec != current) append_head(page, spec);
    current = &spec;
    write_labels(series, labels);
    append_series(page, series, labels, "");
  });
  page += kOpenMetricsEnd;
  return page;
}

void append_openmetrics_head(std::string& page, Metric metric) { append_head(page, spec_of(metric)); }

void append_openmetrics(std::string& page, const Series& series, std::int64_t at_seconds) {
  std::string labels;
  write_labels(series, labels);
  append_series(page, series, labels, " " + std::to_string(at_seconds));
}

}  // namespace runtail
