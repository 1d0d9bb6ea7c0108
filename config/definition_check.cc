#include "config/definition_check.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>

#include "config/near_word.h"
#include "core/cron.h"

namespace runtail {
namespace {

class DefinitionCheck {
 public:
  DefinitionCheck(const KeyPlaces& places, std::vector<ConfigProblem>& problems)
      : places_(places), problems_(problems), found_before_(problems.size()) {}

  // The list and the number of the definition complained of from now on.
  void at(const std::string& list, std::size_t index) { owner_ = list + "[" + std::to_string(index) + "]"; }

  void needs(const char* key, const std::string& value, const std::string& remedy) {
    if (value.empty()) complain(key, "missing; " + remedy);
  }

  void refers(const char* key, const std::string& value, const std::vector<std::string>& defined,
              const std::string& list) {
    if (value.empty() || std::ranges::find(defined, value) != defined.end()) return;
    complain(key, '"' + value + "\" is not in " + list + "; add it there" + did_you_mean(value, defined));
  }

  void complain(const char* key, std::string message) {
    const std::string path = owner_ + "." + key;
    // By its first name only: a value that was refused is empty now.
    const auto known = [&](const ConfigProblem& problem) { return problem.key == path; };
    if (std::any_of(problems_.begin(), problems_.begin() + static_cast<std::ptrdiff_t>(found_before_), known)) return;
    const auto place = places_.contains(path) ? places_.find(path) : places_.find(owner_);
    problems_.push_back({place == places_.end() ? "" : place->second, path, std::move(message)});
  }

 private:
  const KeyPlaces& places_;
  std::vector<ConfigProblem>& problems_;
  const std::size_t found_before_;
  std::string owner_;
};

}  // namespace

void check_definitions(const Config& config, const KeyPlaces& places, std::vector<ConfigProblem>& problems) {
  DefinitionCheck check(places, problems);
  std::vector<std::string> jobs, channels;
  for (std::size_t i = 0; i < config.jobs.size(); ++i) {
    check.at("jobs", i);
    const JobConfig& job = config.jobs[i];
    check.needs("id", job.id, "write the job_id its lines name");
    if (std::ranges::find(jobs, job.id) != jobs.end()) check.complain("id", '"' + job.id + "\" is given twice");
    jobs.push_back(job.id);
  }

  std::set<std::tuple<std::string, std::string, std::string, std::string>> checks;
  for (std::size_t i = 0; i < config.quality.checks.size(); ++i) {
    check.at("quality.checks", i);
    const QualityCheckConfig& each = config.quality.checks[i];
    check.needs("job", each.job, "name the job of `jobs` whose lines report the table");
    check.needs("table", each.table, "name the table as the lines do");
    check.needs("type", each.type, "write row_count_delta, null_rate or schema_drift");
    check.refers("job", each.job, jobs, "jobs");
    const bool nulls = each.type == "null_rate", drift = each.type == "schema_drift";
    if (nulls) check.needs("column", each.column, "name the column whose nulls are watched");
    const auto only = [&](const char* key, bool given, bool fits, const char* owner) {
      if (given && !fits && !each.type.empty()) check.complain(key, std::string("belongs to type ") + owner);
    };
    only("column", !each.column.empty(), nulls, "null_rate");
    only("absolute_limit", each.absolute_limit.has_value(), nulls, "null_rate");
    only("expected", !each.expected.empty(), drift, "schema_drift");
    only("threshold", each.threshold.has_value(), !drift, "row_count_delta or null_rate");
    const auto outside = [&](const std::optional<double>& share) { return share && (*share < 0 || *share > 1); };
    if (nulls && outside(each.threshold)) check.complain("threshold", "is a share, 0 to 1");
    if (nulls && outside(each.absolute_limit)) check.complain("absolute_limit", "is a share, 0 to 1");
    if (!nulls && each.threshold && *each.threshold < 0) check.complain("threshold", "is a percentage above 0");
    if (!checks.emplace(each.job, each.table, each.column, each.type).second) {
      check.complain("type", "the same check is given twice; keep one");
    }
  }

  for (std::size_t i = 0; i < config.alerts.channels.size(); ++i) {
    check.at("alerts.channels", i);
    const AlertChannelConfig& channel = config.alerts.channels[i];
    check.needs("name", channel.name, "rules refer to it");
    check.needs("kind", channel.kind, "write slack, email, alertmanager or webhook");
    check.needs("target", channel.target, "say where it is kept, as in file:/run/secrets/slack_url");
    const bool taken = std::ranges::find(channels, channel.name) != channels.end();
    if (taken) check.complain("name", '"' + channel.name + "\" is given twice");
    channels.push_back(channel.name);
    const bool mail = channel.target.starts_with("mailto:"),
               reference = channel.target.starts_with("file:") || channel.target.starts_with("env:");
    if (!channel.target.empty() && !reference && mail != (channel.kind == "email")) {
      check.complain("target", mail ? "an address belongs to kind email" : "kind email needs mailto:<address>");
    }
    // Who knows the URL of a webhook may post to it.
    if ((channel.kind == "slack" || channel.kind == "webhook") && !channel.target.empty() && !mail && !reference) {
      check.complain("target", "a webhook's URL is a secret; keep it in a file and write file:/path, or env:NAME");
    }
  }

  std::vector<std::string> rules;
  for (std::size_t i = 0; i < config.alerts.rules.size(); ++i) {
    check.at("alerts.rules", i);
    const AlertRuleConfig& rule = config.alerts.rules[i];
    check.needs("name", rule.name, "it names the alert in every message");
    check.needs("kind", rule.kind, "write JobFailed, NoRecentRuns or another kind of docs/configuration.md");
    check.refers("job", rule.job, jobs, "jobs");
    if (std::ranges::find(rules, rule.name) != rules.end()) {
      check.complain("name", '"' + rule.name + "\" is given twice");
    }
    rules.push_back(rule.name);
    if (const auto schedule = rule.params.find("schedule"); schedule != rule.params.end()) {
      if (const auto cron = Cron::parse(schedule->second); !cron) check.complain("params", cron.error().message);
    }
    for (const std::string& channel : rule.channels) check.refers("channels", channel, channels, "alerts.channels");
  }
}

}  // namespace runtail
