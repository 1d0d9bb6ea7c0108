// Alerts: where they go, what raises them, what was raised, what was sent.
#pragma once

#include "schema/row.h"

namespace runtail {

struct AlertChannelRow {
  static constexpr std::string_view kTable = "alert_channels";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  std::string name, kind, target_ref;
  bool send_resolved = false, enabled = false;
  std::string source;
  TimePoint updated_at{};
  bool operator==(const AlertChannelRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("name", row.name);
    visit("kind", row.kind);
    visit("target_ref", row.target_ref);
    visit("send_resolved", row.send_resolved);
    visit("enabled", row.enabled);
    visit("source", row.source);
    visit("updated_at", row.updated_at);
  }
};

struct AlertRuleRow {
  static constexpr std::string_view kTable = "alert_rules";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  std::string name, kind;
  std::optional<std::string> job_id;
  Json params;
  std::optional<std::int32_t> window_s, for_s;
  std::string severity;
  Json labels, annotations;
  bool enabled = false;
  std::string source;
  TimePoint updated_at{};
  bool operator==(const AlertRuleRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("name", row.name);
    visit("kind", row.kind);
    visit("job_id", row.job_id);
    visit("params", row.params);
    visit("window_s", row.window_s);
    visit("for_s", row.for_s);
    visit("severity", row.severity);
    visit("labels", row.labels);
    visit("annotations", row.annotations);
    visit("enabled", row.enabled);
    visit("source", row.source);
    visit("updated_at", row.updated_at);
  }
};

struct AlertRuleChannelRow {
  static constexpr std::string_view kTable = "alert_rule_channels";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id, rule_id, channel_id;
  std::optional<std::int32_t> repeat_s;
  bool operator==(const AlertRuleChannelRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("rule_id", row.rule_id);
    visit("channel_id", row.channel_id);
    visit("repeat_s", row.repeat_s);
  }
};

struct AlertEventRow {
  static constexpr std::string_view kTable = "alert_events";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id, rule_id;
  std::string dedupe_key, status, severity;
  TimePoint fired_at{}, last_seen_at{};
  std::optional<TimePoint> resolved_at;
  std::int32_t count = 0;
  std::optional<std::string> job_id;
  std::optional<Uuid> run_id, dq_result_id;
  std::optional<TimePoint> dq_result_at;
  Json labels, annotations;
  std::optional<std::string> correlation_id, acknowledged_by;
  std::optional<TimePoint> acknowledged_at, notify_at, notified_at;
  bool operator==(const AlertEventRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("rule_id", row.rule_id);
    visit("dedupe_key", row.dedupe_key);
    visit("status", row.status);
    visit("severity", row.severity);
    visit("fired_at", row.fired_at);
    visit("last_seen_at", row.last_seen_at);
    visit("resolved_at", row.resolved_at);
    visit("count", row.count);
    visit("job_id", row.job_id);
    visit("run_id", row.run_id);
    visit("dq_result_id", row.dq_result_id);
    visit("dq_result_at", row.dq_result_at);
    visit("labels", row.labels);
    visit("annotations", row.annotations);
    visit("correlation_id", row.correlation_id);
    visit("acknowledged_by", row.acknowledged_by);
    visit("acknowledged_at", row.acknowledged_at);
    visit("notify_at", row.notify_at);
    visit("notified_at", row.notified_at);
  }
};

struct AlertDeliveryRow {
  static constexpr std::string_view kTable = "alert_deliveries";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id, alert_id, channel_id;
  std::string kind;
  std::int32_t seq = 0;
  std::string state;
  std::int32_t attempts = 0;
  std::optional<TimePoint> next_attempt_at, leased_until, sent_at;
  std::optional<std::string> last_error;
  TimePoint created_at{};
  bool operator==(const AlertDeliveryRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("alert_id", row.alert_id);
    visit("channel_id", row.channel_id);
    visit("kind", row.kind);
    visit("seq", row.seq);
    visit("state", row.state);
    visit("attempts", row.attempts);
    visit("next_attempt_at", row.next_attempt_at);
    visit("leased_until", row.leased_until);
    visit("sent_at", row.sent_at);
    visit("last_error", row.last_error);
    visit("created_at", row.created_at);
  }
};

struct AlertWatchRow {
  static constexpr std::string_view kTable = "alert_watch";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = false;

  Uuid rule_id;
  std::string job_id;
  TimePoint due_at{};
  bool operator==(const AlertWatchRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("rule_id", row.rule_id);
    visit("job_id", row.job_id);
    visit("due_at", row.due_at);
  }
};

struct AlertSilenceRow {
  static constexpr std::string_view kTable = "alert_silences";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  std::string job_pattern;
  std::optional<std::string> rule_name;
  TimePoint starts_at{}, ends_at{};
  std::string created_by;
  std::optional<std::string> comment;
  bool operator==(const AlertSilenceRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("job_pattern", row.job_pattern);
    visit("rule_name", row.rule_name);
    visit("starts_at", row.starts_at);
    visit("ends_at", row.ends_at);
    visit("created_by", row.created_by);
    visit("comment", row.comment);
  }
};

struct EvaluationProgressRow {
  static constexpr std::string_view kTable = "evaluation_progress";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  std::string name;
  std::int64_t stored_before = 0;
  TimePoint updated_at{};
  bool operator==(const EvaluationProgressRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("name", row.name);
    visit("stored_before", row.stored_before);
    visit("updated_at", row.updated_at);
  }
};

}  // namespace runtail
