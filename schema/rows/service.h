// Of the service itself: metrics as they were, instances alive, who read and who changed what.
#pragma once

#include "schema/row.h"

namespace runtail {

struct MetricSnapshotRow {
  static constexpr std::string_view kTable = "metric_snapshots";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = true;

  Uuid id;
  TimePoint ts{};
  std::string agent_id, name, value_type;
  Json labels;
  std::optional<double> value, sum;
  std::optional<std::int64_t> count;
  std::optional<std::vector<std::int64_t>> buckets;
  bool operator==(const MetricSnapshotRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("ts", row.ts);
    visit("agent_id", row.agent_id);
    visit("name", row.name);
    visit("value_type", row.value_type);
    visit("labels", row.labels);
    visit("value", row.value);
    visit("sum", row.sum);
    visit("count", row.count);
    visit("buckets", row.buckets);
  }
};

struct FleetCountRow {
  static constexpr std::string_view kTable = "fleet_counts";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = true;

  std::int64_t id = 0;
  std::string counter, label_1, label_2;
  std::int64_t amount = 0;
  bool operator==(const FleetCountRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("counter", row.counter);
    visit("label_1", row.label_1);
    visit("label_2", row.label_2);
    visit("amount", row.amount);
  }
};

struct FleetTotalRow {
  static constexpr std::string_view kTable = "fleet_totals";
  static constexpr int kKeyColumns = 3;
  static constexpr bool kInsertOnly = false;

  std::string counter, label_1, label_2;
  std::int64_t amount = 0;
  bool operator==(const FleetTotalRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("counter", row.counter);
    visit("label_1", row.label_1);
    visit("label_2", row.label_2);
    visit("amount", row.amount);
  }
};

struct ServiceHeartbeatRow {
  static constexpr std::string_view kTable = "service_heartbeats";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  std::string service;
  std::optional<std::string> instance, environment, version, git_sha;
  std::string status;
  std::optional<TimePoint> started_at;
  std::optional<double> uptime_seconds;
  std::optional<std::string> agent_id, config_digest;
  std::optional<std::int64_t> lag_bytes;
  std::optional<double> lag_seconds;
  std::optional<std::int64_t> buffer_bytes, lost_bytes;
  Json details;
  TimePoint last_seen_at{};
  bool operator==(const ServiceHeartbeatRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("service", row.service);
    visit("instance", row.instance);
    visit("environment", row.environment);
    visit("version", row.version);
    visit("git_sha", row.git_sha);
    visit("status", row.status);
    visit("started_at", row.started_at);
    visit("uptime_seconds", row.uptime_seconds);
    visit("agent_id", row.agent_id);
    visit("config_digest", row.config_digest);
    visit("lag_bytes", row.lag_bytes);
    visit("lag_seconds", row.lag_seconds);
    visit("buffer_bytes", row.buffer_bytes);
    visit("details", row.details);
    visit("last_seen_at", row.last_seen_at);
    visit("lost_bytes", row.lost_bytes);
  }
};

struct AccessLogRow {
  static constexpr std::string_view kTable = "access_log";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = true;

  Uuid id;
  TimePoint at{};
  std::optional<Bytes> subject_hmac;
  std::optional<std::string> scope, method, route;
  std::optional<Bytes> params_digest;
  std::optional<std::int32_t> status, rows, duration_ms;
  std::optional<std::string> correlation_id;
  std::optional<Bytes> remote_hmac;
  bool operator==(const AccessLogRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("at", row.at);
    visit("subject_hmac", row.subject_hmac);
    visit("scope", row.scope);
    visit("method", row.method);
    visit("route", row.route);
    visit("params_digest", row.params_digest);
    visit("status", row.status);
    visit("rows", row.rows);
    visit("duration_ms", row.duration_ms);
    visit("correlation_id", row.correlation_id);
    visit("remote_hmac", row.remote_hmac);
  }
};

struct AuditEventRow {
  static constexpr std::string_view kTable = "audit_events";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = true;

  Uuid id;
  TimePoint at{};
  std::string actor, action;
  std::optional<std::string> object;
  std::optional<Json> before, after;
  std::optional<std::string> correlation_id;
  bool operator==(const AuditEventRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("at", row.at);
    visit("actor", row.actor);
    visit("action", row.action);
    visit("object", row.object);
    visit("before", row.before);
    visit("after", row.after);
    visit("correlation_id", row.correlation_id);
  }
};

}  // namespace runtail
