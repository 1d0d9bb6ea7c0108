#include "config/definition_defaults.h"

#include <algorithm>
#include <string_view>

namespace runtail {
namespace {

int rank(std::string_view severity) { return severity == "critical" ? 2 : severity == "warning" ? 1 : 0; }

std::vector<AlertRuleConfig> standard_rules() {
  std::vector<AlertRuleConfig> rules;
  const auto add = [&](const char* kind, const char* severity, const char* runbook) {
    AlertRuleConfig& rule = rules.emplace_back();
    rule.name = rule.kind = kind;
    rule.severity = severity;
    rule.annotations["runbook_url"] = std::string("docs/runbooks.md#") + runbook;
  };
  add("JobFailed", "warning", "job-failed");
  add("RetryExhausted", "critical", "job-failed");
  add("ConsecutiveFailures", "critical", "job-failed");
  add("RetrySurge", "warning", "job-failed");
  add("NoRecentRuns", "warning", "no-recent-runs");
  add("DQRowCountDelta", "warning", "data-quality");
  add("DQNullRateSpike", "warning", "data-quality");
  add("SchemaDriftDetected", "warning", "data-quality");
  add("RuntailDeliveryFailing", "critical", "delivery-failing");
  add("RuntailAgentDown", "critical", "agent-down");
  return rules;
}

}  // namespace

void complete_definitions(Config& config,
                          const std::function<std::optional<std::string>(const std::string&)>& environment) {
  AlertsConfig& alerts = config.alerts;
  const auto add_channel = [&](const char* name, const char* variable) {
    if (environment(variable).value_or("").empty()) return;
    const std::string target = std::string("env:") + variable;
    const bool known = std::ranges::any_of(alerts.channels, [&](const AlertChannelConfig& channel) {
      return channel.target == target || channel.name == name;
    });
    if (known) return;
    AlertChannelConfig& channel = alerts.channels.emplace_back();
    channel.name = channel.kind = name;
    channel.target = target;
    channel.from_environment = true;
  };
  add_channel("slack", kSlackVariable);
  add_channel("email", kMailVariable);
  if (!alerts.channels.empty() && alerts.rules.empty()) alerts.rules = standard_rules();
  for (AlertRuleConfig& rule : alerts.rules) {
    const auto threshold = [&](std::string_view kind, std::uint32_t value) {
      if (rule.kind == kind) rule.params.emplace("threshold", std::to_string(value));
    };
    threshold("RetrySurge", alerts.retry_threshold);
    threshold("ConsecutiveFailures", alerts.job_failure_threshold);
    if (!rule.channels.empty()) continue;
    for (const AlertChannelConfig& channel : alerts.channels) {
      if (rank(channel.min_severity) <= rank(rule.severity)) rule.channels.push_back(channel.name);
    }
  }
  for (QualityCheckConfig& check : config.quality.checks) {
    if (check.threshold) continue;
    if (check.type == "null_rate") check.threshold = config.quality.null_rate_threshold;
    if (check.type == "row_count_delta") check.threshold = config.quality.row_delta_pct_threshold;
  }
}

}  // namespace runtail
