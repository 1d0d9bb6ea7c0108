// Jobs, checks, channels and rules of a configuration: what they may say, and what they may refer to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>

#include "config/load.h"

namespace runtail {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::vector<std::string> problems(const std::string& yaml) {
  const LoadedConfig loaded =
      load_config(yaml, "f", [](const std::string&) -> std::optional<std::string> { return std::nullopt; });
  std::vector<std::string> lines;
  for (const ConfigProblem& problem : loaded.problems) lines.push_back(to_string(problem));
  return lines;
}

TEST(DefinitionsTest, WhatIsReferredToMustBeThere) {
  EXPECT_THAT(problems("jobs: [{id: orders}]\n"
                       "quality: {checks: [{job: oders, table: t, type: row_count_delta}]}\n"
                       "alerts:\n"
                       "  channels: [{name: team, kind: slack, target: 'env:SLACK'}]\n"
                       "  rules: [{name: r, kind: JobFailed, job: other, channels: [teem]}]\n"),
              ElementsAre(AllOf(StartsWith("f:2:"), HasSubstr("quality.checks[0].job: \"oders\" is not in jobs"),
                                HasSubstr("did you mean \"orders\"")),
                          HasSubstr("alerts.rules[0].job: \"other\" is not in jobs"),
                          AllOf(HasSubstr("\"teem\" is not in alerts.channels"), HasSubstr("\"team\""))));
}

TEST(DefinitionsTest, NamesAreGivenOnce) {
  EXPECT_THAT(
      problems("jobs: [{id: a}, {id: a}]\n"
               "quality:\n"
               "  checks:\n"
               "  - {job: a, table: t, type: schema_drift}\n"
               "  - {job: a, table: t, type: schema_drift}\n"
               "alerts:\n"
               "  channels: [{name: c, kind: slack, target: 'env:A'}, {name: c, kind: slack, target: 'env:B'}]\n"
               "  rules: [{name: r, kind: JobFailed}, {name: r, kind: RetryExhausted}]\n"),
      ElementsAre(HasSubstr("jobs[1].id"), HasSubstr("quality.checks[1].type"), HasSubstr("alerts.channels[1].name"),
                  HasSubstr("alerts.rules[1].name")));
}

TEST(DefinitionsTest, ATypoInAKindIsOneProblemWithTheWordMeant) {
  EXPECT_THAT(problems("alerts: {rules: [{name: r, kind: JobFaild}]}\n"),
              ElementsAre(AllOf(HasSubstr("alerts.rules[0].kind"), HasSubstr("did you mean \"JobFailed\""))));
  EXPECT_THAT(problems("jobs: [{id: a, expectd_every: 1h}]\n"),
              ElementsAre(AllOf(HasSubstr("jobs[0].expectd_every"), HasSubstr("expected_every"))));
}

TEST(DefinitionsTest, WhatIsMissingIsNamed) {
  EXPECT_THAT(problems("jobs: [{name: x}]\nquality: {checks: [{}]}\nalerts: {channels: [{}], rules: [{}]}\n"),
              ElementsAre(HasSubstr("jobs[0].id: missing"), HasSubstr("quality.checks[0].job: missing"),
                          HasSubstr("quality.checks[0].table: missing"), HasSubstr("quality.checks[0].type: missing"),
                          HasSubstr("alerts.channels[0].name: missing"), HasSubstr("alerts.channels[0].kind: missing"),
                          HasSubstr("alerts.channels[0].target: missing"), HasSubstr("alerts.rules[0].name: missing"),
                          HasSubstr("alerts.rules[0].kind: missing")));
}

TEST(DefinitionsTest, AKeyMustBelongToTheTypeOfItsCheck) {
  const auto with = [](const std::string& keys) {
    return problems("jobs: [{id: a}]\nquality: {checks: [{job: a, table: t, " + keys + "}]}\n");
  };
  EXPECT_THAT(with("type: null_rate, column: c, threshold: 0.05, absolute_limit: 0.5"), IsEmpty());
  EXPECT_THAT(with("type: row_count_delta, threshold: 150"), IsEmpty());
  EXPECT_THAT(with("type: schema_drift, expected: {a: int}"), IsEmpty());
  EXPECT_THAT(with("type: null_rate"), ElementsAre(HasSubstr("column: missing")));
  EXPECT_THAT(with("type: null_rate, column: c, threshold: 5"), ElementsAre(HasSubstr("is a share, 0 to 1")));
  EXPECT_THAT(with("type: null_rate, column: c, threshold: a lot"), ElementsAre(HasSubstr("is no number")));
  EXPECT_THAT(with("type: row_count_delta, column: c"), ElementsAre(HasSubstr("belongs to type null_rate")));
  EXPECT_THAT(with("type: schema_drift, threshold: 1"), ElementsAre(HasSubstr("belongs to type row_count_delta")));
  EXPECT_THAT(with("type: row_count_delta, expected: {a: int}"),
              ElementsAre(HasSubstr("belongs to type schema_drift")));
}

// What is written goes into a table many may read.
TEST(DefinitionsTest, ATargetIsAReferenceAndNoSecret) {
  const auto with = [](const std::string& kind, const std::string& target) {
    return problems("alerts: {channels: [{name: c, kind: " + kind + ", target: '" + target + "'}]}\n");
  };
  EXPECT_THAT(with("slack", "file:/run/secrets/slack"), IsEmpty());
  EXPECT_THAT(with("slack", "env:SLACK_URL"), IsEmpty());
  EXPECT_THAT(with("email", "mailto:a@example.org"), IsEmpty());
  EXPECT_THAT(with("alertmanager", "http://alertmanager:9093"), IsEmpty());
  EXPECT_THAT(with("slack", "https://hooks.slack.example/services/T0/B0/x"), ElementsAre(HasSubstr("is a secret")));
  EXPECT_THAT(with("webhook", "https://me:pw@example.org"), ElementsAre(HasSubstr("where the target is kept")));
  EXPECT_THAT(with("webhook", "https://example.org/?token=x"), ElementsAre(HasSubstr("where the target is kept")));
  EXPECT_THAT(with("webhook", "somewhere"), ElementsAre(HasSubstr("where the target is kept")));
  EXPECT_THAT(with("webhook", "https://hooks.example.org/T0/B0/x"), ElementsAre(HasSubstr("is a secret")));
  EXPECT_THAT(with("slack", "env:xoxb-1234"), ElementsAre(HasSubstr("where the target is kept")));
  // Not in a message either.
  EXPECT_THAT(with("webhook", "https://me:hunter2@example.org"), ElementsAre(testing::Not(HasSubstr("hunter2"))));
  EXPECT_THAT(problems("push: {url: 'http://me:hunter2@gateway:9091'}\n"),
              ElementsAre(AllOf(HasSubstr("push.url"), testing::Not(HasSubstr("hunter2")))));
  EXPECT_THAT(with("email", "http://example.org"), ElementsAre(HasSubstr("mailto:")));
}

Config loaded(const std::string& yaml, std::map<std::string, std::string> environment = {}) {
  LoadedConfig all = load_config(yaml, "f", [&](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  });
  for (const ConfigProblem& problem : all.problems) ADD_FAILURE() << to_string(problem);
  return all.config;
}

TEST(DefinitionsTest, TheEnvironmentAloneMakesChannelsAndTheStandardRules) {
  const Config config = loaded("", {{"ALERT_SLACK_WEBHOOK", "https://hooks.example.org/secret"},
                                    {"ALERT_EMAILS", "a@example.org,b@example.org"},
                                    {"RETRY_ALERT_THRESHOLD", "5"},
                                    {"JOB_FAILURE_ALERT_THRESHOLD", "4"},
                                    {"OBS_ALERTS_ENABLED", "0"},
                                    {"OBS_DQ_ENABLED", "false"}});
  ASSERT_EQ(config.alerts.channels.size(), 2u);
  EXPECT_EQ(config.alerts.channels[0].target, "env:ALERT_SLACK_WEBHOOK");
  EXPECT_EQ(config.alerts.channels[1].kind, "email");
  EXPECT_FALSE(config.alerts.enabled || config.quality.enabled);
  std::map<std::string, std::string> thresholds;
  std::ifstream file(RUNTAIL_SOURCE_DIR "/docs/runbooks.md");
  const std::string runbooks((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const AlertRuleConfig& rule : config.alerts.rules) {
    EXPECT_THAT(rule.channels, ElementsAre("slack", "email")) << rule.name;
    const std::string& runbook = rule.annotations.at("runbook_url");
    EXPECT_THAT(runbooks, HasSubstr("\n## " + runbook.substr(runbook.find('#') + 1) + "\n`")) << rule.name;
    if (rule.params.contains("threshold")) thresholds[rule.kind] = rule.params.at("threshold");
  }
  EXPECT_EQ(thresholds, (std::map<std::string, std::string>{{"ConsecutiveFailures", "4"}, {"RetrySurge", "5"}}));
  EXPECT_EQ(config.alerts.rules.size(), 10u);
  EXPECT_TRUE(loaded("").alerts.rules.empty()) << "nobody to tell: nothing to store";
}

TEST(DefinitionsTest, ARuleWithoutChannelsGoesWhereItsSeverityIsTaken) {
  const Config config = loaded(
      "alerts:\n"
      "  channels: [{name: all, kind: slack, target: 'env:A'}, {name: night, kind: webhook, target: 'env:B', "
      "min_severity: critical}]\n"
      "  rules: [{name: a, kind: JobFailed}, {name: b, kind: JobFailed, severity: critical}, "
      "{name: c, kind: RetrySurge, channels: [night], params: {threshold: 9}}]\n");
  EXPECT_THAT(config.alerts.rules[0].channels, ElementsAre("all"));
  EXPECT_THAT(config.alerts.rules[1].channels, ElementsAre("all", "night"));
  EXPECT_THAT(config.alerts.rules[2].channels, ElementsAre("night"));
  EXPECT_EQ(config.alerts.rules[2].params.at("threshold"), "9");
}

TEST(DefinitionsTest, ThresholdsOfTheSectionAreThoseOfChecksThatStateNone) {
  const Config config = loaded(
      "jobs: [{id: j}]\n"
      "quality: {checks: [{job: j, table: t, type: row_count_delta}, {job: j, table: t, type: null_rate, column: c}, "
      "{job: j, table: u, type: null_rate, column: c, threshold: 0.5}]}\n",
      {{"DQ_NULL_RATE_THRESHOLD", "0.2"}, {"DQ_ROW_DELTA_PCT_THRESHOLD", "35"}});
  EXPECT_EQ(config.quality.checks[0].threshold, 35);
  EXPECT_EQ(config.quality.checks[1].threshold, 0.2);
  EXPECT_EQ(config.quality.checks[2].threshold, 0.5);
}

TEST(DefinitionsTest, AScheduleOfARuleIsOne) {
  EXPECT_THAT(problems("alerts: {rules: [{name: r, kind: NoRecentRuns, params: {schedule: nightly}}]}\n"),
              ElementsAre(AllOf(HasSubstr("alerts.rules[0].params"), HasSubstr("five fields"))));
}

TEST(DefinitionsTest, TheyDoNotFitIntoAVariable) {
  const LoadedConfig loaded = load_config("", "f", [](const std::string& name) -> std::optional<std::string> {
    return name == "RUNTAIL_JOBS" ? std::optional<std::string>("a") : std::nullopt;
  });
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(to_string(loaded.problems[0]),
            "environment RUNTAIL_JOBS: jobs: jobs do not fit into one variable; use a file");
}

}  // namespace
}  // namespace runtail
