#include "agent/line_defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/pipeline.h"
#include "core/event_codec.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

SourceConfig source_with(std::map<std::string, std::string> fields, std::string timezone = "") {
  SourceConfig source;
  source.name = "etl";
  source.fields = std::move(fields);
  source.timezone = std::move(timezone);
  return source;
}

TEST(LineDefaultsTest, ContractFieldsApartFromTheContext) {
  const auto defaults = line_defaults(source_with({{"service", "etl"}, {"team", "a \"b\""}, {"zone", "eu"}}));
  ASSERT_TRUE(defaults);
  EXPECT_THAT(defaults->fields, ElementsAre(Pair(Field::kService, "etl")));
  EXPECT_EQ(defaults->context, R"("team":"a \"b\"","zone":"eu")");
  EXPECT_FALSE(defaults->time_zone);
  EXPECT_TRUE(line_defaults(source_with({}, "Europe/Rome"))->time_zone);
}

TEST(LineDefaultsTest, AMissingTimeZoneNamesTheSource) {
  const auto defaults = line_defaults(source_with({}, "Europe/Roma"));
  ASSERT_FALSE(defaults);
  EXPECT_EQ(defaults.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(defaults.error().message.find("source etl: time zone Europe/Roma: "), 0u);
}

TEST(LineDefaultsTest, EachFieldIsOfItsKind) {
  FieldSet fields;
  put_default(fields, Field::kOrgId, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  put_default(fields, Field::kProjectId, "blue");
  put_default(fields, Field::kService, "etl");
  put_default(fields, Field::kAttempt, "3");
  put_default(fields, Field::kMaxAttempts, "3x");
  put_default(fields, Field::kStartedAt, "2026-03-01T00:00:00Z");
  EXPECT_EQ(fields.find(Field::kOrgId)->kind, FieldValue::Kind::kUuid);
  EXPECT_EQ(fields.text(Field::kOrgId), "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  EXPECT_EQ(fields.find(Field::kProjectId)->kind, FieldValue::Kind::kText);
  EXPECT_EQ(fields.text(Field::kService), "etl");
  EXPECT_EQ(fields.integer(Field::kAttempt), 3);
  EXPECT_FALSE(fields.has(Field::kMaxAttempts));
  EXPECT_FALSE(fields.has(Field::kStartedAt));
}

std::string merged(std::string_view members, std::string_view stated, std::string object = "{") {
  append_missing_members(object, members, stated);
  return object;
}

TEST(LineDefaultsTest, MembersTheLineStatesAreLeftOut) {
  const std::string_view members = R"("a":"1","b":{"x":[1,2],"y":"}"},"c":3)";
  EXPECT_EQ(merged(members, ""), "{" + std::string(members));
  EXPECT_EQ(merged(members, "{}"), "{" + std::string(members));
  EXPECT_EQ(merged(members, R"({"b":null})"), R"({"a":"1","c":3)");
  EXPECT_EQ(merged(members, R"({"z":{"a":1},"c":0,"a":[{"b":1}]})"), R"({"b":{"x":[1,2],"y":"}"})");
  EXPECT_EQ(merged(members, R"({"a":1,"b":1,"c":1})"), "{");
  EXPECT_EQ(merged(R"("k":1)", R"({"m":"\",\"k\":2"})"), R"({"k":1)");  // inside a string
  EXPECT_EQ(merged(R"("a\"b":1,"a":2)", R"({"a\"b":0})"), R"({"a":2)");
  EXPECT_EQ(merged(R"("k":1)", "", R"({"x":0)"), R"({"x":0,"k":1)");
  EXPECT_EQ(merged("", R"({"m":1})"), "{");
}

// Lines of a source with defaults through the pipeline; the events that are stored.
class DefaultsInPipelineTest : public testing::Test {
 protected:
  struct Stored {
    std::string ts, service, env, org_id, context;
  };

  DefaultsInPipelineTest() {
    config_.directory = dir_.path() / "buffer";
    buffer_ = std::move(*DurableBuffer::open(config_));
    RedactionConfig redaction;
    redaction.allow = {"team", "stdio", "rows"};
    pipeline_ = std::make_unique<Pipeline>(*buffer_, Parser(built_in_dialects()), std::move(*Redactor::make(redaction)),
                                           Deriver({}), clock_, published_, 2000, true);
  }

  std::vector<Stored> feed(const LineDefaults& defaults, const std::vector<std::string>& lines, Output output) {
    LineBlock block;
    block.position.file = {"agent/etl", {1}, 0};
    block.position.source = "etl";
    std::optional<TimePoint> last_ts;
    block.last_ts = &last_ts;
    block.defaults = &defaults;
    std::uint64_t offset = 0;
    for (const std::string& text : lines) {
      Line line;
      line.offset = offset;
      line.length = text.size() + 1;
      line.bytes = text;
      line.output = output;
      block.lines.push_back(line);
      offset += line.length;
    }
    block.covers = {0, offset};
    block.position.emitted = block.position.resume = offset;
    pipeline_->add(block);
    EXPECT_TRUE(pipeline_->commit());
    std::vector<Stored> stored;
    const auto chunks = buffer_->read_after(0, 100);
    for (const SequencedChunk& each : *chunks) {
      for (EventReader reader(each.chunk.events); reader.next();) {
        const RedactedEvent& event = reader.event();
        stored.push_back({to_rfc3339(event.ts), std::string(event.fields.text(Field::kService)),
                          std::string(event.fields.text(Field::kEnv)), std::string(event.fields.text(Field::kOrgId)),
                          std::string(event.context)});
      }
    }
    return stored;
  }

  test::TempDir dir_;
  BufferConfig config_;
  SystemClock clock_;
  PublishedMetrics published_;
  std::unique_ptr<DurableBuffer> buffer_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(DefaultsInPipelineTest, TheLinesOwnValueWins) {
  const auto defaults = line_defaults(
      source_with({{"service", "etl"}, {"org_id", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, {"team", "eu"}}));
  const auto stored = feed(*defaults,
                           {R"({"ts":"2026-03-01T00:00:00Z","msg":"m"})",
                            R"({"ts":"2026-03-01T00:00:00Z","msg":"m","service":"own","team":"us","rows":{"team":1}})",
                            R"({"ts":"2026-03-01T00:00:00Z","msg":"m","rows":2})", "plain text"},
                           Output::kUnknown);
  ASSERT_EQ(stored.size(), 4u);
  EXPECT_EQ(stored[0].service, "etl");
  EXPECT_EQ(stored[0].org_id, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  EXPECT_EQ(stored[0].context, R"({"team":"eu"})");
  EXPECT_EQ(stored[1].service, "own");
  EXPECT_EQ(stored[1].context.find("eu"), std::string::npos) << stored[1].context;
  EXPECT_NE(stored[1].context.find(R"("team":"us")"), std::string::npos) << stored[1].context;
  EXPECT_EQ(stored[2].context, R"({"team":"eu","rows":2})");
  EXPECT_EQ(stored[3].service, "etl");
  EXPECT_EQ(stored[3].context, R"({"team":"eu"})");
}

TEST_F(DefaultsInPipelineTest, TheOutputIsNamedUnlessTheLineHasAMemberOfThatName) {
  const auto stored =
      feed({}, {R"({"msg":"m"})", R"({"msg":"m","stdio":"mine"})", R"({"msg":"m","rows":2})"}, Output::kStderr);
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_EQ(stored[0].context, R"({"stdio":"stderr"})");
  EXPECT_EQ(stored[1].context, R"({"stdio":"mine"})");
  EXPECT_EQ(stored[2].context, R"({"stdio":"stderr","rows":2})");
}

TEST_F(DefaultsInPipelineTest, TimesWithoutAnOffsetAreOfTheSourcesZone) {
  const auto defaults = line_defaults(source_with({}, "Asia/Kolkata"));
  // The first takes its time from the one after it: the look-ahead knows the zone too.
  const auto stored =
      feed(*defaults,
           {"starting", R"({"ts":"2026-03-01 05:30:00","msg":"m"})", R"({"ts":"2026-03-01T05:30:00Z","msg":"m"})"},
           Output::kUnknown);
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_EQ(stored[0].ts, "2026-03-01T00:00:00.000000Z");
  EXPECT_EQ(stored[1].ts, "2026-03-01T00:00:00.000000Z");
  EXPECT_EQ(stored[2].ts, "2026-03-01T05:30:00.000000Z");
}

TEST_F(DefaultsInPipelineTest, WithoutDefaultsNothingIsAdded) {
  const auto stored = feed({}, {R"({"ts":"2026-03-01 05:30:00","msg":"m"})"}, Output::kUnknown);
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].ts, "2026-03-01T05:30:00.000000Z");
  EXPECT_THAT(stored[0].context, IsEmpty());
  EXPECT_THAT(stored[0].service, IsEmpty());
}

// ---- tools that name no run ----

class ProcessRunTest : public testing::Test {
 protected:
  ProcessRunTest() { block_.position.file = {"etl", {}, 3}; }
  // The run an event gets that states none.
  std::string run() {
    RedactedEvent& event = redactor_.redact(parser_.parse(R"({"msg":"m"})"));
    put_process_run(block_, event, text_);
    job_ = event.fields.text(Field::kJobId);
    return std::string(event.fields.text(Field::kRunId));
  }
  Parser parser_{built_in_dialects()};
  Redactor redactor_ = Redactor::make({}).value();
  LineBlock block_;
  LineDefaults defaults_;
  std::string text_, job_;
};

TEST_F(ProcessRunTest, IsTheWrappersElseThePodsElseTheFiles) {
  EXPECT_EQ(run(), std::string(32, '0') + ".3");
  block_.position.file.generation = 4;
  EXPECT_EQ(run(), std::string(32, '0') + ".4") << "cut and written anew";
  block_.position.file.file_key[0] = 0x1f;
  EXPECT_EQ(run(), "1f" + std::string(30, '0') + ".4");
  block_.defaults = &defaults_;
  EXPECT_EQ(run(), "1f" + std::string(30, '0') + ".4");
  defaults_.process = "uid/source/0";
  EXPECT_EQ(run(), "uid/source/0");
  block_.wrapper_run.bytes.fill(7);
  EXPECT_EQ(run(), "07070707-0707-0707-0707-070707070707");
  EXPECT_EQ(job_, "");
  block_.wrapper_job = "sync";
  run();
  EXPECT_EQ(job_, "sync");
}

TEST_F(ProcessRunTest, IsNoneWhereManyProcessesWriteOrTheLineNamesOne) {
  block_.has_many_processes = true;
  EXPECT_EQ(run(), "");
  block_.has_many_processes = false;
  RedactedEvent& event = redactor_.redact(parser_.parse(R"({"msg":"m","run_id":"own"})"));
  put_process_run(block_, event, text_);
  EXPECT_EQ(event.fields.text(Field::kRunId), "own");
}

}  // namespace
}  // namespace runtail
