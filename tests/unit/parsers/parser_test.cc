#include "parsers/parser.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/scale.h"

namespace runtail {
namespace {

class ParserTest : public testing::Test {
 protected:
  const LogEvent& parse(std::string_view line) { return parser_.parse(line); }
  Parser parser_{built_in_dialects()};
};

bool violates(const LogEvent& event, ContractViolation which) {
  return event.violations >> static_cast<int>(which) & 1;
}

TEST_F(ParserTest, BothSpellingsGiveTheSameFields) {
  for (
      const char* line :
      {R"({"ts":"2026-03-01T00:00:02Z","level":"warning","msg":"m","env":"prod","error":{"message":"e","type":"T"}})",
       R"({"timestamp":"2026-03-01T00:00:02Z","level":"WARN","message":"m","environment":"prod","error_message":"e","error_type":"T"})",
       R"({"@timestamp":"2026-03-01T00:00:02Z","severity":"warn","msg":"m","env":"prod","error.message":"e","error.type":"T"})"}) {
    const LogEvent& event = parse(line);
    EXPECT_EQ(event.shape, LineShape::kJson);
    EXPECT_EQ(event.level, Level::kWarn);
    ASSERT_TRUE(event.ts);
    EXPECT_EQ(to_rfc3339(*event.ts), "2026-03-01T00:00:02.000000Z");
    EXPECT_EQ(event.fields.text(Field::kMsg), "m");
    EXPECT_EQ(event.fields.text(Field::kEnv), "prod");
    EXPECT_EQ(event.fields.text(Field::kErrorMessage), "e");
    EXPECT_EQ(event.fields.text(Field::kErrorType), "T");
    EXPECT_EQ(event.violations, 0u) << line;
  }
}

struct KindCase {
  const char* name;
  const char* line;
  EventKind kind;
  std::optional<RunStatus> status;
};

class Kinds : public ParserTest, public testing::WithParamInterface<KindCase> {};

TEST_P(Kinds, AreReadFromEventPhaseOrStatus) {
  const LogEvent& event = parse(GetParam().line);
  EXPECT_EQ(event.kind, GetParam().kind);
  EXPECT_EQ(event.status, GetParam().status);
}

INSTANTIATE_TEST_SUITE_P(
    Contract, Kinds,
    testing::Values(
        KindCase{"event", R"({"run_id":"r","event":"run.started"})", EventKind::kRunStarted, std::nullopt},
        KindCase{"event_with_status", R"({"status":"FAILED","run_id":"r","event":"run.finished"})",
                 EventKind::kRunFinished, RunStatus::kFailed},
        KindCase{"phase_queued", R"({"run_id":"r","phase":"queued"})", EventKind::kRunQueued, RunStatus::kQueued},
        KindCase{"phase_succeeded", R"({"run_id":"r","phase":"succeeded"})", EventKind::kRunFinished,
                 RunStatus::kSuccess},
        KindCase{"phase_failed", R"({"phase":"failed","run_id":"r"})", EventKind::kRunFinished, RunStatus::kFailed},
        KindCase{"phase_task_is_a_plain_line", R"({"run_id":"r","phase":"task","task":"load"})", EventKind::kPlain,
                 std::nullopt},
        KindCase{"phase_load_is_a_phase", R"({"run_id":"r","phase":"load"})", EventKind::kPlain, std::nullopt},
        KindCase{"phase_without_a_run_says_nothing", R"({"phase":"failed"})", EventKind::kPlain, std::nullopt},
        KindCase{"status_word", R"({"run_id":"r","status":"Succeeded"})", EventKind::kRunFinished, RunStatus::kSuccess},
        KindCase{"timed_out_is_failed", R"({"run_id":"r","status":"timed out"})", EventKind::kRunFinished,
                 RunStatus::kFailed},
        KindCase{"unknown_status_changes_nothing", R"({"run_id":"r","status":"purple"})", EventKind::kPlain,
                 std::nullopt},
        KindCase{"level_never_decides", R"({"run_id":"r","level":"ERROR","msg":"m"})", EventKind::kPlain, std::nullopt},
        KindCase{"unknown_event_with_a_status_says_nothing_of_the_run",
                 R"({"run_id":"r","event":"order_created","status":"success"})", EventKind::kPlain, std::nullopt},
        KindCase{"unknown_event_with_a_phase_says_nothing_of_the_run",
                 R"({"run_id":"r","event":"order_created","phase":"failed"})", EventKind::kPlain, std::nullopt},
        KindCase{"finished_with_an_unknown_word", R"({"run_id":"r","event":"run.finished","status":"exploded"})",
                 EventKind::kRunFinished, RunStatus::kRunning},
        KindCase{"finished_with_a_number", R"({"run_id":"r","event":"run.finished","status":7})",
                 EventKind::kRunFinished, RunStatus::kRunning},
        KindCase{"finished_with_retry_is_a_failed_attempt",
                 R"({"run_id":"r","event":"run.finished","status":"up for retry"})", EventKind::kAttemptFinished,
                 RunStatus::kRunning},
        KindCase{"status_of_a_named_task", R"({"run_id":"r","task":"load","status":"failed"})",
                 EventKind::kTaskFinished, RunStatus::kFailed},
        KindCase{"phase_of_a_named_task", R"({"run_id":"r","task":"load","phase":"failed"})", EventKind::kTaskFinished,
                 RunStatus::kFailed},
        KindCase{"start_of_a_named_task", R"({"run_id":"r","task":"load","status":"running"})", EventKind::kTaskStarted,
                 RunStatus::kRunning},
        KindCase{"retry_of_a_named_task", R"({"run_id":"r","task":"load","status":"up for retry"})", EventKind::kPlain,
                 RunStatus::kRunning},
        KindCase{"status_of_a_dataset", R"({"run_id":"r","event":"dataset","dataset":"d","status":"Completed"})",
                 EventKind::kDataset, RunStatus::kSuccess},
        KindCase{"dq_status_is_no_run_status", R"({"run_id":"r","event":"dq","status":"fail","table":"t"})",
                 EventKind::kDq, std::nullopt}),
    [](const auto& each) { return std::string(each.param.name); });

TEST_F(ParserTest, RetryFailsTheAttemptAndNotTheRun) {
  const LogEvent& event = parse(R"({"run_id":"r","status":"up_for_retry","attempt":1})");
  EXPECT_EQ(event.kind, EventKind::kAttemptFinished);
  EXPECT_TRUE(event.attempt_failed);
}

TEST_F(ParserTest, AnUnknownStatusWordIsCountedAndIsNoVerdict) {
  for (const char* event : {"run.finished", "attempt.finished", "task.finished"}) {
    const LogEvent& line =
        parse(R"({"run_id":"r","task":"t","status":"exploded","event":")" + std::string(event) + "\"}");
    EXPECT_TRUE(violates(line, ContractViolation::kUnknownStatus)) << event;
    EXPECT_EQ(line.status, RunStatus::kRunning) << "else nobody could tell it from no word at all";
  }
  EXPECT_TRUE(violates(parse(R"({"event":"run.finished","status":")" + std::string(70, 'x') + "\"}"),
                       ContractViolation::kUnknownStatus));
  EXPECT_TRUE(violates(parse(R"({"run_id":"r","status":"purple"})"), ContractViolation::kUnknownStatus));
  EXPECT_FALSE(violates(parse(R"({"run_id":"r","status":200})"), ContractViolation::kUnknownStatus))
      << "no word, and no verdict is asked for";
  const LogEvent& known = parse(R"({"run_id":"r","status":"done","event":"run.finished"})");
  EXPECT_FALSE(violates(known, ContractViolation::kUnknownStatus));
  EXPECT_FALSE(known.fields.has(Field::kStatusText));
}

