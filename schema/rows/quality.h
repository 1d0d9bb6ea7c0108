// Data quality and datasets.
#pragma once

#include "schema/row.h"

namespace runtail {

struct DqCheckDefinitionRow {
  static constexpr std::string_view kTable = "dq_check_definitions";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid check_id;
  std::optional<std::string> job_id;
  std::string table_name;
  std::optional<std::string> column_name;
  std::string check_type, metric;
  std::optional<double> threshold, absolute_limit;
  std::optional<Json> expected;
  std::string severity;
  bool enabled = false;
  std::string source;
  TimePoint updated_at{};
  bool operator==(const DqCheckDefinitionRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("check_id", row.check_id);
    visit("job_id", row.job_id);
    visit("table_name", row.table_name);
    visit("column_name", row.column_name);
    visit("check_type", row.check_type);
    visit("metric", row.metric);
    visit("threshold", row.threshold);
    visit("absolute_limit", row.absolute_limit);
    visit("expected", row.expected);
    visit("severity", row.severity);
    visit("enabled", row.enabled);
    visit("source", row.source);
    visit("updated_at", row.updated_at);
  }
};

struct DqObservationRow {
  static constexpr std::string_view kTable = "dq_observations";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = true;

  Uuid id;
  TimePoint observed_at{};
  std::optional<Uuid> run_id;
  std::string job_id;
  std::optional<std::int32_t> attempt_no;
  std::string table_name, kind;
  std::optional<std::int64_t> row_count;
  std::optional<Json> data;
  Uuid event_id;
  std::int64_t stored_in = 0;
  bool operator==(const DqObservationRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("observed_at", row.observed_at);
    visit("run_id", row.run_id);
    visit("job_id", row.job_id);
    visit("attempt_no", row.attempt_no);
    visit("table_name", row.table_name);
    visit("kind", row.kind);
    visit("row_count", row.row_count);
    visit("data", row.data);
    visit("event_id", row.event_id);
    visit("stored_in", row.stored_in);
  }
};

struct DqCheckResultRow {
  static constexpr std::string_view kTable = "dq_check_results";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  TimePoint created_at{};
  Uuid check_id;
  std::optional<Uuid> run_id;
  std::optional<std::string> job_id;
  std::optional<std::int32_t> attempt_no;
  std::string type, status, metric;
  std::optional<double> value, baseline, threshold;
  std::optional<std::string> severity, table_name, column_name;
  Json details;
  std::optional<std::string> correlation_id, request_id, ruleset;
  bool operator==(const DqCheckResultRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("created_at", row.created_at);
    visit("check_id", row.check_id);
    visit("run_id", row.run_id);
    visit("job_id", row.job_id);
    visit("attempt_no", row.attempt_no);
    visit("type", row.type);
    visit("status", row.status);
    visit("metric", row.metric);
    visit("value", row.value);
    visit("baseline", row.baseline);
    visit("threshold", row.threshold);
    visit("severity", row.severity);
    visit("table_name", row.table_name);
    visit("column_name", row.column_name);
    visit("details", row.details);
    visit("correlation_id", row.correlation_id);
    visit("request_id", row.request_id);
    visit("ruleset", row.ruleset);
  }
};

struct DatasetStatusRow {
  static constexpr std::string_view kTable = "dataset_status";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  std::optional<std::string> environment;
  std::string dataset;
  std::optional<std::string> job_id;
  std::optional<TimePoint> last_success_at;
  std::optional<std::int64_t> record_count;
  std::optional<Uuid> last_run_id;
  std::optional<std::string> last_status;
  std::optional<TimePoint> last_status_at;
  TimePoint last_event_at{};
  bool operator==(const DatasetStatusRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("environment", row.environment);
    visit("dataset", row.dataset);
    visit("job_id", row.job_id);
    visit("last_success_at", row.last_success_at);
    visit("record_count", row.record_count);
    visit("last_run_id", row.last_run_id);
    visit("last_status", row.last_status);
    visit("last_status_at", row.last_status_at);
    visit("last_event_at", row.last_event_at);
  }
};

}  // namespace runtail
