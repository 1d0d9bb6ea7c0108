// Members outside the contract: the allowlist drops, key names wipe, detectors look at every leaf and key; the JSON
// that comes out is always valid.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "core/event_json.h"
#include "tests/support/scale.h"
#include "tests/unit/redaction/line_builder.h"
#include "tests/unit/redaction/random_text.h"

namespace runtail {
namespace {

using testing::HasSubstr;
using testing::Not;

bool is_json(const std::string& text) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  return parser.parse(text.data(), text.size()).get(element) == simdjson::SUCCESS;
}

std::string context_of(Redactor& redactor, LineBuilder& line) {
  return std::string(redactor.redact(line.event()).context);
}

TEST(Allowlist, WithoutOneEveryMemberIsDroppedAndCounted) {
  Redactor redactor = make_redactor();
  LineBuilder line;
  line.string("user", "svc_7").object("debug").string("q", "x").array("n").number("", 1).close().close();
  EXPECT_EQ(context_of(redactor, line), "");
  EXPECT_EQ(redactor.totals().unlisted_fields, 2u);
  EXPECT_EQ(redactor.redact(line.event()).redaction_state, RedactionState::kClean);
}

TEST(Allowlist, APathLetsThroughTheMemberAndAllBelowIt) {
  Redactor redactor = make_redactor(allowing({"batch", "note"}));
  LineBuilder line;
  line.object("batch").number("size", 5).object("a").boolean("b", true).null("c").close().close();
  line.string("note", "x\"\n").string("notes", "no").string("Note", "no").string("", "no");
  EXPECT_EQ(context_of(redactor, line), R"({"batch":{"size":5,"a":{"b":true,"c":null}},"note":"x\"\n"})");
  EXPECT_EQ(redactor.totals().unlisted_fields, 3u);
}

TEST(Allowlist, ADottedPathLetsThroughOnlyWhatItNames) {
  Redactor redactor = make_redactor(allowing({"batch.size", "a.b.c"}));
  LineBuilder line;
  line.object("batch")
      .number("size", 5)
      .number("other", 6)
      .close()
      .object("a")
      .object("b")
      .number("x", 1)
      .close()
      .close();
  EXPECT_EQ(context_of(redactor, line), R"({"batch":{"size":5}})");
  EXPECT_EQ(redactor.totals().unlisted_fields, 2u);
  LineBuilder flat, scalar, list;
  EXPECT_EQ(context_of(redactor, flat.number("batch.size", 7)), R"({"batch.size":7})");
  EXPECT_EQ(context_of(redactor, scalar.number("batch", 7)), "");
  EXPECT_EQ(redactor.totals().unlisted_fields, 3u);
  list.array("batch").object("").number("size", 1).number("x", 2).close().number("", 3).close();
  EXPECT_EQ(context_of(redactor, list), R"({"batch":[{"size":1}]})");
}

TEST(KeyRules, WipeTheWholeValueOfANamedKey) {
  Redactor redactor = make_redactor(allowing({"auth", "dbPassword", "ssn", "password_count", "gone"}));
  LineBuilder line;
  line.object("auth").object("client_secret").number("a", 1).close().string("user", "etl").close();
  line.string("dbPassword", "x").number("ssn", 7).number("password_count", 3).object("gone").null("token").close();
  EXPECT_EQ(context_of(redactor, line),
            R"({"auth":{"client_secret":"[REDACTED:secret]","user":"etl"},"dbPassword":"[REDACTED:password]",)"
            R"("ssn":"[REDACTED:ssn]","password_count":3,"gone":{"token":null}})");
  EXPECT_EQ(redactor.redact(line.event()).counts.size(), 3u);
}

TEST(KeyRules, AMemberIsNamedByItsObjectToo) {
  Redactor redactor = make_redactor(allowing({"patient", "table"}));
  LineBuilder line;
  line.object("patient").string("name", "Jane").number("ward", 4).close().object("table").string("name", "t").close();
  EXPECT_EQ(context_of(redactor, line), R"({"patient":{"name":"[REDACTED:name]","ward":4},"table":{"name":"t"}})");
}

TEST(KeyRules, WhatNamesAValueBesideItWipesIt) {
  Redactor redactor = make_redactor(allowing({"env", "headers", "argv", "cred.value"}));
  LineBuilder line;
  line.array("env").object("").string("name", "DB_PASSWORD").string("value", "s3").close();
  line.object("").string("name", "PORT").string("value", "80").close().close();
  line.array("headers").string("", "Host").string("", "x").string("", "Cookie").string("", "a b").close();
  line.array("argv").string("", "--token").number("", 7).string("", "--rows").number("", 5).close();
  line.object("cred").string("name", "api_key").string("value", "k").close();
  EXPECT_EQ(context_of(redactor, line),
            R"({"env":[{"name":"DB_PASSWORD","value":"[REDACTED:password]"},{"name":"PORT","value":"80"}],)"
            R"("headers":["Host","x","Cookie","[REDACTED:token]"],"argv":["--token","[REDACTED:token]","--rows",5],)"
            R"("cred":{"value":"[REDACTED:secret]"}})");
}

TEST(KeyRules, AMarkerUnderANamedKeyStays) {
  Redactor redactor = make_redactor(allowing({"password"}));
  LineBuilder line;
  const RedactedEvent& out = redactor.redact(line.string("password", "[REDACTED:other]").event());
  EXPECT_EQ(out.context, R"({"password":"[REDACTED:other]"})");
  EXPECT_EQ(out.redaction_state, RedactionState::kClean);
}

