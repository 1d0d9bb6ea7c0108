// What becomes of a span, and what the row then says: mask, drop, keep a part, keyed hash; packs, own rules, free text.
#include "redaction/actions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/redaction/line_builder.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

RedactionConfig acting(std::map<std::string, std::string> actions, std::uint8_t key_byte = 7) {
  RedactionConfig config;
  config.actions = std::move(actions);
  config.hash_key.emplace();
  config.hash_key->bytes.fill(key_byte);
  return config;
}

TEST(Actions, DropLeavesNothingAndKeepLeavesAPart) {
  Redactor redactor = make_redactor(acting({{"email", "drop"}, {"card", "keep_last_4"}, {"iban", "keep_first_2"}}));
  EXPECT_EQ(redactor.redact_text("to anna@example.com now"), "to  now");
  const std::string kept = redactor.redact_text("4111 1111 1111 1234 and DE89370400440532013000");
  EXPECT_EQ(redactor.redact_text("paid 4111-1111-1111-1111"), "paid [REDACTED:card:1111]");
  EXPECT_THAT(kept, HasSubstr("[REDACTED:iban:DE]"));
  EXPECT_EQ(redactor.redact_text(kept), kept);
}

TEST(Actions, AHashCorrelatesFormatsAndTellsKeysApart) {
  Redactor redactor = make_redactor(acting({{"email", "hash"}, {"ssn", "hash"}, {"phone", "hash"}}));
  const std::string mail = redactor.redact_text("Anna@Example.com");
  EXPECT_EQ(mail.size(), std::string_view("[REDACTED:email#12345678:0123456789abcdef]").size()) << mail;
  EXPECT_EQ(redactor.redact_text("anna@example.com"), mail);
  EXPECT_EQ(redactor.redact_text("anna%40example.com"), mail);
  EXPECT_EQ(redactor.redact_text("123-45-6789"), redactor.redact_text("123 45 6789"));
  EXPECT_EQ(redactor.redact_text("(415) 555-2671"), redactor.redact_text("+1 415-555-2671"));
  EXPECT_NE(redactor.redact_text("bob@example.com"), mail);
  EXPECT_EQ(redactor.redact_text(mail), mail);
  Redactor rotated = make_redactor(acting({{"email", "hash"}}, 8));
  EXPECT_NE(rotated.redact_text("anna@example.com").substr(0, 25), mail.substr(0, 25)) << "the id of the key";
  EXPECT_EQ(rotated.redact_text(mail), mail) << "rows of the old key stay";
}

TEST(Actions, HashWithoutAKeyAndUnknownKindsAreRefused) {
  RedactionConfig config = acting({{"email", "hash"}});
  config.hash_key.reset();
  const auto no_key = Redactor::make(config);
  ASSERT_FALSE(no_key);
  EXPECT_THAT(no_key.error().message, HasSubstr("redaction.hash_key_file"));
  const auto unknown = Redactor::make(acting({{"e_mail", "mask"}}));
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("\"e_mail\""));
}

TEST(Actions, TheRowSaysWhatIsLeft) {
  Redactor redactor = make_redactor(acting({{"email", "hash"}, {"card", "keep_last_4"}, {"aws_key", "hash"}}));
  const auto row = [&](std::string_view text) {
    LineBuilder line;
    const RedactedEvent& out = redactor.redact(line.text(Field::kMsg, text).event());
    return std::pair(out.redaction_state, out.pii_safe);
  };
  EXPECT_EQ(row("nothing"), std::pair(RedactionState::kClean, true));
  EXPECT_EQ(row("password=hunter2"), std::pair(RedactionState::kMasked, true));
  EXPECT_EQ(row("a@b.io"), std::pair(RedactionState::kPseudonymised, false));
  EXPECT_EQ(row("AKIAIOSFODNN7EXAMPLE"), std::pair(RedactionState::kPseudonymised, true)) << "of no person";
  EXPECT_EQ(row("a@b.io 4111111111111111"), std::pair(RedactionState::kPartial, false));
}

