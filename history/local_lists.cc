// Lists of the local store that are no lists of runs.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "history/local_store.h"
#include "history/row_codec.h"
#include "history/row_page.h"
#include "schema/rows/quality.h"
#include "schema/rows/service.h"

namespace runtail {
namespace {

// Nulls behind all others, as ORDER BY has them.
template <typename T>
std::pair<bool, T> nulls_last(const std::optional<T>& value) {
  return {!value, value.value_or(T{})};
}

bool is_wanted(const std::optional<std::string>& value, const std::optional<std::string>& wanted) {
  return !wanted || value == wanted;
}

bool has_status(const DqCheckResultRow& row, const std::optional<std::string>& wanted) {
  return !wanted || (wanted == "finding" ? row.status != "pass" : row.status == *wanted);
}

// The most frequent one that is stated; of equally frequent ones the smallest.
class Usual {
 public:
  void add(const std::optional<std::string>& value) {
    if (value) ++counts_[*value];
  }
  std::optional<std::string> value() const {
    const auto most = std::max_element(counts_.begin(), counts_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == counts_.end() ? std::nullopt : std::optional(most->first);
  }

 private:
  std::map<std::string, int> counts_;
};

}  // namespace

Result<Listing<DatasetFreshness>> LocalStore::datasets(const DatasetFilter& filter, const Slice& slice) {
  const TimePoint now = clock_.now();
  std::vector<DatasetFreshness> rows;
  kept_.scan(kDatasets, {}, [&](std::string_view, std::string_view value) {
    const auto kept = decode_row<DatasetStatusRow>(value);
    if (!kept || !is_wanted(kept->environment, filter.environment) || !is_wanted(kept->dataset, filter.dataset) ||
        !is_run_of(kept->last_run_id, filter.projects)) {
      return true;
    }
    DatasetFreshness& row = rows.emplace_back();
    row.dataset = kept->dataset;
    row.environment = kept->environment;
    row.last_successful_update = kept->last_success_at;
    row.record_count = kept->record_count;
    if (kept->last_success_at) {
      row.freshness_minutes = std::chrono::floor<std::chrono::minutes>(now - *kept->last_success_at).count();
    }
    row.last_run_id = kept->last_run_id;
    if (!filter.projects) row.last_status = kept->last_status;
    return true;
  });
  std::sort(rows.begin(), rows.end(), [](const DatasetFreshness& a, const DatasetFreshness& b) {
    return std::tuple(a.last_successful_update, a.dataset, nulls_last(a.environment)) <
           std::tuple(b.last_successful_update, b.dataset, nulls_last(b.environment));
  });
  return row_page(std::move(rows), slice);
}

Result<Listing<DqCheckResultRow>> LocalStore::check_results(const ResultFilter& filter, const Slice& slice) {
  Listing<DqCheckResultRow> out;
  std::size_t left_out = rows_skipped(slice);
  std::int64_t total = 0;
  kept_.scan(kResultTimes, timed_key_before(kResultTimes, filter.created.to),
             [&](std::string_view key, std::string_view value) {
               const auto place = read_timed_key(key);
               if (!place || place->at < filter.created.from) return !place;
               auto row = decode_row<DqCheckResultRow>(value);
               if (!row || !is_wanted(row->job_id, filter.job_id) || (filter.run_id && row->run_id != filter.run_id) ||
                   (filter.check_id && row->check_id != *filter.check_id) ||
                   !is_wanted(row->table_name, filter.table_name) || !is_wanted(row->column_name, filter.column_name) ||
                   !has_status(*row, filter.status) || !is_run_of(row->run_id, filter.projects)) {
                 return true;
               }
               ++total;
               const bool is_before =
                   slice.after && std::tuple(slice.after->at, place->id) <= std::tuple(place->at, slice.after->id);
               if (is_before || out.rows.size() == rows_wanted(slice)) return true;
               if (left_out > 0) {
                 --left_out;
               } else {
                 out.rows.push_back(std::move(*row));
               }
               return slice.with_total || out.rows.size() < rows_wanted(slice);
             });
  if (slice.with_total) out.total = total;
  return out;
}

Result<Listing<ServiceView>> LocalStore::services(const ServiceFilter& filter, const Slice& slice) {
  std::vector<ServiceHeartbeatRow> kept;
  kept_.scan(kHeartbeats, {}, [&](std::string_view, std::string_view value) {
    if (value.size() < sizeof(Uuid)) return true;
    if (auto row = decode_row<ServiceHeartbeatRow>(value.substr(sizeof(Uuid)))) kept.push_back(std::move(*row));
    return true;
  });
  if (filter.projects) kept.clear();
  std::sort(kept.begin(), kept.end(), [](const ServiceHeartbeatRow& a, const ServiceHeartbeatRow& b) {
    return std::tuple(a.service, nulls_last(a.instance), a.id) < std::tuple(b.service, nulls_last(b.instance), b.id);
  });
  using Group = std::pair<std::string, std::optional<std::string>>;
  std::map<Group, std::pair<Usual, Usual>> usual;
  for (const ServiceHeartbeatRow& row : kept) {
    auto& [version, config] = usual[{row.service, row.environment}];
    version.add(row.version);
    config.add(row.config_digest);
  }
  std::vector<ServiceView> rows;
  for (ServiceHeartbeatRow& row : kept) {
    if (!is_wanted(row.service, filter.service)) continue;
    ServiceView view;
    const auto& [version, config] = usual[{row.service, row.environment}];
    view.version_drift = row.version != version.value();
    view.config_drift = row.config_digest != config.value();
    if (filter.drifting_only && !view.version_drift && !view.config_drift) continue;
    view.service = std::move(row.service);
    view.instance = std::move(row.instance);
    view.environment = std::move(row.environment);
    view.version = std::move(row.version);
    view.git_sha = std::move(row.git_sha);
    view.status = std::move(row.status);
    view.started_at = row.started_at;
    view.uptime_seconds = row.uptime_seconds;
    view.last_seen_at = row.last_seen_at;
    view.config_digest = std::move(row.config_digest);
    view.lag_bytes = row.lag_bytes;
    view.lag_seconds = row.lag_seconds;
    view.buffer_bytes = row.buffer_bytes;
    view.lost_bytes = row.lost_bytes;
    view.details = std::move(row.details);
    rows.push_back(std::move(view));
  }
  return row_page(std::move(rows), slice);
}

}  // namespace runtail