TEST_F(ParserTest, AStatusOfSomethingElseThanARunStaysAsItIs) {
  for (const char* event : {"span", "heartbeat", "provider_sync", "document", "queue", "cache", "order_created"}) {
    for (const char* word : {"degraded", "idle", "stopping", "down", "success", "error"}) {
      const LogEvent& line =
          parse(R"({"run_id":"r","event":")" + std::string(event) + R"(","status":")" + word + "\"}");
      EXPECT_EQ(line.fields.text(Field::kStatusText), word) << event;
      EXPECT_EQ(line.status, std::nullopt) << event << ' ' << word;
      EXPECT_FALSE(violates(line, ContractViolation::kUnknownStatus)) << event << ' ' << word;
      EXPECT_FALSE(line.fields.has(Field::kEndReason)) << event << ' ' << word;
    }
  }
}

TEST_F(ParserTest, AReportedCheckHasAStatusOfDataQualityTools) {
  const auto unknown = [this](const std::string& members) {
    return violates(parse(R"({"event":"dq","table":"t","check":"c")" + members + "}"),
                    ContractViolation::kUnknownStatus);
  };
  for (const char* word : {"pass", "PASSED", "warn", "Warning", "fail", "failed", "error", "ok", "success"}) {
    EXPECT_FALSE(unknown(R"(,"status":")" + std::string(word) + "\"")) << word;
  }
  EXPECT_TRUE(unknown(R"(,"status":"purple")"));
  EXPECT_TRUE(unknown("")) << "a check that reports nothing";
  EXPECT_FALSE(violates(parse(R"({"event":"dq","table":"t","row_count":5})"), ContractViolation::kUnknownStatus));
}

