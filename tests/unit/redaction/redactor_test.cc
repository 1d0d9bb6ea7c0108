// A line through the redactor: contract fields, members outside it, text, the cut of error messages, failing closed.
#include "redaction/redactor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "redaction/ip_prefix.h"
#include "tests/unit/redaction/line_builder.h"

namespace runtail {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kUuid = "7f3c1b2a-0d4e-4a5b-8c6d-9e0f1a2b3c4d";

std::map<std::string, int> counts_of(const Redactor& redactor, const RedactedEvent& event) {
  std::map<std::string, int> out;
  for (const RedactionCount& count : event.counts) out[redactor.kinds()[count.kind]] = count.count;
  return out;
}

TEST(RedactedFields, CleanTextIsPassedThroughWithoutACopy) {
  Redactor redactor = make_redactor();
  LineBuilder line;
  line.text(Field::kMsg, "task load finished chunk rows cursor page partition offset")
      .text(Field::kService, "etl-orders");
  for (int i = 0; i < 2; ++i) {  // the second time the short text is known to be clean
    const RedactedEvent& out = redactor.redact(line.event());
    for (const Field field : {Field::kMsg, Field::kService}) {
      EXPECT_EQ(out.fields.text(field).data(), line.event().fields.text(field).data());
      EXPECT_EQ(out.fields.text(field), line.event().fields.text(field));
    }
    EXPECT_EQ(out.redaction_state, RedactionState::kClean);
    EXPECT_TRUE(out.pii_safe);
    EXPECT_TRUE(out.counts.empty());
  }
}

TEST(RedactedFields, EveryTextIsScannedWhateverTheTypeOfItsField) {
  Redactor redactor = make_redactor();
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const Field field = static_cast<Field>(i);
    LineBuilder line;
    line.text(field, "anna@example.com");
    const RedactedEvent& out = redactor.redact(line.event());
    ASSERT_TRUE(out.fields.has(field)) << spec_of(field).name;
    EXPECT_THAT(std::string(out.fields.text(field)), Not(HasSubstr("anna"))) << spec_of(field).name;
    EXPECT_EQ(out.redaction_state, RedactionState::kMasked) << spec_of(field).name;
  }
}

TEST(RedactedFields, TypedValuesAndTheEnvelopeAreCarriedOver) {
  Redactor redactor = make_redactor();
  LineBuilder line;
  LogEvent& event = line.integer(Field::kDurationMs, 4111111111111111).uuid(Field::kRunId, kUuid).event();
  event.fields.put_real(Field::kCostUsd, 0.25);
  event.fields.put_int(Field::kRetriesExhausted, 1, FieldValue::Kind::kBool);
  event.fields.put_int(Field::kStartedAt, 1'700'000'000'000'000, FieldValue::Kind::kTime);
  event.kind = EventKind::kRunFinished;
  event.level = Level::kError;
  event.status = RunStatus::kFailed;
  event.attempt_failed = true;
  event.repaired = true;
  event.dialect = "native";
  event.ts = from_micros(7);
  const RedactedEvent& out = redactor.redact(event);
  EXPECT_EQ(out.fields.integer(Field::kDurationMs), 4111111111111111);
  EXPECT_EQ(out.fields.text(Field::kRunId), kUuid);
  EXPECT_EQ(out.fields.find(Field::kRunId)->uuid, parse_uuid(kUuid));
  EXPECT_EQ(out.fields.real(Field::kCostUsd), 0.25);
  EXPECT_EQ(out.fields.find(Field::kRetriesExhausted)->integer, 1);
  EXPECT_EQ(out.fields.time(Field::kStartedAt), from_micros(1'700'000'000'000'000));
  EXPECT_EQ(out.kind, EventKind::kRunFinished);
  EXPECT_EQ(out.level, Level::kError);
  EXPECT_EQ(out.status, RunStatus::kFailed);
  EXPECT_TRUE(out.attempt_failed);
  EXPECT_TRUE(out.repaired);
  EXPECT_EQ(out.dialect, "native");
  EXPECT_EQ(out.ts, from_micros(7));
  EXPECT_EQ(out.ts_source, TsSource::kLine);
  EXPECT_EQ(out.redaction_state, RedactionState::kClean);
}

TEST(RedactedFields, NothingOfTheLineBeforeIsLeft) {
  Redactor redactor = make_redactor(allowing({"note"}));
  LineBuilder first;
  first.text(Field::kMsg, "a@b.io").string("note", "x").event().ts = from_micros(7);
  redactor.redact(first.event());
  LineBuilder text;
  text.plain_text("plain b@c.io");
  redactor.redact(text.event());
  LineBuilder second;
  const RedactedEvent& out = redactor.redact(second.text(Field::kTask, "load").event());
  EXPECT_FALSE(out.fields.has(Field::kMsg));
  EXPECT_EQ(out.context, "");
  EXPECT_EQ(out.raw_text, "");
  EXPECT_TRUE(out.counts.empty());
  EXPECT_EQ(out.redaction_state, RedactionState::kClean);
  EXPECT_EQ(out.ts, TimePoint{});
}

TEST(RedactedFields, MaskedSpansAreCountedByKind) {
  Redactor redactor = make_redactor();
  LineBuilder line;
  line.text(Field::kMsg, "a@b.io c@d.io 123-45-6789").text(Field::kErrorMessage, "password=x");
  const RedactedEvent& out = redactor.redact(line.event());
  EXPECT_EQ(counts_of(redactor, out), (std::map<std::string, int>{{"email", 2}, {"ssn", 1}, {"password", 1}}));
  redactor.redact(line.event());
  const auto& kinds = redactor.kinds();
  const auto email = static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), "email") - kinds.begin());
  EXPECT_EQ(redactor.totals().masked_by_kind[email], 4u);
  EXPECT_EQ(redactor.clone().totals().masked_by_kind[email], 0u);
}