TEST(KeyRules, AnAllowedPathBelowANamedKeyDoesNotOpenIt) {
  Redactor redactor = make_redactor(allowing({"credentials.user"}));
  LineBuilder line;
  line.object("credentials").string("user", "etl").close();
  EXPECT_EQ(context_of(redactor, line), R"({"credentials":"[REDACTED:secret]"})");
}

TEST(Leaves, StringsKeysAndLongNumbersAreScanned) {
  Redactor redactor = make_redactor(allowing({"x"}));
  LineBuilder line;
  line.object("x")
      .string("to", "a@b.io")
      .string("c@d.io", "v")
      .number("n", 4111111111111111)
      .big("u", 18446744073709551615u)
      .real("r", 4111111111111111.0)
      .real("f", 0.123456789012345)
      .number("small", 12345678)
      .number("card_ref", 1234567812345678)
      .number("ref", 1234567812345678)
      .array("list")
      .string("", "123-45-6789")
      .close()
      .close();
  EXPECT_EQ(context_of(redactor, line),
            R"({"x":{"to":"[REDACTED:email]","[REDACTED:email]":"v","n":"[REDACTED:card]","u":18446744073709551615,)"
            R"("r":"[REDACTED:card]","f":0.123456789012345,"small":12345678,"card_ref":"[REDACTED:card]",)"
            R"("ref":1234567812345678,"list":["[REDACTED:ssn]"]}})");
}

TEST(JsonFields, BecomeContractFieldsWithKeysAndStringsScanned) {
  Redactor redactor = make_redactor();
  LineBuilder line;
  line.object("null_rates").field().real("ssn", 0.02).real("a@b.io", 0.5).close();
  line.array("columns").field().object("").string("name", "password").string("type", "text").close().close();
  const RedactedEvent& out = redactor.redact(line.event());
  ASSERT_TRUE(out.fields.has(Field::kNullRates));
  EXPECT_EQ(out.fields.find(Field::kNullRates)->kind, FieldValue::Kind::kJson);
  EXPECT_EQ(out.fields.find(Field::kNullRates)->text, R"({"ssn":0.02,"[REDACTED:email]":0.5})");
  EXPECT_EQ(out.fields.find(Field::kColumns)->text, R"([{"name":"password","type":"text"}])");
  EXPECT_EQ(out.context, "");
  EXPECT_EQ(redactor.totals().unlisted_fields, 0u);
}

TEST(Context, WhatIsNestedTooDeepGoesWhole) {
  Redactor redactor = make_redactor(allowing({"x"}));
  LineBuilder line;
  line.object("x");
  for (int i = 0; i < 5000; ++i) line.array("k");
  line.string("", "a@b.io");
  for (int i = 0; i < 5001; ++i) line.close();
  const std::string context = context_of(redactor, line);
  EXPECT_THAT(context, HasSubstr("[[\"[REDACTED:depth]\"]]"));
  EXPECT_TRUE(is_json(context));
}

TEST(Context, NumbersThatAreNoneBecomeNull) {
  Redactor redactor = make_redactor(allowing({"x"}));
  LineBuilder line;
  EXPECT_EQ(context_of(redactor, line.real("x", std::numeric_limits<double>::infinity())), R"({"x":null})");
}

TEST(EventJson, HasOneStableShape) {
  Redactor redactor = make_redactor(allowing({"n"}));
  LineBuilder line;
  LogEvent& event = line.text(Field::kMsg, "to a@b.io").integer(Field::kAttempt, 2).number("n", 1).event();
  event.kind = EventKind::kRunFinished;
  event.status = RunStatus::kSuccess;
  event.fields.put_text(Field::kStatusText, "done");
  event.fields.put_int(Field::kFinishedAt, 2'000'123, FieldValue::Kind::kTime);
  event.ts = from_micros(2'000'000);
  std::string out;
  append_event_json(out, redactor.redact(event), redactor.kinds());
  EXPECT_EQ(
      out,
      R"({"redacted":true,"state":"masked","counts":{"email":1},"ts":"1970-01-01T00:00:02.000000Z","level":"INFO",)"
      R"("event":"run.finished","status":"success","msg":"to [REDACTED:email]","attempt":2,)"
      R"("finished_at":"1970-01-01T00:00:02.000123Z","context":{"n":1}})");
  LineBuilder text;
  out.clear();
  append_event_json(out, redactor.redact(text.plain_text("x\ty").event()), redactor.kinds());
  EXPECT_EQ(out, R"({"redacted":false,"state":"clean","counts":{},"level":"INFO","text":"x\ty"})");
}

TEST(EventJson, IsValidWhateverTheLineHeld) {
  Redactor redactor = make_redactor(allowing({"any", "note.b"}));
  RandomText texts(test::seed() + 3);
  std::string out;
  for (int i = 0; i < test::by_scale(5'000, 100'000); ++i) {
    LineBuilder line;
    line.text(Field::kMsg, texts.next()).text(Field::kErrorMessage, texts.next() + std::string(i % 2100, 'e'));
    line.object("any").string(texts.next(), texts.next()).array(texts.next()).string("", texts.next()).close().close();
    line.object("note").string(texts.next(), "x").string("b", texts.next()).close();
    line.object("null_rates").string(texts.next(), texts.next()).close();
    out.clear();
    append_event_json(out, redactor.redact(line.event()), redactor.kinds());
    ASSERT_TRUE(is_json(out)) << testing::PrintToString(out);
    ASSERT_THAT(out, Not(HasSubstr("\n")));
  }
}

}  // namespace
}  // namespace runtail
