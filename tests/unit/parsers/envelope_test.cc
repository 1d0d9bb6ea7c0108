#include "parsers/envelope.h"

#include <gtest/gtest.h>

#include <string>

namespace runtail {
namespace {

using Envelope = FramingSettings::Envelope;

class EnvelopeTest : public testing::Test {
 protected:
  std::optional<EnvelopeLayer> peel(std::string_view line, Envelope expected = Envelope::kAuto) {
    return peeler_.peel(line, expected);
  }
  EnvelopePeeler peeler_;
};

TEST_F(EnvelopeTest, DockerIsKnownByItsMembersInAnyOrder) {
  for (const char* line :
       {R"({"log":"a \"b\"\n","stream":"stderr","time":"2026-03-01T00:00:02.123456789Z"})",
        R"({"time":"2026-03-01T00:00:02.123456789Z","log":"a \"b\"\n","stream":"stderr"})",
        R"({"attrs":{"log":"no"},"stream":"stderr","time":"2026-03-01T00:00:02.123456789Z","log":"a \"b\"\n"})",
        R"({ "stream" : "stderr", "time" : "2026-03-01T00:00:02.123456789Z", "log" : "a \"b\"\n" })"}) {
    const auto layer = peel(line);
    ASSERT_TRUE(layer) << line;
    EXPECT_EQ(layer->kind, Envelope::kDocker);
    EXPECT_EQ(layer->text, R"(a "b")");
    EXPECT_EQ(layer->output, Output::kStderr);
    ASSERT_TRUE(layer->time);
    EXPECT_EQ(to_rfc3339(*layer->time), "2026-03-01T00:00:02.123456Z");
    EXPECT_FALSE(layer->more);
  }
}

TEST_F(EnvelopeTest, DockerTextWithoutNewlineIsAPiece) {
  const auto layer = peel(R"({"log":"half","stream":"stdout","time":"2026-03-01T00:00:02Z"})");
  ASSERT_TRUE(layer);
  EXPECT_TRUE(layer->more);
  EXPECT_EQ(layer->text, "half");
}

TEST_F(EnvelopeTest, NativeLinesWithLikeMembersAreNone) {
  for (const char* line : {
           R"({"ts":"2026-03-01T00:00:02Z","level":"info","msg":"m","run_id":"r"})",
           R"({"log":{"level":"info"},"message":"m","stream":"stdout","time":"t"})",
           R"({"log":"x\n","stream":"orders","time":"2026-03-01T00:00:02Z"})",
           R"({"log":"x\n","stream":"stdout"})",
           R"({"log":"x\n","stream":"stdout","time":"2026-03-01T00:00:02Z","msg":"mine"})",
           R"({"log":"x","source":"worker","run_id":"r"})",
           R"({"msg":"\"log\"","time":"2026-03-01T00:00:02Z"})",
           R"({"MESSAGE":"m","PRIORITY":"6"})",
           R"({"__REALTIME_TIMESTAMP":"1767323045000000"})",
           R"({"log":"x\n","stream":"stdout","time":"2026-03-01T00:00:02Z"} tail)",
           R"({"log":"x\n","stream":"stdout","time":"2026-03-01T00:0)",
           R"([{"log":"x\n","stream":"stdout","time":"2026-03-01T00:00:02Z"}])",
           "{\"log\"",
           "{",
           "\"log\"",
           "",
           " ",
           "{\"log\":",
       }) {
    EXPECT_FALSE(peel(line)) << line;
  }
}

TEST_F(EnvelopeTest, CriSaysTimeOutputAndWhetherMoreFollows) {
  struct Case {
    const char* line;
    const char* text;
    Output output;
    bool more;
  };
  for (const Case& each : {Case{"2026-03-01T00:00:02.123456789Z stdout F hello", "hello", Output::kStdout, false},
                           Case{"2026-03-01T00:00:02.123456789+00:00 stderr P  x ", " x ", Output::kStderr, true},
                           Case{"2026-03-01T00:00:02.123456789Z stdout P:part=1 y", "y", Output::kStdout, true},
                           Case{"2026-03-01T00:00:02.123456789Z stdout F:last y", "y", Output::kStdout, false},
                           Case{"2026-03-01T00:00:02.123456789Z stdout F ", "", Output::kStdout, false},
                           Case{"2026-03-01T00:00:02.123456789Z stdout F", "", Output::kStdout, false}}) {
    const auto layer = peel(each.line);
    ASSERT_TRUE(layer) << each.line;
    EXPECT_EQ(layer->text, each.text);
    EXPECT_EQ(layer->output, each.output);
    EXPECT_EQ(layer->more, each.more);
    ASSERT_TRUE(layer->time);
    EXPECT_EQ(to_rfc3339(*layer->time), "2026-03-01T00:00:02.123456Z");
  }
}