TEST_F(ParserTest, AnUnknownStatusOfADatasetIsCounted) {
  EXPECT_TRUE(
      violates(parse(R"({"event":"dataset","dataset":"d","status":"purple"})"), ContractViolation::kUnknownStatus));
  EXPECT_FALSE(violates(parse(R"({"event":"dataset","dataset":"d"})"), ContractViolation::kUnknownStatus));
}

TEST_F(ParserTest, ADurationMayHaveAFraction) {
  for (const char* text : {"12.75", "\"12.75\""}) {
    const LogEvent& event = parse(R"({"msg":"m","duration_ms":)" + std::string(text) + "}");
    EXPECT_EQ(event.fields.real(Field::kDurationMs), 12.75) << text;
    EXPECT_FALSE(violates(event, ContractViolation::kBadType)) << text;
  }
  EXPECT_EQ(parse(R"({"msg":"m","duration_ms":100000})").fields.integer(Field::kDurationMs), 100000);
}

TEST_F(ParserTest, ANumberOutsideItsRangeIsNoValue) {
  for (const char* member : {R"("cost_usd":-0.01)", R"("cost_usd":10000)", R"("cost_usd":1e300)", R"("duration_ms":-1)",
                             R"("duration_ms":-0.5)", R"("duration_ms":1e300)", R"("duration_ms":315360000001)"}) {
    const LogEvent& event = parse(R"({"msg":"m",)" + std::string(member) + "}");
    EXPECT_FALSE(event.fields.has(Field::kCostUsd) || event.fields.has(Field::kDurationMs)) << member;
    EXPECT_TRUE(violates(event, ContractViolation::kBadType)) << member;
  }
  EXPECT_EQ(parse(R"({"msg":"m","cost_usd":9999.999999})").fields.real(Field::kCostUsd), 9999.999999);
  EXPECT_EQ(parse(R"({"msg":"m","value":-1e300})").fields.real(Field::kValue), -1e300) << "a metric may be anything";
}

TEST_F(ParserTest, WrongTypesAreDroppedAndCounted) {
  const LogEvent& event = parse(
      R"({"msg":"m","attempt":0,"duration_ms":"soon","records_loaded":-1,"http_status":99,"records_extracted":"12"})");
  EXPECT_FALSE(event.fields.has(Field::kAttempt));
  EXPECT_FALSE(event.fields.has(Field::kDurationMs));
  EXPECT_FALSE(event.fields.has(Field::kRecordsLoaded));
  EXPECT_FALSE(event.fields.has(Field::kHttpStatus));
  EXPECT_EQ(event.fields.integer(Field::kRecordsExtracted), 12);
  EXPECT_TRUE(violates(event, ContractViolation::kBadType));
}