TEST(Actions, ApplyToMembersThatKeyRulesName) {
  RedactionConfig config = acting({{"email", "hash"}, {"phone", "keep_last_4"}});
  config.allow = {"email", "phone", "contact"};
  Redactor redactor = make_redactor(config);
  LineBuilder line;
  const std::string context(
      redactor.redact(line.string("email", "anna@example.com").number("phone", 4155552671).event()).context);
  EXPECT_THAT(context, HasSubstr("\"phone\":\"[REDACTED:phone:2671]\""));
  EXPECT_THAT(context, HasSubstr("\"email\":\"" + redactor.redact_text("ANNA@example.com") + "\""));
}

TEST(Explain, NamesRuleValidatorAndActionButNoValue) {
  Redactor redactor = make_redactor();
  LineBuilder line;
  StreamMemory memory;
  std::vector<Finding> findings;
  redactor.explain(line.text(Field::kMsg, "anna@example.com password=hunter2").event(), memory, findings);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].place, "msg");
  EXPECT_EQ(findings[0].rule, "email");
  EXPECT_EQ(findings[0].validator, "email");
  EXPECT_EQ(findings[0].action, "masked");
  EXPECT_EQ(findings[0].bytes, 16u);
  EXPECT_EQ(findings[1].rule, "key:password");
}

TEST(Packs, ThatAreOffFindNothingAndKeepTheNumbersOfKinds) {
  RedactionConfig config;
  config.packs = {"secrets"};
  Redactor redactor = make_redactor(config);
  EXPECT_EQ(redactor.redact_text("anna@example.com password=x1"), "anna@example.com password=[REDACTED:password]");
  EXPECT_EQ(redactor.kinds(), make_redactor().kinds());
  EXPECT_THAT(redactor.packs(), ElementsAre(testing::StartsWith("secrets ")));
}

constexpr const char* kOwnRules = R"(
rules:
  - id: badge
    kind: badge
    literals: [badge]
    begins: true
    pattern: 'badge (\d+)'
    examples:
      positive: [["badge 42", "badge [REDACTED:badge]"]]
      near_miss: ["badge none"]
keys:
  - kind: badge
    names: [badge_number]
    examples: {positive: [badgeNumber], near_miss: [badge_count]}
)";

TEST(OwnRules, AreOnBesideThePacksAndTheirExamplesAreRun) {
  RedactionConfig config;
  config.rule_texts = {{"site.yaml", kOwnRules}};
  EXPECT_THAT(failed_examples(config), IsEmpty());
  Redactor redactor = make_redactor(config);
  EXPECT_EQ(redactor.redact_text("badge 7, badge_number=x9"), "badge [REDACTED:badge], badge_number=[REDACTED:badge]");
  EXPECT_EQ(redactor.packs().back(), "site.yaml 2");
  EXPECT_NE(redactor.ruleset(), make_redactor().ruleset());
  std::string wrong = kOwnRules;
  wrong.replace(wrong.find("badge none"), 10, "badge 99##");
  config.rule_texts = {{"site.yaml", wrong}};
  EXPECT_THAT(failed_examples(config),
              ElementsAre("site.yaml:3:5: rule badge: near miss \"badge 99##\" gives \"badge [REDACTED:badge]##\""));
}

TEST(FreeText, IsNotStoredAtAllWhenDropped) {
  RedactionConfig config;
  config.free_text = "drop";
  config.allow = {"note", "rows"};
  Redactor redactor = make_redactor(config);
  LineBuilder json, text;
  const RedactedEvent& out = redactor.redact(json.text(Field::kMsg, "hello")
                                                 .text(Field::kErrorMessage, "x")
                                                 .text(Field::kErrorStack, "x")
                                                 .text(Field::kService, "etl")
                                                 .integer(Field::kAttempt, 2)
                                                 .string("note", "words")
                                                 .number("rows", 7)
                                                 .event());
  EXPECT_EQ(out.fields.text(Field::kService), "etl");
  EXPECT_EQ(out.fields.integer(Field::kAttempt), 2);
  for (const Field field : {Field::kMsg, Field::kErrorMessage, Field::kErrorStack}) EXPECT_FALSE(out.fields.has(field));
  EXPECT_EQ(out.context, R"({"note":null,"rows":7})");
  EXPECT_EQ(redactor.redact(text.plain_text("a line").event()).raw_text, "");
}

