// docs/log-contract.schema.json against the code, the sample lines, the Python formatter and the parser, both ways.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "config/dialect.h"
#include "core/field.h"
#include "core/json_text.h"
#include "derive/deriver.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "tests/support/child_process.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/house/source_tree.h"

namespace runtail::house {
namespace {

using test::by_scale;
using test::seed;

const std::filesystem::path kRoot = RUNTAIL_SOURCE_DIR;
const std::string kSchema = kRoot / "docs/log-contract.schema.json";

std::string in_quotes(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string enum_of(const auto& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + in_quotes(word);
  return "{\"enum\": [" + out + "]}";
}

// What a member that holds the field may be.
std::string rule_of(Field field) {
  switch (field) {
    case Field::kAttempt:
    case Field::kMaxAttempts:
    case Field::kTaskAttempt:
      return R"({"type": "integer", "minimum": 1, "maximum": 1000000})";
    case Field::kHttpStatus:
      return R"({"type": "integer", "minimum": 100, "maximum": 599})";
    case Field::kExitCode:
      return R"({"type": "integer", "minimum": -1, "maximum": 255})";
    case Field::kExitSignal:
      return R"({"type": "integer", "minimum": 0, "maximum": 64})";
    case Field::kDurationMs:
      return R"({"type": "number", "minimum": 0, "maximum": 315360000000})";
    case Field::kCostUsd:
      return R"({"type": "number", "minimum": 0, "maximum": 9999.999999})";
    case Field::kNullRates:
      return R"({"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}})";
    case Field::kMetrics:
      return R"({"type": "object", "additionalProperties": {"type": "number"}, "maxProperties": 32})";
    case Field::kEndReason:
      return enum_of(std::vector{"completed", "exit_code", "signal", "oom", "lost", "timeout"});
    case Field::kMsg:
    case Field::kJobId:
    case Field::kRunId:
      return R"({"type": "string", "minLength": 1})";
    default:
      break;
  }
  switch (spec_of(field).type) {
    case FieldType::kFreeText:
    case FieldType::kName:
      return R"({"type": "string"})";
    case FieldType::kId:
      return R"({"type": ["string", "integer"]})";
    case FieldType::kWord:
      return enum_of(words_of(field));
    case FieldType::kInt:
      return R"({"type": "integer", "minimum": 0, "maximum": 1000000000000000})";
    case FieldType::kReal:
      return R"({"type": "number"})";
    case FieldType::kBool:
      return R"({"type": "boolean"})";
    case FieldType::kTime:
      return R"({"type": "string", "format": "date-time", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"})";
    case FieldType::kJson:
      return R"({"type": ["array", "object"]})";
  }
  return "{}";
}

using Members = std::map<std::string, std::string>;  // name -> rule

std::string object_of(const Members& members, const std::string& indent) {
  std::string out;
  for (const auto& [name, rule] : members) {
    out += (out.empty() ? "\n" : ",\n") + indent + "  " + in_quotes(name) + ": " + rule;
  }
  return "{" + out + "\n" + indent + "}";
}

// Of the lines of one kind, or of several.
std::string part_of(const std::vector<std::string>& kinds, const Members& members,
                    const std::vector<std::string>& required) {
  const std::string which = kinds.size() == 1 ? "{\"const\": " + in_quotes(kinds[0]) + "}" : enum_of(kinds);
  std::string names;
  for (const std::string& name : required) names += (names.empty() ? "" : ", ") + in_quotes(name);
  std::string then = names.empty() ? "" : "\n      \"required\": [" + names + "]";
  if (!members.empty()) {
    then += std::string(then.empty() ? "" : ",") + "\n      \"properties\": " + object_of(members, "      ");
  }
  return "    {\n      \"if\": {\"properties\": {\"event\": " + which +
         "}, \"required\": [\"event\"]},\n      \"then\": {" + then + "\n      }\n    }";
}