TEST(RedactedText, ALineThatIsNoJsonIsMaskedAsAWhole) {
  Redactor redactor = make_redactor();
  LineBuilder line;
  EXPECT_EQ(redactor.redact(line.plain_text("Traceback: Bearer abcDEF1234").event()).raw_text,
            "Traceback: Bearer [REDACTED:bearer]");
  LineBuilder empty;
  empty.event().shape = LineShape::kEmpty;
  EXPECT_EQ(redactor.redact(empty.event()).raw_text, "");
}

struct IpCase {
  std::string_view in, out;
};
class IpAddresses : public testing::TestWithParam<IpCase> {};

TEST_P(IpAddresses, AreCutToTheirNetworkOrMasked) {
  Redactor redactor = make_redactor();
  LineBuilder line;
  const RedactedEvent& out = redactor.redact(line.text(Field::kIp, GetParam().in).event());
  EXPECT_EQ(out.fields.text(Field::kIp), GetParam().out);
  const bool is_masked = GetParam().out.starts_with("[REDACTED");
  EXPECT_EQ(out.redaction_state, GetParam().in == GetParam().out ? RedactionState::kClean
                                 : is_masked                     ? RedactionState::kMasked
                                                                 : RedactionState::kPartial);
  EXPECT_EQ(out.pii_safe, GetParam().in.empty() || is_masked);
  const std::string once(out.fields.text(Field::kIp));
  LineBuilder again;
  EXPECT_EQ(redactor.redact(again.text(Field::kIp, once).event()).fields.text(Field::kIp), once);
}

INSTANTIATE_TEST_SUITE_P(Cases, IpAddresses,
                         testing::Values(IpCase{"203.0.113.9", "203.0.113.0"}, IpCase{"203.0.113.0", "203.0.113.0"},
                                         IpCase{"2001:db8:1:2::3", "2001:db8:1::"}, IpCase{"::1", "::"},
                                         IpCase{"::ffff:203.0.113.9", "203.0.113.0"}, IpCase{"", ""},
                                         IpCase{"203.0.113.9:443", "[REDACTED:ip]"},
                                         IpCase{"203.0.113.9, 10.0.0.1", "[REDACTED:ip]"},
                                         IpCase{"fe80::1%eth0", "[REDACTED:ip]"}, IpCase{"300.1.1.1", "[REDACTED:ip]"},
                                         IpCase{"my laptop", "[REDACTED:ip]"}));

TEST(IpAddresses, AreMaskedWholeWhenSwitchedOff) {
  RedactionConfig config;
  config.keep_ip_prefix = false;
  Redactor redactor = make_redactor(config);
  LineBuilder line;
  EXPECT_EQ(redactor.redact(line.text(Field::kIp, "203.0.113.9").event()).fields.text(Field::kIp), "[REDACTED:ip]");
}

TEST(UserIds, AreKeptIfUuidOrIntegerElseMasked) {
  Redactor redactor = make_redactor();
  const auto redacted = [&](std::string_view in) {
    LineBuilder line;
    return std::string(redactor.redact(line.text(Field::kUserId, in).event()).fields.text(Field::kUserId));
  };
  EXPECT_EQ(redacted(kUuid), kUuid);
  EXPECT_EQ(redacted("1234567890"), "1234567890");
  EXPECT_EQ(redacted("-7"), "-7");
  EXPECT_EQ(redacted("4111111111111111"), "[REDACTED:card]");
  EXPECT_EQ(redacted("anna"), "[REDACTED:user_id]");
  EXPECT_EQ(redacted("12a"), "[REDACTED:user_id]");
  EXPECT_EQ(redacted("[REDACTED:user_id]"), "[REDACTED:user_id]");
  LineBuilder typed;
  EXPECT_EQ(redactor.redact(typed.integer(Field::kUserId, 42).event()).fields.integer(Field::kUserId), 42);
  LineBuilder uuid;
  EXPECT_EQ(redactor.redact(uuid.uuid(Field::kUserId, kUuid).event()).fields.text(Field::kUserId), kUuid);
}

