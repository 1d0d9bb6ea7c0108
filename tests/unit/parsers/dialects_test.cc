// Dialects of tools: every built-in file does what its examples say, in whatever order the members stand, and no line
// is claimed by another dialect.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "parsers/dialect_examples.h"
#include "parsers/parser.h"

namespace runtail {
namespace {

// The members of a JSON object the other way round; "" if the text is none.
std::string with_members_reversed(std::string_view line) {
  if (!line.starts_with('{') || !line.ends_with('}')) return "";
  std::vector<std::string> members(1);
  int depth = 0;
  bool in_string = false;
  for (std::size_t at = 1; at + 1 < line.size(); ++at) {
    const char c = line[at];
    if (in_string) {
      members.back() += c;
      if (c == '\\') members.back() += line[++at];
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    depth += c == '{' || c == '[';
    depth -= c == '}' || c == ']';
    if (c == ',' && depth == 0) {
      members.emplace_back();
    } else {
      members.back() += c;
    }
  }
  std::string out = "{";
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    out += (out.size() > 1 ? "," : "") + *member;
  }
  return out + "}";
}

TEST(DialectsTest, EveryExampleOfEveryBuiltInFileGivesWhatItSaysAndIsNobodyElses) {
  Parser parser(built_in_dialects());
  for (const DialectSpec& dialect : built_in_dialects()) {
    EXPECT_TRUE(!dialect.tool || !dialect.examples.empty()) << dialect.file << " has no examples";
    for (const std::string& failure : failed_examples(parser, dialect)) ADD_FAILURE() << failure;
  }
}

TEST(DialectsTest, TheOrderOfMembersMeansNothing) {
  Parser parser(built_in_dialects());
  std::size_t reversed = 0;
  for (DialectSpec& dialect : built_in_dialects()) {
    for (DialectExample& example : dialect.examples) {
      std::string other = with_members_reversed(example.line);
      if (other.empty()) continue;
      example.line = std::move(other);
      ++reversed;
    }
    for (const std::string& failure : failed_examples(parser, dialect)) ADD_FAILURE() << "reversed: " << failure;
  }
  EXPECT_GE(reversed, 30u);
}

TEST(DialectsTest, LinesOfTheLogContractAreClaimedByNoTool) {
  Parser parser(built_in_dialects());
  std::size_t lines = 0;
  const std::filesystem::path root = std::filesystem::path(RUNTAIL_SOURCE_DIR) / "tests/testdata/contract";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with('{')) continue;
      const LogEvent& event = parser.parse(line);
      EXPECT_TRUE(event.shape != LineShape::kJson || event.dialect == "native") << line;
      ++lines;
    }
  }
  EXPECT_GT(lines, 10u);
}

TEST(DialectsTest, AnInnerLineIsLookedForOneLevelDeepOnly) {
  Parser parser(built_in_dialects());
  const LogEvent& event = parser.parse(
      R"({"level":"INFO","ts":"2026-01-02T03:04:05Z","msg":"{\"msg\":\"{\\\"run_id\\\":\\\"deep\\\"}\",\"run_id\":\"r1\",\"job_id\":\"j\"}","run_id":"outer","job_id":"flow","task":"t"})");
  EXPECT_EQ(event.fields.text(Field::kRunId), "r1");
  EXPECT_EQ(event.fields.text(Field::kParentRunId), "outer");
  EXPECT_EQ(event.fields.text(Field::kParentJobId), "flow");
  EXPECT_FALSE(event.fields.has(Field::kTask));
  EXPECT_EQ(to_rfc3339(*event.ts), "2026-01-02T03:04:05.000000Z");
  EXPECT_EQ(event.fields.text(Field::kMsg), R"({"run_id":"deep"})");
}