// The schema as the fields, their words and the native dialect have it.
std::string schema_of_the_code() {
  const DialectSpec native = built_in_dialects().at(0);
  std::set<Field> common;
  for (const auto& [path, field] : native.fields) common.insert(field);

  std::vector<std::string> events, lifecycle;
  std::vector<EventKind> kinds;
  for (int i = static_cast<int>(EventKind::kRunQueued); i <= static_cast<int>(kLastLineKind); ++i) {
    kinds.push_back(static_cast<EventKind>(i));
    events.emplace_back(to_string(kinds.back()));
    if (kinds.back() <= EventKind::kTaskFinished) lifecycle.push_back(events.back());
  }
  std::vector<std::string> statuses;
  for (const auto& [word, status] : native.statuses) statuses.push_back(word);

  Members members = {{"ts", rule_of(Field::kScheduledAt)},
                     {"level", enum_of(std::vector{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"})},
                     {"event", enum_of(events)},
                     {"status", R"({"type": "string"})"}};
  for (const Field field : common) {
    if (field != Field::kStatusText) members[std::string(spec_of(field).name)] = rule_of(field);
  }
  Members error;
  for (const auto& [path, field] : native.fields) {
    if (path.starts_with("error.")) error[path.substr(6)] = rule_of(field);
  }
  members["error"] = "{\"type\": \"object\", \"properties\": " + object_of(error, "    ") + "}";

  // What the state of each kind may be, and what its record cannot do without (docs/log-contract.md).
  const std::string trace = R"({"type": "string", "pattern": "^[0-9a-f]{32}$"})";
  const std::string span = R"({"type": "string", "pattern": "^[0-9a-f]{16}$"})";
  std::map<EventKind, Members> more = {
      {EventKind::kDq, {{"status", enum_of(std::vector{"pass", "warn", "fail", "error"})}}},
      {EventKind::kHeartbeat, {{"status", enum_of(std::vector{"ok", "degraded", "stopping", "down"})}}},
      {EventKind::kSpan, {{"status", enum_of(std::vector{"ok", "error"})}, {"trace_id", trace}, {"span_id", span}}},
      {EventKind::kDocument, {{"status", enum_of(std::vector{"started", "success", "failed"})}}},
      {EventKind::kProviderSync, {{"status", enum_of(std::vector{"idle", "running", "success", "error"})}}}};
  const std::map<EventKind, std::vector<std::string>> required = {{EventKind::kDataset, {"dataset"}},
                                                                  {EventKind::kDq, {"table"}},
                                                                  {EventKind::kSpan, {"trace_id", "span_id"}},
                                                                  {EventKind::kChat, {"session_id"}},
                                                                  {EventKind::kDocument, {"document_id", "event_type"}},
                                                                  {EventKind::kProviderSync, {"provider", "status"}}};
  const Members run_status = {{"status", R"({"$ref": "#/$defs/run_status"})"}};
  more[EventKind::kDataset] = run_status;
  std::string parts =
      "    {\n      \"if\": {\"not\": {\"required\": [\"event\"]}},\n      \"then\": {\"dependentRequired\": "
      "{\"status\": [\"job_id\", \"run_id\"]}, \"properties\": " +
      object_of(run_status, "      ") + "}\n    },\n" + part_of(lifecycle, run_status, {"job_id", "run_id"});
  for (const EventKind kind : kinds) {
    Members& own = more[kind];
    if (const auto found = native.own.find(kind); found != native.own.end()) {
      for (const auto& [name, field] : found->second) own[name] = rule_of(field);
    }
    const auto needed = required.find(kind);
    if (own.empty() && needed == required.end()) continue;
    parts += ",\n" + part_of({std::string(to_string(kind))}, own,
                             needed == required.end() ? std::vector<std::string>{} : needed->second);
  }
  return "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
         "  \"title\": \"A line of the log contract\",\n"
         "  \"$comment\": \"As docs/log-contract.md has it, in its own spellings; the agent takes others, and lines "
         "that lack what is required. Members that are not named here may stand on a line.\",\n"
         "  \"type\": \"object\",\n  \"required\": [\"ts\", \"level\", \"msg\"],\n"
         "  \"dependentRequired\": {\"check\": [\"status\"]},\n  \"$defs\": {\n    \"run_status\": " +
         enum_of(statuses) + "\n  },\n  \"properties\": " + object_of(members, "  ") + ",\n  \"allOf\": [\n" + parts +
         "\n  ]\n}\n";
}

test::Finished contract_lines(std::vector<std::string> arguments) {
  test::Command command;
  // Debian's own, whatever else is on the path: python3-jsonschema is for it.
  command.argv = {"/usr/bin/python3", "-B", kRoot / "tests/support/contract_lines.py", kSchema};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  return test::run_to_end(command);
}

std::string violations_of(const LogEvent& event) {
  std::string names;
  for (std::size_t i = 0; i < kContractViolationCount; ++i) {
    if (event.violations >> i & 1) names += ' ' + std::string(to_string(static_cast<ContractViolation>(i)));
  }
  return names;
}

TEST(Contract, TheSchemaIsWhatFieldsWordsAndDialectSay) {
  const std::string wanted = schema_of_the_code();
  if (std::getenv("RUNTAIL_WRITE_SCHEMA")) std::ofstream(kSchema) << wanted;
  EXPECT_EQ(read_text(kSchema), wanted) << "write it anew: RUNTAIL_WRITE_SCHEMA=1 unit_house";
}

TEST(Contract, TheSchemaTakesTheSampleLines) {
  std::vector<std::string> arguments = {"check"};
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "tests/testdata/contract")) {
    arguments.push_back(entry.path());
  }
  ASSERT_GT(arguments.size(), 3u);
  const test::Finished checked = contract_lines(arguments);
  EXPECT_EQ(checked.exit_code, 0) << checked.output << checked.errors;
}

// Each line the schema takes is understood whole: no violation, its kind, and the record its kind is for.
TEST(Contract, TheParserTakesWhateverTheSchemaTakes) {
  const test::Finished made =
      contract_lines({"make", std::to_string(by_scale(1500, 50'000)), std::to_string(seed() % 1'000'000)});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  Parser parser(built_in_dialects());
  Redactor redactor = *Redactor::make({});
  DeriverSettings settings;
  settings.service = "etl";
  const Deriver deriver(settings);
  const EventIds ids(FileIdentity{"agent/etl", {}, 0});
  std::istringstream lines(made.output);
  std::map<EventKind, int> seen;
  for (std::string line; std::getline(lines, line);) {
    const LogEvent& event = parser.parse(line);
    ASSERT_EQ(violations_of(event), "") << line << "\nseed " << seed();
    ++seen[event.kind];
    const EventKind kind = event.kind;
    RedactedEvent redacted = redactor.redact(event);
    redacted.ts = *event.ts;
    Derived derived;
    deriver.derive(redacted, {&ids, 0, "job", 4}, derived);
    if (kind >= EventKind::kHeartbeat) {
      ASSERT_FALSE(std::holds_alternative<std::monostate>(derived.own)) << line << "\nseed " << seed();
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kLastLineKind) + 1) << "a kind was never made";
}

// And a line the schema refuses for a value, or for what is missing, the parser counts.
TEST(Contract, TheParserCountsWhatTheSchemaRefuses) {
  const test::Finished made =
      contract_lines({"spoil", std::to_string(by_scale(1500, 50'000)), std::to_string(seed() % 1'000'000)});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  Parser parser(built_in_dialects());
  std::istringstream lines(made.output);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const std::size_t tab = line.find('\t');
    ASSERT_NE(violations_of(parser.parse(std::string_view(line).substr(tab + 1))), "") << line << "\nseed " << seed();
  }
  EXPECT_GT(count, 300);
}

TEST(Contract, TheFormatterPrintsIt) {
  const test::TempDir directory;
  const test::Finished printed = contract_lines({"format", kRoot / "demo/formatter.py"});
  ASSERT_EQ(printed.exit_code, 0) << printed.errors;
  std::ofstream(directory / "lines") << printed.output;
  const test::Finished checked = contract_lines({"check", directory / "lines"});
  EXPECT_EQ(checked.exit_code, 0) << checked.errors;
  Parser parser(built_in_dialects());
  std::istringstream lines(printed.output);
  std::vector<std::string> got;
  for (std::string line; std::getline(lines, line);) {
    const LogEvent& event = parser.parse(line);
    EXPECT_EQ(violations_of(event), "") << line;
    EXPECT_EQ(event.fields.text(Field::kRunId), "nightly-0301");
    got.push_back(std::string(to_string(event.level)) + ' ' + std::string(to_string(event.kind)) + ' ' +
                  std::string(event.fields.text(Field::kErrorType)));
  }
  EXPECT_THAT(got, testing::ElementsAre("INFO run.started ", "WARN plain ", "DEBUG plain ",
                                        "ERROR run.finished ValueError", "FATAL plain "));
}

}  // namespace
}  // namespace runtail::house
