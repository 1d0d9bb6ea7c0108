// What a team defines beside its logs: its jobs, the checks of their data, what raises an alert and where alerts go.
// `runtail migrate` writes these into the registry tables.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace runtail {

struct JobConfig {
  // As lines name it.
  std::string id;
  std::string name;                     // for people
  std::string type = "batch";           // batch, streaming
  std::string owner, service, dataset;  // shown beside its runs
  // A cron expression or words; how often runs are expected is expected_every.
  std::string schedule;
  // 0: not said.
  std::chrono::milliseconds expected_every{0};
  // A run without a line for this long is stalled. 0: 15 minutes.
  std::chrono::milliseconds stall_after{0};
  bool enabled = true;                          // false: kept, and not used
  std::map<std::string, std::string> metadata;  // whatever else people want to find there
};

struct QualityCheckConfig {
  std::string job;     // of `jobs`
  std::string table;   // as lines name it
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
  bool enabled = true;            // false: kept, and not used
};

struct AlertChannelConfig {
  std::string name;  // by which rules choose it
  // slack, email, alertmanager, webhook.
  std::string kind;
  // Where the target is kept, never a secret itself: file:/path, env:NAME, mailto:address, or for alertmanager its
  // URL.
  std::string target;
  // Of the rules that name no channel it takes those of at least this severity.
  std::string min_severity = "info";
  bool send_resolved = true;  // also tell when it is over
  bool enabled = true;        // false: kept, and not used

  // Not a setting: made of ALERT_SLACK_WEBHOOK or ALERT_EMAILS.
  bool from_environment = false;
};

struct AlertRuleConfig {
  std::string name;  // unique among the rules
  // JobFailed, NoRecentRuns, ...: docs/configuration.md.
  std::string kind;
  std::string job;                   // of `jobs`; empty: all
  std::string severity = "warning";  // info, warning, critical
  // How far back a rule looks, and how long it must hold. 0: the default of its kind.
  std::chrono::milliseconds window{0}, hold{0};
  // Thresholds of the kind.
  std::map<std::string, std::string> params;
  std::map<std::string, std::string> labels, annotations;  // put on what it sends
  // Of `alerts.channels`. Empty: all that take its severity.
  std::vector<std::string> channels;
  // Sent again after this long while it fires. 0: once.
  std::chrono::milliseconds repeat{0};
  bool enabled = true;  // false: kept, and not used
};

struct QualityConfig {
  // OBS_DQ_ENABLED. Off: what lines report is stored and not judged.
  bool enabled = true;
  // Thresholds of checks that state none. DQ_NULL_RATE_THRESHOLD, 0.05; DQ_ROW_DELTA_PCT_THRESHOLD, 20.
  std::optional<double> null_rate_threshold, row_delta_pct_threshold;
  std::vector<QualityCheckConfig> checks;  // what is asked of the data of jobs
};

struct AlertsConfig {
  // OBS_ALERTS_ENABLED. Off: `runtail server` raises and sends nothing.
  bool enabled = true;
  // Who raises alerts of jobs and data: server, prometheus (packaging/prometheus does), off. One of them, or each alert
  // comes twice.
  std::string engine = "server";
  // Facts older than this are recorded as stale, and nobody is told: a replay is quiet.
  std::chrono::milliseconds max_age = std::chrono::hours(1);
  // Error messages of runs, redacted as they are stored, in what is sent.
  bool include_error_text = false;
  // Of each server to each channel, except to an Alertmanager; what is beyond waits.
  std::uint32_t messages_per_minute = 30;
  // Thresholds of rules that state none. RETRY_ALERT_THRESHOLD: more retries than this within the window.
  // JOB_FAILURE_ALERT_THRESHOLD: failures in a row.
  std::uint32_t retry_threshold = 3;
  std::uint32_t job_failure_threshold = 3;  // Failures in a row.
  // For channels of kind email: smtp://host:587 (with STARTTLS) or smtps://host:465.
  std::string smtp_url;
  std::string smtp_from = "runtail@localhost";  // The sender.
  // Empty: no authentication.
  std::string smtp_user;
  std::filesystem::path smtp_password_file;  // Never printed.
  // False: a server of smtp:// may do without TLS. Then a password is refused.
  bool smtp_starttls = true;
  // Certificates in PEM that are trusted instead of the machine's.
  std::filesystem::path ca_file;
  std::vector<AlertChannelConfig> channels;  // where alerts go
  // Empty, while there are channels: the standard ones (docs/alerts.md).
  std::vector<AlertRuleConfig> rules;
};

}  // namespace runtail