TEST_F(ParserTest, LifecycleWithoutIdsIsAcceptedAndCounted) {
  const LogEvent& event = parse(R"({"event":"run.started"})");
  EXPECT_EQ(event.kind, EventKind::kRunStarted);
  for (const auto which : {ContractViolation::kTs, ContractViolation::kLevel, ContractViolation::kMsg,
                           ContractViolation::kJobId, ContractViolation::kRunId}) {
    EXPECT_TRUE(violates(event, which)) << to_string(which);
  }
}

TEST_F(ParserTest, UnknownMembersStandInTheTape) {
  const LogEvent& event = parse(R"({"msg":"m","debug":{"q":"x","n":[1,2]},"host":"h"})");
  ASSERT_EQ(event.rest.size(), 6u);
  EXPECT_EQ(event.rest[0].key, "debug");
  EXPECT_EQ(event.rest[0].end, 5u);
  EXPECT_EQ(event.rest[2].kind, JsonNode::Kind::kArray);
  EXPECT_EQ(event.rest[5].text, "h");
}

TEST_F(ParserTest, UuidsAreTyped) {
  const LogEvent& event = parse(R"({"run_id":"0af7651c-1234-4abc-8def-0123456789ab","correlation_id":"c-7"})");
  EXPECT_EQ(event.fields.find(Field::kRunId)->kind, FieldValue::Kind::kUuid);
  EXPECT_EQ(event.fields.find(Field::kCorrelationId)->kind, FieldValue::Kind::kText);
}

TEST_F(ParserTest, ABadByteIsSeenAtEveryPlaceOfAText) {
  for (std::size_t lead = 1; lead < 20; ++lead) {
    for (std::size_t tail = 0; tail < 20; ++tail) {
      const std::string before(lead, 'x'), after(tail, 'y');
      EXPECT_TRUE(parse(before + '\0' + after).repaired);
      EXPECT_TRUE(parse(before + "\xC3" + after).repaired);
      EXPECT_FALSE(parse(before + "\xC3\xA9" + after).repaired);
      EXPECT_FALSE(parse(before + '\x7F' + after).repaired);
    }
  }
}

struct BadCase {
  const char* name;
  std::string line;
  LineShape shape;
  bool repaired;
};

class BadInput : public ParserTest, public testing::WithParamInterface<BadCase> {};

TEST_P(BadInput, HasADefinedShape) {
  const LogEvent& event = parse(GetParam().line);
  EXPECT_EQ(event.shape, GetParam().shape);
  EXPECT_EQ(event.repaired, GetParam().repaired);
  EXPECT_EQ(event.fields.has(Field::kMsg), event.shape == LineShape::kJson);
}

std::string deep(int levels) { return R"({"msg":)" + std::string(levels, '[') + std::string(levels, ']') + "}"; }

