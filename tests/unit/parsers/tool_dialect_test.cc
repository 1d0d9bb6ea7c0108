// What a dialect file can say beyond plain members, each with a file of its own.
#include "parsers/tool_dialect.h"

#include <gtest/gtest.h>

#include "parsers/dialect_examples.h"
#include "parsers/parser.h"

namespace runtail {
namespace {

Parser parser_with(const std::string& yaml) {
  std::vector<DialectSpec> dialects = built_in_dialects();
  dialects.resize(1);  // the native contract
  dialects.push_back(*load_dialect(yaml, "test.yaml"));
  return Parser(std::move(dialects));
}

std::vector<std::string> values(Parser& parser, std::string_view line, std::string_view name) {
  std::vector<std::string> found;
  for (const LogEvent* event = &parser.parse(line); event; event = parser.next()) {
    found.push_back(example_value(*event, name));
  }
  return found;
}

TEST(ToolDialectTest, NumbersAlongArraysAreAddedUpAndNoNumberIsNoValue) {
  Parser parser = parser_with(R"(
name: t
detect: [{app: present}]
fields: {records_loaded: [{sum: 'out[].parts[].n'}]}
)");
  EXPECT_EQ(values(parser, R"({"app":1,"out":[{"parts":[{"n":1},{"n":"2"}]},{"parts":[{"n":4},{"m":8}]},{}]})",
                   "records_loaded"),
            std::vector<std::string>{"7"});
  EXPECT_EQ(values(parser, R"({"app":1,"out":[{"parts":[]}]})", "records_loaded"), std::vector<std::string>{""});
  EXPECT_EQ(values(parser, R"({"app":1,"out":7})", "records_loaded"), std::vector<std::string>{""});
}

TEST(ToolDialectTest, AnElementNamesMembersOfTheElementsAroundItAndKeepsNoneOfTheOneBefore) {
  Parser parser = parser_with(R"(
name: t
detect: [{app: present}]
rules:
  - each: a[].b[].c
    ts: ['@.at']
    level: ['@.lv']
    fields: {msg: ['@.m'], service: ['@^^.s'], env: ['@^.e']}
)");
  const std::string line =
      R"({"app":1,"a":[{"s":"x","b":[{"e":"p","c":[{"m":"1","lv":"warn","at":1767323045},{"m":"2"}]}]},)"
      R"({"b":[{"c":[{"m":"3"}]}]}]})";
  EXPECT_EQ(values(parser, line, "msg"), (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(values(parser, line, "service"), (std::vector<std::string>{"x", "x", ""}));
  EXPECT_EQ(values(parser, line, "env"), (std::vector<std::string>{"p", "p", ""}));
  EXPECT_EQ(values(parser, line, "level"), (std::vector<std::string>{"WARN", "", ""}));
  EXPECT_EQ(values(parser, line, "ts"), (std::vector<std::string>{"2026-01-02T03:04:05.000000Z", "", ""}));
}

TEST(ToolDialectTest, ALineWhoseFirstEventIsOfALaterRuleIsARowItself) {
  Parser parser = parser_with(R"(
name: t
detect: [{app: present}]
rules:
  - each: a
    when: {'@.k': [row]}
    also:
      - each: a
        when: {'@.k': [end]}
        event: run.finished
)");
  EXPECT_FALSE(parser.parse(R"({"app":1,"a":[{"k":"end"}]})").is_further);
  EXPECT_FALSE(parser.parse(R"({"app":1,"a":[{"k":"row"},{"k":"end"}]})").is_further);
  EXPECT_TRUE(parser.next()->is_further);
}

TEST(ToolDialectTest, ADialectOfTheContractAddsToANativeLineAndTakesNothingFromIt) {
  Parser parser = parser_with(R"(
name: t
contract: .
detect: [{lvl: number}]
level: [lvl]
level_numbers: {INFO: 1, ERROR: 5}
fields: {msg: [words], run_id: [other]}
)");
  const LogEvent& event = parser.parse(R"({"lvl":6,"words":"w","other":"r1","run_id":"r7","event":"run.started"})");
  EXPECT_EQ(event.kind, EventKind::kRunStarted);
  EXPECT_EQ(event.level, Level::kError);
  EXPECT_EQ(event.fields.text(Field::kRunId), "r7");
  EXPECT_EQ(event.fields.text(Field::kMsg), "w");
  EXPECT_EQ(event.dialect, "t");
  EXPECT_EQ(parser.next(), nullptr);
}

TEST(ToolDialectTest, ARuleMayStateAVerdictThatOthersOutrank) {
  Parser parser = parser_with(R"(
name: t
detect: [{app: present}]
rules: [{event: run.finished, verdict: exit}]
)");
  EXPECT_EQ(parser.parse(R"({"app":1})").verdict_source, VerdictSource::kExit);
  EXPECT_EQ(parser.parse(R"({"event":"run.finished"})").verdict_source, VerdictSource::kLog);
}

TEST(ToolDialectTest, AMistakeInTheseIsNamedWithItsPlace) {
  const auto complaint = [](const std::string& yaml) {
    return load_dialect("name: t\ndetect: [{app: present}]\n" + yaml, "t.yaml").error().message;
  };
  EXPECT_EQ(complaint("rules: [{verdict: perhaps}]"),
            "t.yaml:3:19: rules[0].verdict: must be exit: an end is seen, not how it went");
  EXPECT_EQ(complaint("fields: {msg: [{sum: a, value: b}]}"),
            "t.yaml:3:16: fields.msg[0]: needs one of path (or paths), value and sum");
}

TEST(LogfmtTest, OnlyALineThatIsPairsThroughoutIsOne) {
  Parser parser(built_in_dialects());
  for (const std::string_view line : {"level=info msg=\"a b\" run_id=r7", "lvl=warn t=2026-01-02T03:04:05Z x="}) {
    EXPECT_EQ(parser.parse(line).dialect, "logfmt") << line;
  }
  for (const std::string_view line :
       {"level=info and more", "level=info msg=\"open", "a=b c=d", "msg=x run_id=r7", "level=info msg=a\\b",
        "level=info msg=\"\\x41\"", "=level=info msg=x", "level=info msg=a=b"}) {
    EXPECT_EQ(parser.parse(line).dialect, "text") << line;
  }
}

TEST(TextHeadTest, ATimeCountsOnlyWithALevelBehindItAndInTheZoneOfTheSource) {
  Parser parser(built_in_dialects());
  const auto zone = TimeZone::load("Europe/Berlin");
  ASSERT_TRUE(zone);
  EXPECT_EQ(to_rfc3339(*parser.parse("2026-01-02 03:04:05,123 INFO x", &*zone).ts), "2026-01-02T02:04:05.123000Z");
  EXPECT_FALSE(parser.parse("2019-01-01 00:00:00 was loaded").ts);
  EXPECT_FALSE(parser.parse("ERROR").ts);
  EXPECT_EQ(parser.parse("ERROR").level, Level::kError);
  EXPECT_FALSE(parser.parse("Error is the name of it").level_stated);
  EXPECT_FALSE(parser.parse("").level_stated);
  EXPECT_FALSE(parser.parse("[").level_stated);
  EXPECT_FALSE(parser.parse("2026-01-02 03:04:05").ts);
}

}  // namespace
}  // namespace runtail