TEST(UserIds, AndAddressesThatAreKeptArePseudonyms) {
  Redactor redactor = make_redactor();
  const auto is_safe = [&](Field field, std::string_view text) {
    LineBuilder line;
    return redactor.redact(line.text(field, text).event()).pii_safe;
  };
  EXPECT_FALSE(is_safe(Field::kUserId, "42"));
  EXPECT_FALSE(is_safe(Field::kUserId, kUuid));
  EXPECT_FALSE(is_safe(Field::kIp, "203.0.113.9"));
  EXPECT_TRUE(is_safe(Field::kUserId, "anna"));
  EXPECT_TRUE(is_safe(Field::kUserId, ""));
  EXPECT_TRUE(is_safe(Field::kUserId, "[REDACTED:user_id]"));
  LineBuilder both, typed;
  EXPECT_FALSE(redactor.redact(both.text(Field::kUserId, "anna").text(Field::kIp, "203.0.113.9").event()).pii_safe);
  const RedactedEvent& out = redactor.redact(typed.integer(Field::kUserId, 42).event());
  EXPECT_FALSE(out.pii_safe);
  EXPECT_EQ(out.redaction_state, RedactionState::kClean) << "nothing was changed";
}

TEST(UserIds, AreMaskedWholeWhenSwitchedOff) {
  RedactionConfig config;
  config.keep_user_id = false;
  Redactor redactor = make_redactor(config);
  LineBuilder uuid, integer;
  EXPECT_EQ(redactor.redact(uuid.uuid(Field::kUserId, kUuid).event()).fields.text(Field::kUserId),
            "[REDACTED:user_id]");
  const RedactedEvent& out = redactor.redact(integer.integer(Field::kUserId, 42).event());
  EXPECT_EQ(out.fields.text(Field::kUserId), "[REDACTED:user_id]");
}

