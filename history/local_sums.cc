// How jobs did, from the entries of their runs.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "history/local_store.h"
#include "history/row_page.h"

namespace runtail {
namespace {

constexpr std::chrono::days kLatestRunWithin{90}, kRatesOf{7}, kLoadedOf{1};

// Text in any case, as lower() of PostgreSQL for ASCII.
std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return out;
}

bool is_one_of(const std::optional<std::string>& project, const Projects& projects) {
  return !projects || (project && std::find(projects->begin(), projects->end(), *project) != projects->end());
}

// Runs that count in rates and averages.
struct Counts {
  std::int64_t runs = 0, succeeded = 0, failed = 0, cancelled = 0, skipped = 0, timed = 0;
  __extension__ __int128 microseconds = 0;  // of those with a duration

  void add(const RunIndexRow& row) {
    ++runs;
    succeeded += row.status == "success";
    failed += row.status == "failed";
    cancelled += row.status == "cancelled";
    skipped += row.status == "skipped";
    if (!row.duration_us) return;
    ++timed;
    microseconds += *row.duration_us;
  }
  std::optional<double> success_rate() const {
    const std::int64_t ended = succeeded + failed + cancelled;
    return ended == 0 ? std::nullopt : std::optional(static_cast<double>(succeeded) / static_cast<double>(ended));
  }
  // Halves go up, as round() has them.
  std::optional<std::int64_t> average_ms() const {
    if (timed == 0) return std::nullopt;
    return static_cast<std::int64_t>((2 * microseconds + timed * 1000) / (timed * 2000));
  }
};

// Up to the largest number there is.
void add_amount(std::optional<std::int64_t>& sum, const std::optional<std::int64_t>& amount) {
  std::int64_t total = 0;
  if (!amount) return;
  sum = __builtin_add_overflow(sum.value_or(0), *amount, &total) ? std::numeric_limits<std::int64_t>::max() : total;
}

struct JobWeek {
  Uuid last_run_id;
  TimePoint last_run_at{};
  std::string last_run_status;
  Counts counts;
  std::optional<std::int64_t> loaded;
};

}  // namespace

Result<Listing<JobSummary>> LocalStore::jobs(const JobFilter& filter, TimePoint now, const Slice& slice) {
  std::map<std::string, JobWeek, std::less<>> weeks;
  each_run(now - kLatestRunWithin + std::chrono::microseconds(1), now + std::chrono::microseconds(1),
           [&](const TimedId& place, const RunIndexRow& row) {
             if (!is_one_of(row.project_id, filter.projects)) return true;
             const auto [at, is_last] = weeks.try_emplace(row.job_id);
             JobWeek& week = at->second;
             if (is_last) {
               week.last_run_id = place.id;
               week.last_run_at = place.at;
               week.last_run_status = row.status;
             }
             if (place.at <= now - kRatesOf) return true;
             if (counts_as_run(place.id, row)) week.counts.add(row);
             if (place.at > now - kLoadedOf) add_amount(week.loaded, row.records_loaded);
             return true;
           });
  Listing<JobSummary> out;
  std::size_t left_out = rows_skipped(slice);
  std::int64_t total = 0;
  const std::string part = lower(filter.part.value_or(""));
  kept_.scan(kJobNames, {}, [&](std::string_view key, std::string_view) {
    const std::string_view job_id = key.substr(kJobNames.size());
    const auto week = weeks.find(job_id);
    const bool has_run = week != weeks.end();
    if ((filter.projects && !has_run) || (filter.part && lower(job_id).find(part) == std::string::npos) ||
        (filter.status && (!has_run || week->second.last_run_status != *filter.status))) {
      return true;
    }
    ++total;
    if ((slice.after && job_id <= slice.after->text) || out.rows.size() == rows_wanted(slice)) return true;
    if (left_out > 0) {
      --left_out;
      return true;
    }
    JobSummary& row = out.rows.emplace_back();
    row.job_id = job_id;
    row.enabled = true;
    if (has_run) {
      row.last_run_id = week->second.last_run_id;
      row.last_run_at = week->second.last_run_at;
      row.last_run_status = week->second.last_run_status;
      row.success_rate_7d = week->second.counts.success_rate();
      row.avg_duration_ms_7d = week->second.counts.average_ms();
      row.records_loaded_24h = week->second.loaded;
    }
    return true;
  });
  if (slice.with_total) out.total = total;
  return out;
}

Result<Listing<WeeklySummary>> LocalStore::weeks(const WeekFilter& filter, const Slice& slice) {
  using Environment = std::pair<bool, std::string>;  // those without one last
  struct Sum {
    Counts counts;
    std::optional<std::int64_t> loaded;
  };
  std::map<std::tuple<std::chrono::days, std::string, Environment>, Sum> sums;  // by days to go: the latest first
  each_run(filter.scheduled.from, filter.scheduled.to, [&](const TimedId& place, const RunIndexRow& row) {
    if ((filter.job_id && row.job_id != *filter.job_id) ||
        (filter.environment && row.environment != filter.environment) || !is_one_of(row.project_id, filter.projects)) {
      return true;
    }
    const auto day = std::chrono::floor<std::chrono::days>(place.at);
    const auto monday = day - (std::chrono::weekday(day) - std::chrono::Monday);
    Sum& sum = sums[{-monday.time_since_epoch(), row.job_id, {!row.environment, row.environment.value_or("")}}];
    if (counts_as_run(place.id, row)) sum.counts.add(row);
    add_amount(sum.loaded, row.records_loaded);
    return true;
  });
  std::vector<WeeklySummary> rows;
  for (const auto& [key, sum] : sums) {
    const auto& [before, job_id, environment] = key;
    WeeklySummary& row = rows.emplace_back();
    row.job_id = job_id;
    if (!environment.first) row.environment = environment.second;
    row.week = std::chrono::sys_days(-before);
    row.runs = sum.counts.runs;
    row.succeeded = sum.counts.succeeded;
    row.failed = sum.counts.failed;
    row.cancelled = sum.counts.cancelled;
    row.skipped = sum.counts.skipped;
    row.success_rate = sum.counts.success_rate();
    row.avg_duration_ms = sum.counts.average_ms();
    row.records_loaded = sum.loaded;
  }
  return row_page(std::move(rows), slice);
}

}  // namespace runtail
