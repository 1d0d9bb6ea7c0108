// Dialects of a user's beside the built-in ones, and lines of which it is known what they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/embedded.h"
#include "parsers/dialect_examples.h"
#include "parsers/parser.h"
#include "tests/support/scale.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// Claims whatever has a `type`; Singer and Airbyte have one.
constexpr char kWide[] = R"(
name: wide
order: 5
detect: [{type: present}]
fields: {msg: [type], run_id: [run]}
rules:
  - {when: {type: [END]}, event: run.finished, fields: {status: [how]}}
lines:
  - {text: '^bye {run_id}', event: run.finished}
examples:
  - {line: '{"type":"END","how":"ok","run":"r1"}', want: {event: run.finished, status: success, run_id: r1}}
)";

std::vector<DialectSpec> with(std::vector<DialectSpec> dialects, const std::string& yaml) {
  dialects.push_back(*load_dialect(yaml, "wide.yaml"));
  return dialects;
}

TEST(OwnDialects, AnExampleThatGivesSomethingElseIsNamedWithWhatItGave) {
  std::string yaml = kWide;
  yaml.replace(yaml.find("status: success"), 15, "status: failed");
  yaml += R"(  - {line: '{"typ":"END"}', want: {event: run.finished}})";
  const std::vector<DialectSpec> all = with(built_in_dialects(), yaml);
  Parser parser(all);
  EXPECT_THAT(failed_examples(parser, all.back()),
              ElementsAre(StartsWith("wide.yaml:11:5: examples[0]: status is \"success\"; \"failed\" is wanted"),
                          StartsWith("wide.yaml:12:5: examples[1]: is read as native, not wide")));
}

TEST(OwnDialects, LinesTakenFromBuiltInDialectsAreToldOf) {
  const std::vector<DialectSpec> all = with(built_in_dialects(), kWide);
  const std::vector<DialectSpec> own{all.back()};
  EXPECT_THAT(taken_examples(all, own),
              testing::AllOf(testing::Contains(testing::AllOf(StartsWith("wide.yaml: wide claims "),
                                                              HasSubstr(" examples of airbyte, as at airbyte.yaml:"))),
                             testing::Contains(HasSubstr(" examples of singer, as at singer.yaml:")),
                             testing::Not(testing::Contains(HasSubstr("examples of dbt,")))));
  std::string later = kWide;
  later.replace(later.find("{type: present}"), 15, "{type: [END]}");
  const std::vector<DialectSpec> narrow = with(built_in_dialects(), later);
  EXPECT_THAT(taken_examples(narrow, {narrow.back()}), IsEmpty());
}

// Files of users are checked when they are loaded: what is accepted can be compiled, and reads whatever line.
TEST(OwnDialects, WhateverIsAcceptedCanBeCompiledAndReadsEveryLine) {
  const std::uint64_t seed = test::seed();
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  const std::vector<DialectSpec> built_in = built_in_dialects();
  std::vector<std::string> lines;
  for (const DialectSpec& dialect : built_in) {
    for (const DialectExample& example : dialect.examples) lines.push_back(example.line);
  }
  const auto files = embedded::runtail_dialects();
  static const std::string kPieces[] = {"[]",    "[0]", "@.", "@^.", "@", "each: a[].b", "''",
                                        "{",     "}",   "[",  "]",   ".", "sum: ",       "as: seconds",
                                        "also:", "- ",  "  ", "\n",  "'", "absent",      "{key}"};
  std::size_t accepted = 0;
  const int tries = test::by_scale(300, 5'000);
  for (int i = 0; i < tries; ++i) {
    std::string yaml(files[below(files.size())].text);
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      const std::size_t at = below(yaml.size()), length = std::min(below(12), yaml.size() - at);
      switch (below(3)) {
        case 0:
          yaml.insert(at, kPieces[below(std::size(kPieces))]);
          break;
        case 1:
          yaml.erase(at, length);
          break;
        default:  // from elsewhere in the file
          yaml.replace(at, length, yaml.substr(below(yaml.size()), below(20)));
      }
    }
    ReadDialect read = read_dialect(yaml, "mutated.yaml", DialectOrigin::kOwn);
    if (!read.problems.empty()) continue;
    ++accepted;
    std::vector<DialectSpec> dialects = {built_in.front(), std::move(read.spec)};
    Parser parser(std::move(dialects));
    for (const std::string& line : lines) {
      parser.parse(line);
      for (int events = 0; parser.next(); ++events) ASSERT_LT(events, 5000) << "seed " << seed << "\n" << yaml;
    }
  }
  EXPECT_GT(accepted, static_cast<std::size_t>(tries) / 10) << "seed " << seed;
}