// A secret at every place around the cut: its head must never be what is left.
TEST(ErrorMessages, AreCutOnlyAfterMasking) {
  Redactor redactor = make_redactor();
  const std::size_t bytes_max = RedactionConfig{}.error_message_bytes_max;
  for (const std::string_view secret : {"AKIAIOSFODNN7EXAMPLE", "canary.name@example.com", "123-45-6789",
                                        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"}) {
    for (std::size_t lead = bytes_max - secret.size() - 20; lead < bytes_max + 5; ++lead) {
      const std::string message = std::string(lead - 1, 'x') + " " + std::string(secret) + " " + std::string(80, 'y');
      LineBuilder line;
      const std::string out(
          redactor.redact(line.text(Field::kErrorMessage, message).event()).fields.text(Field::kErrorMessage));
      ASSERT_LE(out.size(), bytes_max);
      for (std::size_t size = 4; size <= secret.size(); ++size) {
        ASSERT_THAT(out, Not(HasSubstr(secret.substr(0, size)))) << lead;
      }
      const std::size_t open = out.rfind('[');
      ASSERT_TRUE(open == std::string::npos || out.find(']', open) != std::string::npos)
          << "cut inside a marker at " << lead;
      LineBuilder again;
      ASSERT_EQ(redactor.redact(again.text(Field::kErrorMessage, out).event()).fields.text(Field::kErrorMessage), out);
    }
  }
}

TEST(ErrorMessages, AreCutBetweenCharactersAndNotCutWhenTheyFit) {
  RedactionConfig config;
  config.error_message_bytes_max = 10;
  Redactor redactor = make_redactor(config);
  const auto redacted = [&](std::string_view in) {
    LineBuilder line;
    return std::string(redactor.redact(line.text(Field::kErrorMessage, in).event()).fields.text(Field::kErrorMessage));
  };
  EXPECT_EQ(redacted("123456789\xC3\xA4"), "123456789");
  EXPECT_EQ(redacted("0123456789"), "0123456789");
  EXPECT_EQ(redacted("at a@b.io"), "at ");
  // The cut makes a longer number look like an SSN.
  config.error_message_bytes_max = 11;
  redactor = make_redactor(config);
  EXPECT_EQ(redacted("123-45-67890"), "");
}

TEST(FailingClosed, LeavesTheEnvelopeAndTypedFieldsOnly) {
  Redactor redactor = make_redactor(allowing({"note"}));
  LineBuilder line;
  LogEvent& event = line.text(Field::kMsg, "hello")
                        .integer(Field::kAttempt, 2)
                        .uuid(Field::kRunId, kUuid)
                        .text(Field::kUserId, "anna")
                        .string("note", "fine")
                        .event();
  event.kind = EventKind::kRunStarted;
  event.ts = from_micros(9);
  event.rest[0].end = 5;  // a tree that is none stands for any mistake of ours
  const RedactedEvent& out = redactor.redact(event);
  EXPECT_EQ(out.redaction_state, RedactionState::kFailedClosed);
  EXPECT_FALSE(out.pii_safe);
  EXPECT_FALSE(out.fields.has(Field::kMsg));
  EXPECT_FALSE(out.fields.has(Field::kUserId));
  EXPECT_EQ(out.fields.integer(Field::kAttempt), 2);
  EXPECT_EQ(out.fields.text(Field::kRunId), kUuid);
  EXPECT_EQ(out.kind, EventKind::kRunStarted);
  EXPECT_EQ(out.ts, from_micros(9));
  EXPECT_EQ(out.context, "");
  EXPECT_TRUE(out.counts.empty());
  EXPECT_EQ(redactor.totals().failed_closed, 1u);
}

TEST(FailingClosed, TheNextLineIsRedactedAsUsual) {
  Redactor redactor = make_redactor(allowing({"note"}));
  LineBuilder bad, good;
  bad.object("note").number("n", 1).close().event().rest[1].end = 0;
  EXPECT_EQ(redactor.redact(bad.event()).redaction_state, RedactionState::kFailedClosed);
  const RedactedEvent& out = redactor.redact(good.text(Field::kMsg, "a@b.io").event());
  EXPECT_EQ(out.redaction_state, RedactionState::kMasked);
  EXPECT_TRUE(out.pii_safe);
  EXPECT_EQ(out.fields.text(Field::kMsg), "[REDACTED:email]");
}

// Each row: what a log says and what may be stored. A new detector is a new row and its near miss.
struct TextCase {
  std::string_view name, in, out;
};
class RedactedTexts : public testing::TestWithParam<TextCase> {};

TEST_P(RedactedTexts, AreAsExpected) { EXPECT_EQ(make_redactor().redact_text(GetParam().in), GetParam().out); }

INSTANTIATE_TEST_SUITE_P(
    Cases, RedactedTexts,
    testing::Values(
        TextCase{"two_kinds", "a@b.io paid with 4111111111111111", "[REDACTED:email] paid with [REDACTED:card]"},
        TextCase{"only_the_password_of_a_url", "postgres://etl:hunter2@db/x",
                 "postgres://etl:[REDACTED:password]@db/x"},
        TextCase{"host_with_a_domain_stays", "u postgres://e:pw@db.internal:5432/w?x=1",
                 "u postgres://e:[REDACTED:password]@db.internal:5432/w?x=1"},
        TextCase{"jwt_as_bearer", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "Bearer [REDACTED:bearer]"},
        TextCase{"nested_json", R"({"user":{"password":"a\"b"},"n":1})",
                 R"({"user":{"password":"[REDACTED:password]"},"n":1})"},
        TextCase{"json_in_json", R"({"body":"{\"token\":\"abc\"}"})", R"({"body":"{\"token\":\"[REDACTED:token]\"}"})"},
        TextCase{"email_in_row_values", "Key (email)=(a@b.io) already exists.",
                 "Key (email)=([REDACTED:row_values]) already exists."},
        TextCase{"password_that_is_an_email", "password=a@b.io", "password=[REDACTED:password]"},
        TextCase{"non_ascii_email",
                 "m\xC3\xBCller@b\xC3\xBC"
                 "cher.de",
                 "[REDACTED:email]"},
        TextCase{"invalid_utf8_around", "\xFF a@b.io \xC3", "\xFF [REDACTED:email] \xC3"},
        TextCase{"nul_inside", std::string_view("a@b.io\0x", 8), std::string_view("[REDACTED:email]\0x", 18)},
        TextCase{"times_are_no_cards", "2026-03-01T00:00:02.000123Z took 1700000000000",
                 "2026-03-01T00:00:02.000123Z took 1700000000000"},
        TextCase{"uuids_stay", "run 7f3c1b2a-0d4e-4a5b-8c6d-9e0f1a2b3c4d", "run 7f3c1b2a-0d4e-4a5b-8c6d-9e0f1a2b3c4d"},
        TextCase{"git_sha_stays", "sha 4111111111111111aabbccddeeff001122334455",
                 "sha 4111111111111111aabbccddeeff001122334455"},
        TextCase{"s3_path_stays", "s3://bucket/key=1/part-00000.parquet", "s3://bucket/key=1/part-00000.parquet"},
        TextCase{"marker_stays", "[REDACTED:email] [REDACTED:nonsense]", "[REDACTED:email] [REDACTED:nonsense]"},
        TextCase{"half_a_marker", "password=[REDACTED:", "password=[REDACTED:password]"}, TextCase{"empty", "", ""}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace runtail