TEST_F(EnvelopeTest, TextThatOnlyBeginsLikeCriIsNone) {
  for (const char* line : {"2026-03-01T00:00:02Z stdout X hello", "2026-03-01T00:00:02Z stdin F hello",
                           "2026-03-01T00:00:02Z stdout Full", "2026-03-01 stdout F hello", "2026-03-01T00:00:02Z",
                           "2026-03-01T00:00:02Z stdout", "2026-03-01T00:00:02Z stdout ", "1 stdout F x", "2",
                           "2026-99-99T00:00:02Z stdout F hello", "2026-03-01 00:00:02 stdout F hello"}) {
    EXPECT_FALSE(peel(line)) << line;
  }
}

TEST_F(EnvelopeTest, JournaldMessageIsTextBytesOrNothing) {
  struct Case {
    const char* line;
    std::string text;
  };
  for (const Case& each :
       {Case{R"({"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1772323202123456","MESSAGE":"hello"})", "hello"},
        Case{R"({"PRIORITY":"6","MESSAGE":[104,255,0],"__REALTIME_TIMESTAMP":"1772323202123456"})",
             std::string("h\xff\0", 3)},
        Case{R"({"_PID":"7","MESSAGE":null,"__REALTIME_TIMESTAMP":"1772323202123456"})", ""},
        Case{R"({"__REALTIME_TIMESTAMP":"1772323202123456","__CURSOR":"s=1"})", ""}}) {
    const auto layer = peel(each.line);
    ASSERT_TRUE(layer) << each.line;
    EXPECT_EQ(layer->kind, Envelope::kJournald);
    EXPECT_EQ(layer->text, each.text);
    ASSERT_TRUE(layer->time);
    EXPECT_EQ(to_micros(*layer->time), 1772323202123456);
    EXPECT_FALSE(layer->more);
  }
  EXPECT_FALSE(peel(R"({"__REALTIME_TIMESTAMP":"1","__CURSOR":"s","MESSAGE":[1,"two"]})"));
  EXPECT_FALSE(peel(R"({"__REALTIME_TIMESTAMP":"1","__CURSOR":"s","MESSAGE":[256]})"));
}

TEST_F(EnvelopeTest, JournaldPiecesOfAContainer) {
  const auto layer = peel(
      R"({"__REALTIME_TIMESTAMP":"1","MESSAGE":"a","CONTAINER_ID":"c1","PRIORITY":"3","CONTAINER_PARTIAL_MESSAGE":"true"})");
  ASSERT_TRUE(layer);
  EXPECT_TRUE(layer->more);
  EXPECT_EQ(layer->container, "c1");
  EXPECT_EQ(layer->output, Output::kStderr);
}

TEST_F(EnvelopeTest, FluentIsALogWithWhoseItIs) {
  for (const char* line : {
           R"({"log":"hello","container_id":"c1","source":"stdout"})",
           R"({"container_name":"/etl","log":"hello","source":"stdout"})",
           R"({"ecs_cluster":"x","source":"stdout","log":"hello\n"})",
           R"({"source":"stdout","log":"hello"})",
           R"({"stream":"stdout","kubernetes":{"pod_name":"p"},"log":"hello","time":"2026-03-01T00:00:02Z"})",
           R"({"stream":"stdout","logtag":"F","log":"hello"})",
       }) {
    const auto layer = peel(line);
    ASSERT_TRUE(layer) << line;
    EXPECT_EQ(layer->kind, Envelope::kFluent);
    EXPECT_EQ(layer->text, "hello");
    EXPECT_EQ(layer->output, Output::kStdout);
    EXPECT_FALSE(layer->more);
  }
  EXPECT_TRUE(peel(R"({"log":"x","mine":1})", Envelope::kFluent)) << "what the source is said to be needs less proof";
  const auto dated = peel(R"({"date":1772323202.5,"log":"x","source":"stderr"})");
  ASSERT_TRUE(dated && dated->time);
  EXPECT_EQ(to_micros(*dated->time), 1772323202500000);
}