INSTANTIATE_TEST_SUITE_P(
    All, BadInput,
    testing::Values(BadCase{"text", "Traceback (most recent call last):", LineShape::kText, false},
                    BadCase{"empty", "", LineShape::kEmpty, false},
                    BadCase{"blanks", " \t\r", LineShape::kEmpty, false},
                    BadCase{"cut", R"({"msg":"a)", LineShape::kText, false},
                    BadCase{"array", "[1]", LineShape::kText, false}, BadCase{"null", "null", LineShape::kText, false},
                    BadCase{"two_objects", R"({"msg":"a"}{"msg":"b"})", LineShape::kText, false},
                    BadCase{"crlf", "{\"msg\":\"a\"}\r", LineShape::kJson, false},
                    BadCase{"invalid_utf8_in_json", "{\"msg\":\"a\xff\"}", LineShape::kJson, true},
                    BadCase{"invalid_utf8_in_text", "a\xff", LineShape::kText, true},
                    BadCase{"nul_byte", std::string("{\"msg\":\"a\0b\"}", 13), LineShape::kJson, true},
                    BadCase{"nul_escape", R"({"msg":"a\u0000b"})", LineShape::kJson, true},
                    BadCase{"lone_surrogate", R"({"msg":"a\ud800b"})", LineShape::kJson, true},
                    BadCase{"pair_of_surrogates", R"({"msg":"\ud83d\ude00"})", LineShape::kJson, false},
                    BadCase{"raw_tab_in_string", "{\"msg\":\"a\tb\"}", LineShape::kJson, true},
                    BadCase{"number_beyond_64_bits", R"({"msg":"a","n":123456789012345678901234567890})",
                            LineShape::kJson, true},
                    BadCase{"number_beyond_double", R"({"msg":"a","n":1e999})", LineShape::kJson, true},
                    BadCase{"nesting_10000", deep(10'000), LineShape::kText, false},
                    BadCase{"duplicate_keys", R"({"msg":"a","msg":"b"})", LineShape::kJson, false}),
    [](const auto& each) { return std::string(each.param.name); });

TEST_F(ParserTest, TheLastOfDuplicateKeysCounts) {
  EXPECT_EQ(parse(R"({"msg":"a","msg":"b"})").fields.text(Field::kMsg), "b");
}

TEST_F(ParserTest, MutatedLinesNeverBreakIt) {
  const std::uint64_t seed = test::seed();
  std::mt19937_64 random(seed);
  const std::string base =
      R"({"ts":"2026-03-01T00:00:02Z","level":"INFO","msg":"a \u00e9 b","run_id":"r","phase":"task","n":[1,2.5,{"x":null}],"e":"\ud83d\ude00"})";
  for (int i = 0; i < (test::long_run() ? 1'000'000 : 50'000); ++i) {
    std::string line = base;
    for (int n = 0; n < 1 + static_cast<int>(random() % 4); ++n) {
      const std::size_t at = random() % line.size();
      switch (random() % 3) {
        case 0:
          line[at] = static_cast<char>(random());
          break;
        case 1:
          line.erase(at, 1 + random() % 5);
          break;
        default:
          line.insert(at, 1, static_cast<char>(random()));
          break;
      }
      if (line.empty()) line = " ";
    }
    const LogEvent& event = parse(line);
    ASSERT_TRUE(event.shape != LineShape::kText || event.text.find('\0') == std::string_view::npos) << "seed " << seed;
  }
}

TEST_F(ParserTest, TimesWithoutAnOffsetAreOfTheZone) {
  const auto zone = TimeZone::load("Europe/Rome");
  ASSERT_TRUE(zone);
  const std::string_view line =
      R"({"ts":"2026-07-01T12:00:00.5","msg":"m","started_at":"2026-07-01 11:00:00","finished_at":"2026-07-01T12:00:00Z","scheduled_at":"2026-01-01T12:00:00","queued_at":"2026-07-01T12:00:00+02:00","updated_at":1782900000})";
  const auto shown = [](const std::optional<TimePoint>& time) { return time ? to_rfc3339(*time) : "none"; };
  const LogEvent& local = parser_.parse(line, &*zone);
  EXPECT_EQ(shown(local.ts), "2026-07-01T10:00:00.500000Z");
  EXPECT_EQ(shown(local.fields.time(Field::kStartedAt)), "2026-07-01T09:00:00.000000Z");
  EXPECT_EQ(shown(local.fields.time(Field::kFinishedAt)), "2026-07-01T12:00:00.000000Z");
  EXPECT_EQ(shown(local.fields.time(Field::kScheduledAt)), "2026-01-01T11:00:00.000000Z");
  EXPECT_EQ(shown(local.fields.time(Field::kQueuedAt)), "2026-07-01T10:00:00.000000Z");
  EXPECT_EQ(shown(local.fields.time(Field::kUpdatedAt)), shown(from_micros(1782900000'000'000)));
  // The zone is of one line only.
  const LogEvent& utc = parser_.parse(line);
  EXPECT_EQ(shown(utc.ts), "2026-07-01T12:00:00.500000Z");
  EXPECT_EQ(shown(utc.fields.time(Field::kStartedAt)), "2026-07-01T11:00:00.000000Z");
}

}  // namespace
}  // namespace runtail
