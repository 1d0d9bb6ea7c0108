// The alert rules we ship: each is about metrics that exist, leads to a runbook that is there, and has a test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "core/metric.h"

namespace runtail::house {
namespace {

using testing::Contains;
using testing::HasSubstr;

const std::filesystem::path kRoot = RUNTAIL_SOURCE_DIR;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Families as they are on the page, histograms with what Prometheus makes of them.
std::set<std::string> families() {
  std::set<std::string> names = {"up"};
  for (const MetricFamilySpec& spec : metric_families()) {
    const std::string name(spec.name);
    names.insert(name);
    for (const char* part : {"_bucket", "_sum", "_count"}) names.insert(name + part);
  }
  return names;
}

class AlertRulesTest : public testing::TestWithParam<const char*> {
 protected:
  std::string file() const { return "runtail-" + std::string(GetParam()) + ".rules.yaml"; }
  YAML::Node groups() const { return YAML::Load(text_of(kRoot / "packaging/prometheus" / file()))["groups"]; }
};

TEST_P(AlertRulesTest, EachAsksForMetricsThereAre) {
  std::set<std::string> known = families();
  for (const auto& group : groups()) {
    for (const auto& rule : group["rules"]) {
      if (rule["record"]) known.insert(rule["record"].as<std::string>());
    }
  }
  static const std::regex name(R"(\b(?:\w+:)?(?:trialsync|runtail)_\w+(?::\w+)?|\bup\b)");
  for (const auto& group : groups()) {
    for (const auto& rule : group["rules"]) {
      const auto expression = rule["expr"].as<std::string>();
      int asked = 0;
      for (std::sregex_iterator match(expression.begin(), expression.end(), name), end; match != end; ++match, ++asked)
        EXPECT_THAT(known, Contains(match->str())) << expression;
      EXPECT_GT(asked, 0) << expression;
    }
  }
}

TEST_P(AlertRulesTest, EachSaysWhatIsWrongAndWhereToReadOn) {
  const std::string runbooks = text_of(kRoot / "docs/runbooks.md");
  const std::string tests =
      text_of(kRoot / "tests/testdata/prometheus" / (std::string(GetParam()) + ".rules.test.yaml"));
  for (const auto& group : groups()) {
    for (const auto& rule : group["rules"]) {
      if (!rule["alert"]) continue;
      const auto alert = rule["alert"].as<std::string>();
      const YAML::Node annotations = rule["annotations"];
      ASSERT_TRUE(annotations["summary"] && annotations["description"] && annotations["runbook_url"]) << alert;
      const auto severity = rule["labels"]["severity"].as<std::string>("");
      EXPECT_TRUE(severity == "warning" || severity == "critical") << alert;
      const auto url = annotations["runbook_url"].as<std::string>();
      ASSERT_TRUE(url.starts_with("docs/runbooks.md#")) << alert;
      EXPECT_THAT(runbooks, HasSubstr("\n## " + url.substr(url.find('#') + 1) + "\n")) << alert;
      EXPECT_THAT(runbooks, HasSubstr("`" + alert + "`")) << alert << ": no runbook names it";
      EXPECT_THAT(tests, HasSubstr("- alertname: " + alert + "\n")) << alert << " has no test";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, AlertRulesTest, testing::Values("agent", "jobs"));

}  // namespace
}  // namespace runtail::house