class PinnedDialect : public testing::Test {
 protected:
  std::string read_as(std::string_view line, std::string_view dialect) {
    const LogEvent& event = parser_.parse(line, nullptr, dialect);
    return std::string(event.dialect) + (event.drop.empty() ? "" : " dropped as " + std::string(event.drop));
  }
  Parser parser_{with(built_in_dialects(), kWide)};
};

constexpr char kDbt[] =
    R"({"data":{"version":"=1.10.4"},"info":{"invocation_id":"i1","level":"info","name":"MainReportVersion","msg":"m"}})";
constexpr char kPino[] = R"({"level":30,"time":1767323045000,"msg":"m","pid":1})";
constexpr char kRecord[] = R"({"type":"RECORD","record":{"stream":"users","data":{"mail":"canary"}}})";

TEST_F(PinnedDialect, IsAskedAloneAndWhatItDoesNotClaimIsOfTheContract) {
  EXPECT_EQ(read_as(kDbt, ""), "dbt");
  EXPECT_EQ(read_as(kDbt, "dbt"), "dbt");
  EXPECT_EQ(read_as(kDbt, "native"), "native");
  EXPECT_EQ(read_as(kPino, "dbt"), "native");
  EXPECT_EQ(read_as(kPino, ""), "pino");
  EXPECT_EQ(read_as(kDbt, "no such"), "dbt");
  EXPECT_EQ(read_as("[2026-01-02T03:04:05.000+0000] {x.py:1} INFO - a text", "dbt"), "text");
}

TEST_F(PinnedDialect, ItsTextsAreItsOwn) {
  const auto kind = [&](std::string_view line, std::string_view dialect) {
    return parser_.parse(line, nullptr, dialect).kind;
  };
  constexpr char kMarking[] = "Marking task as FAILED. dag_id=d, task_id=t, run_id=r1, execution_date=20260102T000000";
  EXPECT_EQ(kind("bye r7", ""), EventKind::kRunFinished);
  EXPECT_EQ(kind("bye r7", "wide"), EventKind::kRunFinished);
  EXPECT_EQ(kind("bye r7", "dbt"), EventKind::kPlain);
  EXPECT_EQ(kind(kMarking, ""), EventKind::kTaskFinished);
  EXPECT_EQ(kind(kMarking, "airflow2"), EventKind::kTaskFinished);
  EXPECT_EQ(kind(kMarking, "native"), EventKind::kPlain);
}

TEST_F(PinnedDialect, WhatOthersNeverKeepIsNotKept) {
  for (const char* pin : {"native", "dbt", "pino"}) {
    EXPECT_EQ(read_as(kRecord, pin), "airbyte dropped as airbyte_record") << pin;
    EXPECT_EQ(read_as(R"({"type":"STATE","value":{"bookmark":"canary"}})", pin), "singer dropped as singer_state")
        << pin;
    EXPECT_EQ(read_as(R"({"type":"RECORD","record":{"stream":"users","data":{"mail":"cana)", pin),
              "text dropped as unparsable_body")
        << pin;
    // Nobody reads tags of a Dagster job: they may hold secrets.
    EXPECT_EQ(
        read_as(R"({"orig_message":"m","dagster_meta":{"job_tags":{"password":"canary"}},"levelname":"INFO"})", pin),
        "dagster")
        << pin;
    EXPECT_TRUE(parser_.parse(R"({"orig_message":"m","dagster_meta":{"job_tags":{"password":"canary"}}})", nullptr, pin)
                    .rest.empty())
        << pin;
    // Of the same tool, but no body.
    EXPECT_EQ(read_as(R"({"type":"LOG","log":{"level":"INFO","message":"m"}})", pin), "native") << pin;
    while (const LogEvent* next = parser_.next()) ADD_FAILURE() << next->dialect;
  }
  // Its own reading wins: whoever pins a source knows its lines.
  EXPECT_EQ(read_as(kRecord, "wide"), "wide");
}

TEST_F(PinnedDialect, ALineInItTellsByItsMembers) {
  const std::string line =
      R"({"timestamp":"2026-01-02T03:04:05Z","level":"info","logger":"task","ti_id":"t1","run_id":"outer","event":"{\"data\":{\"version\":\"1\"},\"info\":{\"invocation_id\":\"i1\",\"level\":\"info\",\"name\":\"MainReportVersion\"}}"})";
  EXPECT_EQ(read_as(line, "airflow3"), "dbt");
  EXPECT_EQ(parser_.parse(line, nullptr, "airflow3").fields.text(Field::kParentRunId), "outer");
}

}  // namespace
}  // namespace runtail
