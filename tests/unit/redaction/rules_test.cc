// The rules themselves: every example in redaction/rules/*.yaml, and what loading and compiling refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "config/dialect.h"
#include "redaction/ruleset.h"
#include "tests/unit/redaction/line_builder.h"
#include "tests/unit/redaction/random_text.h"

namespace runtail {
namespace {

using testing::HasSubstr;

const std::vector<RuleFile>& files() {
  static const std::vector<RuleFile> kFiles = built_in_rules().value();
  return kFiles;
}

class RuleExamples : public testing::TestWithParam<RuleSpec> {};

TEST_P(RuleExamples, PositivesAreMaskedAndNearMissesAreNot) {
  const RuleSpec& rule = GetParam();
  static Redactor redactor = make_redactor();
  for (const auto& [input, output] : rule.positive) {
    EXPECT_EQ(redactor.redact_text(input), output) << rule.place;
    EXPECT_EQ(redactor.redact_text(output), output) << rule.place << ": a second time";
  }
  for (const std::string& input : rule.near_miss) EXPECT_EQ(redactor.redact_text(input), input) << rule.place;
}

// Each positive is found by the rule it stands at, not only by a neighbour.
TEST_P(RuleExamples, TheRuleAloneFindsItsPositives) {
  const RuleSpec& rule = GetParam();
  const auto alone = ruleset_of({rule});
  TextScanner scanner(*alone->scan);
  for (const auto& [input, output] : rule.positive) {
    if (output.find("[REDACTED:" + rule.kind + "]") == std::string::npos) continue;  // shows how rules share a span
    EXPECT_FALSE(scanner.find(input, {})->empty()) << rule.place << ": " << input;
  }
}

INSTANTIATE_TEST_SUITE_P(BuiltIn, RuleExamples, testing::ValuesIn(built_in_specs()),
                         [](const auto& each) { return each.param.id; });

TEST(KeyRuleExamples, NamedKeysAreFoundAndNearMissesAreNot) {
  const auto ruleset = make_ruleset({}).value();
  for (const RuleFile& file : files()) {
    for (const KeyRuleSpec& rule : file.keys) {
      for (const std::string& key : rule.positive) {
        const KeyRule* found = ruleset->scan->keys.find(key);
        ASSERT_TRUE(found) << key;
        EXPECT_EQ(ruleset->kinds.names()[found->kind], rule.kind) << key;
      }
      for (const std::string& key : rule.near_miss) {
        const KeyRule* found = ruleset->scan->keys.find(key);
        EXPECT_TRUE(!found || ruleset->kinds.rules()[found->number].rule != "key:" + rule.id) << key;
      }
    }
  }
}

// What redaction keeps by contract must not be wiped for its name.
TEST(KeyRuleExamples, NoContractFieldIsNamed) {
  const auto ruleset = make_ruleset({}).value();
  const DialectSpec native = built_in_dialects().at(0);
  for (const auto& [name, field] : native.fields) {
    EXPECT_TRUE(name != spec_of(field).name || !ruleset->scan->keys.find(name)) << name;
  }
}

std::string load_error(const std::string& yaml) {
  const auto loaded = load_rules(yaml, "x.yaml");
  return loaded ? "" : loaded.error().message;
}

TEST(RuleLoading, NamesThePlaceAndTheFault) {
  EXPECT_THAT(load_error("rules:\n  - id: a\n    patern: x\n"), HasSubstr("x.yaml:3:5: unknown member \"patern\""));
  EXPECT_THAT(load_error("rules:\n  - id: a\n    kind: a\n    pattern: x\n"), HasSubstr("needs a gate"));
  EXPECT_THAT(load_error("rules:\n  - id: a\n    kind: A-b\n"), HasSubstr("x.yaml:3:11: a kind is"));
  EXPECT_THAT(load_error("rules:\n  - id: a\n    kind: a\n    feature: at\n    pattern: x\n"),
              HasSubstr("needs examples"));
  EXPECT_THAT(load_error("rules:\n  - priority: high\n"), HasSubstr("\"high\" is none of secret, pii"));
  EXPECT_THAT(load_error("rules:\n  - digit_run: many\n"), HasSubstr("expected a whole number"));
  EXPECT_THAT(load_error("rules: {}\n"), HasSubstr("expected a list"));
  EXPECT_THAT(load_error("rules: [\n"), HasSubstr("x.yaml:"));
  EXPECT_THAT(load_error("[]"), HasSubstr("expected a map"));
  EXPECT_THAT(load_error("keys:\n  - kind: a\n"), HasSubstr("needs a kind and names"));
  EXPECT_THAT(load_error("keys:\n  - {kind: a, names: [abc]}\n"), HasSubstr("needs examples"));
  EXPECT_THAT(load_error("rules:\n  - {id: a, examples: {positive: [x]}}\n"), HasSubstr("is [input, output]"));
}

std::string compile_error(RuleSpec rule) {
  rule.id = "r";
  rule.kind = "k";
  rule.place = "x.yaml:1:1";
  Kinds kinds;
  const auto compiled = Detectors::compile({rule}, kinds);
  return compiled ? "" : compiled.error().message;
}

TEST(RuleCompiling, RefusesWhatCannotWork) {
  RuleSpec bad_pattern;
  bad_pattern.pattern = "(a";
  EXPECT_THAT(compile_error(bad_pattern), HasSubstr("x.yaml:1:1: rule r: pattern: missing )"));
  RuleSpec bad_validator;
  bad_validator.pattern = "a";
  bad_validator.validator = "lun";
  EXPECT_THAT(compile_error(bad_validator), HasSubstr("unknown validator \"lun\""));
  RuleSpec short_literal;
  short_literal.pattern = "ab";
  short_literal.literals = {"ab"};
  EXPECT_THAT(compile_error(short_literal), HasSubstr("below 3 bytes"));
}

TEST(Ruleset, KindsAreUniqueAndTheDigestFollowsTheSettings) {
  const Redactor redactor = make_redactor();
  const std::set<std::string> unique(redactor.kinds().begin(), redactor.kinds().end());
  EXPECT_EQ(unique.size(), redactor.kinds().size());
  EXPECT_EQ(redactor.ruleset().size(), 16u);
  EXPECT_EQ(redactor.ruleset(), make_redactor().ruleset());
  EXPECT_EQ(redactor.ruleset(), redactor.clone().ruleset());
  EXPECT_NE(redactor.ruleset(), make_redactor(allowing({"a"})).ruleset());
  RedactionConfig config;
  config.keep_user_id = false;
  EXPECT_NE(redactor.ruleset(), make_redactor(config).ruleset());
}

TEST(Ruleset, ABadAllowPathIsAnErrorThatNamesIt) {
  const auto redactor = Redactor::make(allowing({"ok", "a..b"}));
  ASSERT_FALSE(redactor);
  EXPECT_EQ(redactor.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(redactor.error().message, HasSubstr("redaction.allow[1]: \"a..b\""));
}

}  // namespace
}  // namespace runtail