TEST(DialectsTest, AnInnerLineThatNamesNoRunIsOfTheOuterOne) {
  Parser parser(built_in_dialects());
  const LogEvent& event = parser.parse(
      R"({"level":"WARN","msg":"METRIC: {\"metric_type\":\"counter\",\"metric\":\"record_count\",\"value\":7,\"tags\":{\"stream\":\"users\"}}","run_id":"outer","job_id":"flow"})");
  EXPECT_EQ(event.dialect, "singer");
  EXPECT_EQ(event.fields.text(Field::kRunId), "outer");
  EXPECT_EQ(event.fields.integer(Field::kRecordsExtracted), 7);
  EXPECT_EQ(event.level, Level::kWarn);
}

TEST(DialectsTest, ATextTooLongOrTooDeepIsNotLookedInto) {
  Parser parser(built_in_dialects());
  const auto line = [](const std::string& filling) {
    return R"({"level":"INFO","msg":"{\"run_id\":\"inner\",\"x\":)" + filling + R"(}","run_id":"outer"})";
  };
  EXPECT_EQ(parser.parse(line("1")).fields.text(Field::kRunId), "inner");
  EXPECT_EQ(parser.parse(line(std::string(Parser::kInnerBytesMax, '1'))).fields.text(Field::kRunId), "outer");
  const std::size_t deep = Parser::kInnerDepthMax + 8;
  EXPECT_EQ(parser.parse(line(std::string(deep, '[') + std::string(deep, ']'))).fields.text(Field::kRunId), "outer");
}

// However a line of data is cut, wrapped in a text, or mixed up: nothing of it is in the event.
TEST(DialectsTest, NoPieceOfABodyIsEverAnEventsText) {
  Parser parser(built_in_dialects());
  const std::string bodies[] = {
      R"({"type":"RECORD","record":{"stream":"users","data":{"mail":"canary-1"},"emitted_at":1767323045000}})",
      R"({"record":{"data":{"mail":"canary-1"},"stream":"users"},"type":"RECORD"})",
      R"({"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"u"},"stream_state":{"c":"canary-1"}}}})",
      R"({"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","connectorConfig":{"config":{"token":"canary-1"}}}})",
      R"({"type":"RECORD","stream":"users","record":{"mail":"canary-1"}})",
      R"({"type":"STATE","value":{"bookmarks":{"users":"canary-1"}}})",
      R"({"data":{"conn_name":"c","sql":"select 'canary-1'"},"info":{"invocation_id":"i","name":"SQLQuery","msg":"On c: select 'canary-1'"}})",
  };
  const auto has_canary = [&](const LogEvent& event) {
    bool found = event.text.find("canary") != std::string_view::npos;
    event.fields.for_each([&](Field, const FieldValue& value) {
      const bool is_text = value.kind == FieldValue::Kind::kText;
      found |= is_text && value.text.find("canary") != std::string_view::npos;
    });
    for (const JsonNode& node : event.rest) found |= node.text.find("canary") != std::string_view::npos;
    return found;
  };
  const auto expect_none = [&](const std::string& line) {
    EXPECT_FALSE(has_canary(parser.parse(line))) << line;
    while (const LogEvent* next = parser.next()) EXPECT_FALSE(has_canary(*next)) << line;
  };
  for (const std::string& body : bodies) {
    std::string escaped;
    for (const char c : body) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    // From the canary on, any cut; without it there is nothing to keep secret.
    for (std::size_t end = body.find("canary"); end <= body.size(); ++end) {
      expect_none(body.substr(0, end));
      expect_none("2026-01-02 INFO - " + body.substr(0, end));
    }
    expect_none(R"({"ts":"2026-01-02T03:04:05Z","level":"INFO","msg":")" + escaped + R"("})");
    expect_none(R"({"ts":"2026-01-02T03:04:05Z","level":"INFO","msg":"relayed: )" +
                escaped.substr(0, escaped.size() - 2) + R"("})");
    // What Python prints and no strict parser takes.
    std::string nan = body;
    nan.insert(1, R"("x":NaN,)");
    expect_none(nan);
  }
}

}  // namespace
}  // namespace runtail