TEST(FreeText, InNamesIsDroppedExceptWhereRunsAreToldApartByThem) {
  RedactionConfig config;
  config.free_text = "drop";
  config.allow = {"sizes"};
  Redactor redactor = make_redactor(config);
  const auto is_name = [](FieldType type) {
    return type == FieldType::kName || type == FieldType::kId || type == FieldType::kWord;
  };
  static constexpr Field kKept[] = {Field::kJobId,       Field::kParentJobId, Field::kRunId,
                                    Field::kParentRunId, Field::kTaskRunId,   Field::kTask};
  LineBuilder spaced, plain;
  std::size_t names = 0;
  for (std::size_t i = 0; i < std::size(kFieldSpecs); ++i) {
    const FieldSpec& spec = kFieldSpecs[i];
    if (!is_name(spec.type) || static_cast<Field>(i) == Field::kIp || static_cast<Field>(i) == Field::kUserId) continue;
    ++names;
    static constexpr const char* kSpaces[] = {"load Anna", "load\tAnna", "load\nAnna", "load\rAnna"};
    spaced.text(static_cast<Field>(i), kSpaces[i % 4]);
    plain.text(static_cast<Field>(i), "load_orders");
  }
  ASSERT_GT(names, std::size(kKept));
  spaced.object("sizes").number("Anna Meyer", 7).number("orders", 8).close();
  spaced.object("null_rates").field().real("Anna Meyer", 0.5).real("orders", 0.5).close();
  const RedactedEvent& out = redactor.redact(spaced.event());
  for (std::size_t i = 0; i < std::size(kFieldSpecs); ++i) {
    const Field field = static_cast<Field>(i);
    if (!is_name(kFieldSpecs[i].type)) continue;
    const bool kept = std::find(std::begin(kKept), std::end(kKept), field) != std::end(kKept);
    EXPECT_EQ(out.fields.has(field), kept) << kFieldSpecs[i].name;
  }
  EXPECT_EQ(out.context, R"({"sizes":{"orders":8}})");
  ASSERT_TRUE(out.fields.has(Field::kNullRates));
  EXPECT_EQ(out.fields.find(Field::kNullRates)->text, R"({"orders":0.5})");
  const RedactedEvent& whole = redactor.redact(plain.event());
  std::size_t stored = 0;
  for (std::size_t i = 0; i < std::size(kFieldSpecs); ++i) stored += whole.fields.has(static_cast<Field>(i));
  EXPECT_EQ(stored, names);
}

// Without the key a mask or a hash of one candidate looks like that of any other.
TEST(BruteForce, MasksAreEqualAndHashesNeedTheKey) {
  Redactor masks = make_redactor();
  EXPECT_EQ(masks.redact_text("ssn 123-45-6789"), masks.redact_text("ssn 234-56-7890"));
  Redactor hashes = make_redactor(acting({{"ssn", "hash"}}, 7)), guess = make_redactor(acting({{"ssn", "hash"}}, 9));
  EXPECT_NE(hashes.redact_text("123-45-6789").substr(24), guess.redact_text("123-45-6789").substr(24));
}

TEST(AllFields, PassTheDetectorsWithoutTheAllowlist) {
  RedactionConfig config;
  config.allow_all = true;
  Redactor redactor = make_redactor(config);
  LineBuilder line;
  line.string("to", "a@b.io").object("row").string("name", "Joe").close().number("rows", 3).number("row", 17);
  EXPECT_EQ(redactor.redact(line.event()).context,
            R"({"to":"[REDACTED:email]","row":"[REDACTED:row_values]","rows":3,"row":17})");
  EXPECT_EQ(redactor.totals().unlisted_fields, 0u);
}

}  // namespace
}  // namespace runtail
