#include "core/metric.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <iterator>
#include <optional>
#include <utility>

#include "core/bytes.h"
#include "core/field.h"

namespace runtail {
namespace {

// As the page of families spells them.
struct Shape {
  MetricType type;
  std::span<const double> buckets = {};
};
constexpr Shape kCounter{MetricType::kCounter}, kGauge{MetricType::kGauge};
constexpr Shape histogram(std::span<const double> buckets) { return {MetricType::kHistogram, buckets}; }

constexpr MetricFamilySpec make_spec(std::string_view name, Shape shape, std::string_view labels,
                                     std::string_view help) {
  return {name, shape.type, labels, help, shape.buckets};
}

constexpr MetricFamilySpec kFamilies[] = {
#define RUNTAIL_SPEC(enumerator, name, type, labels, help) make_spec(name, type, labels, help),
    RUNTAIL_METRICS(RUNTAIL_SPEC)
#undef RUNTAIL_SPEC
};

constexpr std::string_view kMethods[] = {"GET",    "HEAD",    "POST",    "PUT",  "PATCH",
                                         "DELETE", "CONNECT", "OPTIONS", "TRACE"};
constexpr std::string_view kLevels[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
constexpr std::string_view kCategories[] = {"API", "DB", "Data", "System"};
constexpr std::string_view kQueueEvents[] = {"enqueued", "retry", "success", "failure"};
constexpr std::string_view kDirections[] = {"in", "out"};

constexpr std::string_view kOther = "__other__";
constexpr std::string_view kInvalid = "__invalid__";
constexpr std::string_view kNone = "none";
constexpr std::size_t kLabelBytesMax = 128, kTraceBytesMax = 64;
constexpr std::size_t kTakenByAPost = 4;  // more than one, so that it gets less

// Between the parts of a look-up key. No valid label value contains it, so a raw value that does gives a key with more
// separators than any stored key of its family: raw text never finds another's series.
constexpr char kSeparator = '\0';

bool is_label_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == ':' || c == '/' || c == '-';
}

bool is_label_value(std::string_view value) {
  return !value.empty() && value.size() <= kLabelBytesMax && std::all_of(value.begin(), value.end(), is_label_char);
}

bool is_status_code(std::string_view value) {
  return value.size() == 3 && value[0] >= '1' && value[0] <= '5' && value[1] >= '0' && value[1] <= '9' &&
         value[2] >= '0' && value[2] <= '9';
}

std::string_view clean_label(std::string_view name, std::string_view value) {
  if (value.empty() || value == kNone) return kNone;
  if (!is_label_value(value)) return kInvalid;
  if (name == "status_code") return is_status_code(value) ? value : kInvalid;
  const auto allowed = closed_set_of(name);
  return allowed.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end() ? value : kInvalid;
}

// Takes the first name off the list.
std::string_view next_name(std::string_view& names) {
  const std::string_view name = names.substr(0, names.find(','));
  names.remove_prefix(std::min(names.size(), name.size() + 1));
  return name;
}

[[maybe_unused]] std::size_t label_count(std::string_view names) {
  return names.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(names.begin(), names.end(), ','));
}

template <typename Labels>
void build_key(Metric metric, const Labels& labels, std::string& key) {
  key.assign(1, static_cast<char>(metric));
  for (const std::string_view label : labels) {
    key += kSeparator;
    key += label.empty() ? kNone : label;
  }
}

Series make_series(Metric metric, std::initializer_list<std::string_view> labels) {
  assert(labels.size() == label_count(spec_of(metric).labels));
  Series series;
  series.metric = metric;
  series.labels.reserve(labels.size());
  std::string_view names = spec_of(metric).labels;
  for (const std::string_view label : labels) series.labels.emplace_back(clean_label(next_name(names), label));
  if (spec_of(metric).type == MetricType::kHistogram) series.buckets.resize(buckets_of(metric).size() + 1);
  return series;
}

void keep_exemplar(Series& series, std::size_t bucket, double value, const Cause& cause) {
  const bool has_trace = is_label_value(cause.trace_id) && cause.trace_id.size() <= kTraceBytesMax;
  if (!has_trace && cause.run_id.is_nil()) return;
  auto found = std::find_if(series.exemplars.begin(), series.exemplars.end(),
                            [bucket](const Exemplar& each) { return each.bucket == bucket; });
  if (found == series.exemplars.end()) {
    found = series.exemplars.emplace(found);
  } else if (cause.at < found->at) {
    return;
  }
  found->bucket = bucket;
  found->run_id = cause.run_id;
  found->trace_id = has_trace ? cause.trace_id : std::string_view{};
  found->value = value;
  found->at = cause.at;
}

// Takes them, oldest first.
void put_into(std::map<std::string, Series>& all, std::vector<std::vector<Series>>& posted) {
  std::string key;
  for (std::vector<Series>& changed : posted) {
    for (Series& series : changed) {
      build_key(series.metric, series.labels, key);
      all.insert_or_assign(key, std::move(series));
    }
  }
}

bool is_other(const Series& series) {
  return !series.labels.empty() &&
         std::all_of(series.labels.begin(), series.labels.end(), [](const auto& label) { return label == kOther; });
}

// Cuts the text before `end` off the front; nothing when `end` is missing.
std::optional<std::string_view> cut(std::string_view& rest, char end) {
  const std::size_t at = rest.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  return part;
}

}  // namespace

