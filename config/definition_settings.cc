// The settings of jobs, checks, channels and rules.
#include <algorithm>
#include <charconv>

#include "config/near_word.h"
#include "config/setting.h"

namespace runtail {
namespace {

constexpr std::uint64_t kDay = 86'400'000;
constexpr Limits kPeriod{1000, 3650 * kDay, true, Limits::Unit::kDuration};

std::string check_text(std::string_view text) {
  if (text.size() > 255) return "use at most 255 characters";
  const bool printable =
      std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; });
  return printable ? "" : "use printable characters";
}

std::string check_job_type(std::string_view text) { return check_one_of(text, {"batch", "streaming"}); }
std::string check_check_type(std::string_view text) {
  return check_one_of(text, {"row_count_delta", "null_rate", "schema_drift"});
}
std::string check_check_severity(std::string_view text) { return check_one_of(text, {"warn", "fail"}); }
std::string check_channel_kind(std::string_view text) {
  return check_one_of(text, {"slack", "email", "alertmanager", "webhook"});
}
std::string check_rule_kind(std::string_view text) {
  return check_one_of(
      text, {"JobFailed", "RetryExhausted", "ConsecutiveFailures", "RetrySurge", "NoRecentRuns", "DQRowCountDelta",
             "DQNullRateSpike", "SchemaDriftDetected", "APIHighLatencyP95", "APIErrorRate", "DBPoolSaturation",
             "DeadLetterGrowth", "BacklogAge", "CacheUnavailable", "ReadyCheckFailing", "MigrationFailed",
             "MissingScrape", "RuntailDeliveryFailing", "RuntailAgentDown"});
}
std::string check_rule_severity(std::string_view text) { return check_one_of(text, {"info", "warning", "critical"}); }

std::string check_target(std::string_view text) {
  const std::string remedy =
      "write where the target is kept, as in file:/run/secrets/slack_url or env:SLACK_URL; an address as "
      "mailto:team@example.org, an Alertmanager as http://alertmanager:9093";
  const auto rest = [&](std::string_view scheme) {
    return text.starts_with(scheme) ? text.substr(scheme.size()) : std::string_view();
  };
  const auto plain = [](std::string_view part) {
    return !part.empty() && part.size() <= 1024 &&
           std::none_of(part.begin(), part.end(), [](char c) { return static_cast<unsigned char>(c) <= ' '; });
  };
  const std::string_view variable = rest("env:");
  const bool is_name = !variable.empty() && std::ranges::all_of(variable, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (rest("file:").starts_with('/') || is_name) return "";
  if (const auto address = rest("mailto:"); plain(address) && address.find('@') != address.npos) return "";
  for (const std::string_view scheme : {"http://", "https://"}) {
    // A token often stands in a query or in a user: those belong into a file.
    if (plain(rest(scheme)) && text.find_first_of("@?") == text.npos) return "";
  }
  return remedy;
}

const Setting<JobConfig> kJob[] = {
    {"id", [](JobConfig& j) -> Member { return &j.id; }, {}, check_text},
    {"name", [](JobConfig& j) -> Member { return &j.name; }},
    {"type", [](JobConfig& j) -> Member { return &j.type; }, {}, check_job_type},
    {"owner", [](JobConfig& j) -> Member { return &j.owner; }},
    {"service", [](JobConfig& j) -> Member { return &j.service; }},
    {"dataset", [](JobConfig& j) -> Member { return &j.dataset; }},
    {"schedule", [](JobConfig& j) -> Member { return &j.schedule; }},
    {"expected_every", [](JobConfig& j) -> Member { return &j.expected_every; }, kPeriod},
    {"stall_after", [](JobConfig& j) -> Member { return &j.stall_after; }, kPeriod},
    {"enabled", [](JobConfig& j) -> Member { return &j.enabled; }},
    {"metadata", [](JobConfig& j) -> Member { return &j.metadata; }},
};

const Setting<QualityCheckConfig> kCheck[] = {
    {"job", [](QualityCheckConfig& c) -> Member { return &c.job; }, {}, check_text},
    {"table", [](QualityCheckConfig& c) -> Member { return &c.table; }, {}, check_text},
    {"column", [](QualityCheckConfig& c) -> Member { return &c.column; }, {}, check_text},
    {"type", [](QualityCheckConfig& c) -> Member { return &c.type; }, {}, check_check_type},
    {"threshold", [](QualityCheckConfig& c) -> Member { return &c.threshold; }},
    {"absolute_limit", [](QualityCheckConfig& c) -> Member { return &c.absolute_limit; }},
    {"expected", [](QualityCheckConfig& c) -> Member { return &c.expected; }},
    {"severity", [](QualityCheckConfig& c) -> Member { return &c.severity; }, {}, check_check_severity},
    {"enabled", [](QualityCheckConfig& c) -> Member { return &c.enabled; }},
};

const Setting<AlertChannelConfig> kChannel[] = {
    {"name", [](AlertChannelConfig& c) -> Member { return &c.name; }, {}, check_text},
    {"kind", [](AlertChannelConfig& c) -> Member { return &c.kind; }, {}, check_channel_kind},
    {"target", [](AlertChannelConfig& c) -> Member { return &c.target; }, {}, check_target, true},
    {"min_severity", [](AlertChannelConfig& c) -> Member { return &c.min_severity; }, {}, check_rule_severity},
    {"send_resolved", [](AlertChannelConfig& c) -> Member { return &c.send_resolved; }},
    {"enabled", [](AlertChannelConfig& c) -> Member { return &c.enabled; }},
};

const Setting<AlertRuleConfig> kRule[] = {
    {"name", [](AlertRuleConfig& r) -> Member { return &r.name; }, {}, check_text},
    {"kind", [](AlertRuleConfig& r) -> Member { return &r.kind; }, {}, check_rule_kind},
    {"job", [](AlertRuleConfig& r) -> Member { return &r.job; }, {}, check_text},
    {"severity", [](AlertRuleConfig& r) -> Member { return &r.severity; }, {}, check_rule_severity},
    {"window", [](AlertRuleConfig& r) -> Member { return &r.window; }, kPeriod},
    {"hold", [](AlertRuleConfig& r) -> Member { return &r.hold; }, kPeriod},
    {"params", [](AlertRuleConfig& r) -> Member { return &r.params; }},
    {"labels", [](AlertRuleConfig& r) -> Member { return &r.labels; }},
    {"annotations", [](AlertRuleConfig& r) -> Member { return &r.annotations; }},
    {"channels", [](AlertRuleConfig& r) -> Member { return &r.channels; }, {}, check_text},
    {"repeat", [](AlertRuleConfig& r) -> Member { return &r.repeat; }, kPeriod},
    {"enabled", [](AlertRuleConfig& r) -> Member { return &r.enabled; }},
};

}  // namespace

template <>
std::span<const Setting<JobConfig>> settings_of() {
  return kJob;
}
template <>
std::span<const Setting<QualityCheckConfig>> settings_of() {
  return kCheck;
}
template <>
std::span<const Setting<AlertChannelConfig>> settings_of() {
  return kChannel;
}
template <>
std::span<const Setting<AlertRuleConfig>> settings_of() {
  return kRule;
}

}  // namespace runtail
