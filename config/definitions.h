// What a team defines beside its logs: its jobs, the checks of their data, what raises an alert and where alerts go.
// `runtail migrate` writes these into the registry tables.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace runtail {

struct JobConfig {
  // As lines name it.
  std::string id;
  std::string name;            // for people
  std::string type = "batch";  // batch, streaming
  std::string owner, service, dataset;
  // A cron expression or words; how often runs are expected is expected_every.
  std::string schedule;
  // 0: not said.
  std::chrono::milliseconds expected_every{0};
  // A run without a line for this long is stalled. 0: 15 minutes.
  std::chrono::milliseconds stall_after{0};
  bool enabled = true;
  std::map<std::string, std::string> metadata;
};

struct QualityCheckConfig {
  std::string job;  // of `jobs`
  std::string table;
  std::string column;  // null_rate only
  // row_count_delta, null_rate, schema_drift.
  std::string type;
  // row_count_delta: percent by which a run may differ from the one before. null_rate: how far the share of nulls may
  // rise above its baseline, 0 to 1. Default: 20 and 0.05.
  std::optional<double> threshold;
  // null_rate: the share of nulls that is too much whatever the baseline.
  std::optional<double> absolute_limit;
  // schema_drift: columns by name with their types. Empty: those of the run before.
  std::map<std::string, std::string> expected;
  std::string severity = "warn";  // warn, fail
  bool enabled = true;
};

struct AlertChannelConfig {
  std::string name;
  // slack, email, alertmanager, webhook.
  std::string kind;
  // Where the target is kept, never a secret itself: file:/path, env:NAME, mailto:address, or for alertmanager its
  // URL.
  std::string target;
  bool send_resolved = true;
  bool enabled = true;
};

struct AlertRuleConfig {
  std::string name;
  // JobFailed, NoRecentRuns, ...: docs/configuration.md.
  std::string kind;
  std::string job;                   // of `jobs`; empty: all
  std::string severity = "warning";  // info, warning, critical
  // How far back a rule looks, and how long it must hold. 0: the default of its kind.
  std::chrono::milliseconds window{0}, hold{0};
  // Thresholds of the kind.
  std::map<std::string, std::string> params;
  std::map<std::string, std::string> labels, annotations;
  std::vector<std::string> channels;  // of `alerts.channels`
  // Sent again after this long while it fires. 0: once.
  std::chrono::milliseconds repeat{0};
  bool enabled = true;
};

struct QualityConfig {
  std::vector<QualityCheckConfig> checks;
};

struct AlertsConfig {
  std::vector<AlertChannelConfig> channels;
  std::vector<AlertRuleConfig> rules;
};

}  // namespace runtail