std::string_view to_string(MetricType type) {
  static constexpr std::string_view kNames[] = {"counter", "gauge", "histogram"};
  return kNames[static_cast<std::size_t>(type)];
}

std::span<const MetricFamilySpec> metric_families() { return kFamilies; }

const MetricFamilySpec& spec_of(Metric metric) { return kFamilies[static_cast<std::size_t>(metric)]; }

std::span<const std::string_view> closed_set_of(std::string_view label) {
  if (label == "method") return kMethods;
  if (label == "level") return kLevels;
  if (label == "error_category") return kCategories;
  if (label == "event") return kQueueEvents;
  if (label == "direction") return kDirections;
  if (label == "phase") return kPhaseWords;
  if (label == "job_type") return kJobTypeWords;
  if (label == "span_type") return kSpanTypeWords;
  if (label == "role") return kRoleWords;
  if (label == "event_type") return kEventTypeWords;
  return {};
}

void MetricTable::add(Metric metric, std::initializer_list<std::string_view> labels, double amount,
                      const Cause* cause) {
  if (!std::isfinite(amount) || (amount < 0 && spec_of(metric).type == MetricType::kCounter)) return;
  const std::size_t position = at(metric, labels);
  if (amount == 0) return;
  series_[position].value += amount;
  if (cause) keep_exemplar(series_[position], 0, amount, *cause);
  touch(position);
}

void MetricTable::set(Metric metric, std::initializer_list<std::string_view> labels, double value) {
  if (!std::isfinite(value)) return;
  const std::size_t position = at(metric, labels);
  if (series_[position].value == value) return;
  series_[position].value = value;
  touch(position);
}

void MetricTable::raise(Metric metric, std::initializer_list<std::string_view> labels, double value) {
  if (!std::isfinite(value)) return;
  const std::size_t position = at(metric, labels);
  if (series_[position].value >= value) return;
  series_[position].value = value;
  touch(position);
}

void MetricTable::observe(Metric metric, std::initializer_list<std::string_view> labels, double value,
                          const Cause* cause) {
  if (!std::isfinite(value) || value < 0) return;
  const std::size_t position = at(metric, labels);
  Series& series = series_[position];
  const std::span<const double> bounds = buckets_of(metric);
  // A bound belongs to its bucket: le means less or equal.
  const auto bucket = static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin());
  ++series.buckets[bucket];
  if (cause) keep_exemplar(series, bucket, value, *cause);
  series.sum += value;
  touch(position);
}

void MetricTable::restore(Series series) {
  std::string key;
  build_key(series.metric, series.labels, key);
  if (const auto found = index_.find(key); found != index_.end()) {
    series_[found->second] = std::move(series);
  } else {
    append(key, std::move(series));
  }
}

std::vector<Series> MetricTable::take_changed() {
  std::vector<Series> taken;
  taken.reserve(changed_.size());
  for (const std::size_t position : changed_) {
    taken.push_back(series_[position]);
    dirty_[position] = false;
  }
  changed_.clear();
  return taken;
}

double MetricTable::value(Metric metric, std::initializer_list<std::string_view> labels) const {
  const Series wanted = make_series(metric, labels);
  std::string key;
  build_key(metric, wanted.labels, key);
  const auto found = index_.find(key);
  if (found == index_.end()) return 0;
  const Series& series = series_[found->second];
  if (series.buckets.empty()) return series.value;
  double count = 0;
  for (const std::uint64_t bucket : series.buckets) count += static_cast<double>(bucket);
  return count;
}

std::size_t MetricTable::at(Metric metric, std::initializer_list<std::string_view> labels) {
  build_key(metric, labels, key_);
  const auto found = index_.find(key_);
  return found != index_.end() ? found->second : first_sight(metric, labels);
}

// Raw values that needed cleaning or folding come here each time: keeping them in index_ would let bad input fill it.
std::size_t MetricTable::first_sight(Metric metric, std::initializer_list<std::string_view> labels) {
  Series series = make_series(metric, labels);
  build_key(metric, series.labels, key_);
  if (const auto found = index_.find(key_); found != index_.end()) return found->second;

  const auto family = static_cast<std::size_t>(metric);
  // The counter of foldings has one series per family at most, and must not fold itself.
  const bool may_fold = metric != Metric::kSeriesFoldedTotal && !series.labels.empty();
  if (may_fold && series_per_family_[family] >= max_series_) {
    if (!is_other(series)) add(Metric::kSeriesFoldedTotal, {spec_of(metric).name}, 1);
    for (std::string& label : series.labels) label = kOther;
    build_key(metric, series.labels, key_);
    if (const auto found = index_.find(key_); found != index_.end()) return found->second;
  }
  const std::size_t position = append(key_, std::move(series));
  touch(position);
  return position;
}

