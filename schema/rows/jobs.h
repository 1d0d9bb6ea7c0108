// The registry of jobs, and what their days amount to.
#pragma once

#include "schema/row.h"

namespace runtail {

struct EtlJobRow {
  static constexpr std::string_view kTable = "etl_jobs";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  std::string job_id;
  std::optional<std::string> name, job_type, owner, service, dataset, schedule;
  std::optional<std::chrono::seconds> expected_every, stall_after;
  bool enabled = false;
  std::string source;
  Json metadata;
  TimePoint created_at{}, updated_at{};
  bool operator==(const EtlJobRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("job_id", row.job_id);
    visit("name", row.name);
    visit("job_type", row.job_type);
    visit("owner", row.owner);
    visit("service", row.service);
    visit("dataset", row.dataset);
    visit("schedule", row.schedule);
    visit("expected_every", row.expected_every);
    visit("stall_after", row.stall_after);
    visit("enabled", row.enabled);
    visit("source", row.source);
    visit("metadata", row.metadata);
    visit("created_at", row.created_at);
    visit("updated_at", row.updated_at);
  }
};

struct JobDailySummaryRow {
  static constexpr std::string_view kTable = "job_daily_summary";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  std::string job_id, environment;
  std::chrono::sys_days day{};
  std::optional<std::int32_t> runs, succeeded, failed, cancelled, skipped;
  std::optional<double> success_rate, p95_duration_ms;
  std::optional<std::vector<std::int64_t>> duration_buckets;
  std::optional<std::int64_t> records_loaded;
  std::optional<std::int32_t> dq_warn, dq_fail;
  TimePoint computed_at{};
  bool operator==(const JobDailySummaryRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("job_id", row.job_id);
    visit("environment", row.environment);
    visit("day", row.day);
    visit("runs", row.runs);
    visit("succeeded", row.succeeded);
    visit("failed", row.failed);
    visit("cancelled", row.cancelled);
    visit("skipped", row.skipped);
    visit("success_rate", row.success_rate);
    visit("p95_duration_ms", row.p95_duration_ms);
    visit("duration_buckets", row.duration_buckets);
    visit("records_loaded", row.records_loaded);
    visit("dq_warn", row.dq_warn);
    visit("dq_fail", row.dq_fail);
    visit("computed_at", row.computed_at);
  }
};

}  // namespace runtail