TEST_F(EnvelopeTest, FluentPiecesSayTheirPlace) {
  const auto first = peel(
      R"({"log":"a","source":"stdout","container_id":"c","partial_message":"true","partial_id":"i","partial_ordinal":"1","partial_last":"false"})");
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->more);
  EXPECT_EQ(first->ordinal, 1u);
  EXPECT_EQ(first->piece_id, "i");
  const auto last = peel(
      R"({"log":"a","source":"stdout","container_id":"c","partial_message":"true","partial_id":"i","partial_ordinal":"2","partial_last":"true"})");
  ASSERT_TRUE(last);
  EXPECT_FALSE(last->more);
  const auto newline = peel(R"({"log":"a\n","source":"stdout","container_id":"c","partial_message":"true"})");
  ASSERT_TRUE(newline);
  EXPECT_FALSE(newline->more) << "the newline ends a text, whatever the flag says";
}

TEST_F(EnvelopeTest, BadBytesInAnEnvelopeDoNotHideIt) {
  const auto layer = peel("{\"log\":\"a\xff\x01z\\n\",\"source\":\"stdout\"}");
  ASSERT_TRUE(layer);
  EXPECT_NE(layer->text.find('z'), std::string_view::npos);
}

TEST_F(EnvelopeTest, AnExpectedKindIsNotTakenForAnother) {
  const char* docker = R"({"log":"x\n","stream":"stdout","time":"2026-03-01T00:00:02Z"})";
  EXPECT_TRUE(peel(docker, Envelope::kDocker));
  EXPECT_FALSE(peel(docker, Envelope::kCri));
  EXPECT_FALSE(peel(docker, Envelope::kJournald));
  EXPECT_FALSE(peel(docker, Envelope::kNone));
  EXPECT_FALSE(peel("2026-03-01T00:00:02Z stdout F x", Envelope::kDocker));
}

TEST(MayBeEnvelope, FindsTheLogMemberWhereverItIs) {
  for (std::size_t before = 0; before < 70; ++before) {
    for (std::size_t behind = 0; behind < 40; ++behind) {
      const std::string line = "{" + std::string(before, 'o') + "\"log\"" + std::string(behind, '"');
      EXPECT_TRUE(may_be_envelope(line)) << before << " " << behind;
    }
    EXPECT_FALSE(may_be_envelope("{" + std::string(before, '"') + "log\"" + std::string(20, 'o')) && before == 0);
    EXPECT_FALSE(may_be_envelope("{" + std::string(before, ' ') + "\"lag\"" + std::string(20, ' ')));
    EXPECT_FALSE(may_be_envelope("{" + std::string(before, ' ') + "\"xoy\"" + std::string(20, ' ')));
  }
}

TEST(JsonTail, IsWhatClosesMoreThanItOpens) {
  const std::string whole =
      R"({"level":"info","msg":"a \"quoted\" {brace} \\","list":[1,2.5e3,{"k":null}],"ok":true,"path":"C:\\x"})";
  EXPECT_FALSE(is_json_tail(whole));
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    EXPECT_TRUE(is_json_tail(whole.substr(cut))) << whole.substr(cut);
  }
}

TEST(JsonTail, IsNotOrdinaryText) {
  for (const char* text : {"", "INFO loaded 5 rows", "done {a: 1}", "config = {\"a\": [1, 2]}", "2026-03-01 [main]",
                           "rows=[1,2]", "it is 5\" long}", "function foo() { return bar }", "msg=\"x\" }",
                           "{\"type\":\"RECORD\"}", "[1,2,3]", "Traceback (most recent call last):"}) {
    EXPECT_FALSE(is_json_tail(text)) << text;
  }
}

}  // namespace
}  // namespace runtail