std::size_t MetricTable::append(const std::string& key, Series series) {
  if (!is_other(series)) ++series_per_family_[static_cast<std::size_t>(series.metric)];
  const std::size_t position = series_.size();
  series_.push_back(std::move(series));
  dirty_.push_back(false);
  index_.emplace(key, position);
  return position;
}

void MetricTable::touch(std::size_t position) {
  if (dirty_[position]) return;
  dirty_[position] = true;
  changed_.push_back(position);
}

void PublishedMetrics::publish(std::vector<Series> changed) {
  if (!changed.empty()) post(std::move(changed));
}

void PublishedMetrics::set(Metric metric, std::initializer_list<std::string_view> labels, double value) {
  std::vector<Series> changed(1, make_series(metric, labels));
  changed.front().value = value;
  post(std::move(changed));
}

void PublishedMetrics::post(std::vector<Series> changed) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(changed));
  }
  // Else a reader is at it, and what it does not see yet the next one does.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  // After a long reading much lies there: each who posts takes a little of it, and none pays for all.
  std::vector<std::vector<Series>> posted;
  {
    const std::lock_guard inbox_lock(inbox_mutex_);
    const auto end = inbox_.begin() + static_cast<std::ptrdiff_t>(std::min(inbox_.size(), kTakenByAPost));
    posted.assign(std::make_move_iterator(inbox_.begin()), std::make_move_iterator(end));
    inbox_.erase(inbox_.begin(), end);
  }
  put_into(series_, posted);
}

void PublishedMetrics::empty_inbox() const {
  std::vector<std::vector<Series>> posted;
  {
    const std::lock_guard lock(inbox_mutex_);
    posted.swap(inbox_);
  }
  put_into(series_, posted);
}

std::vector<Series> PublishedMetrics::snapshot() const {
  std::vector<Series> all;
  for_each([&all](const Series& series) { all.push_back(series); });
  return all;
}

std::string series_key(const Series& series) {
  const MetricFamilySpec& spec = spec_of(series.metric);
  std::string key(spec.name);
  if (series.labels.empty()) return key;
  std::string_view names = spec.labels;
  key += '{';
  for (const std::string& value : series.labels) {
    key.append(next_name(names)) += '=';
    key.append(value) += ',';
  }
  key.back() = '}';
  return key;
}

// type (1 byte), then a counter or gauge: value; a histogram: sum, number of buckets, observations in each.
std::string encode_series(const Series& series) {
  std::string bytes;
  ByteWriter writer(bytes);
  const MetricType type = spec_of(series.metric).type;
  writer.u8(static_cast<std::uint8_t>(type));
  if (type != MetricType::kHistogram) {
    writer.real(series.value);
    return bytes;
  }
  writer.real(series.sum);
  writer.varint(series.buckets.size());
  for (const std::uint64_t count : series.buckets) writer.varint(count);
  return bytes;
}

bool decode_series(std::string_view key, std::string_view bytes, Series& out) {
  std::string_view labels = key.substr(std::min(key.size(), key.find('{')));
  const std::string_view name = key.substr(0, key.size() - labels.size());
  const auto* spec = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                  [&](const MetricFamilySpec& family) { return family.name == name; });
  if (spec == std::end(kFamilies) || labels.empty() != spec->labels.empty()) return false;

  Series series;
  series.metric = static_cast<Metric>(spec - kFamilies);
  if (!labels.empty()) labels.remove_prefix(1);
  for (std::string_view names = spec->labels; !names.empty();) {
    const std::string_view wanted = next_name(names);
    const auto label = cut(labels, '=');
    const auto value = cut(labels, names.empty() ? '}' : ',');
    if (!label || *label != wanted || !value || !is_label_value(*value)) return false;
    series.labels.emplace_back(*value);
  }
  if (!labels.empty()) return false;

  ByteReader reader(bytes);
  if (reader.u8() != static_cast<std::uint8_t>(spec->type)) return false;
  if (spec->type == MetricType::kHistogram) {
    series.sum = reader.real();
    const std::size_t bucket_count = buckets_of(series.metric).size() + 1;
    if (reader.varint() != bucket_count) return false;
    for (std::size_t i = 0; i < bucket_count; ++i) series.buckets.push_back(reader.varint());
  } else {
    series.value = reader.real();
  }
  if (reader.failed() || !reader.at_end() || !std::isfinite(series.sum) || !std::isfinite(series.value)) return false;
  out = std::move(series);
  return true;
}

}  // namespace runtail
