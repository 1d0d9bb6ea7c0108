// Fields that lines of one kind have and others do not: their names are too common to mean the same everywhere.
#include <gtest/gtest.h>

#include "parsers/parser.h"

namespace runtail {
namespace {

TEST(OwnFields, AreReadOnLinesOfTheirKindWhereverTheKindStands) {
  Parser parser(built_in_dialects());
  for (const char* line :
       {R"({"event":"heartbeat","version":"1.2","uptime_seconds":7.5,"fds":12,"extra":{"a":1}})",
        R"({"version":"1.2","uptime_seconds":7.5,"fds":"12","extra":{"a":1},"event":"heartbeat"})"}) {
    const LogEvent& event = parser.parse(line);
    EXPECT_EQ(event.kind, EventKind::kHeartbeat);
    EXPECT_EQ(event.fields.text(Field::kVersion), "1.2") << line;
    EXPECT_EQ(event.fields.real(Field::kUptimeSeconds), 7.5) << line;
    EXPECT_EQ(event.fields.integer(Field::kFds), 12) << line;
    ASSERT_EQ(event.rest.size(), 2u) << line;  // what is no field stays, once
    EXPECT_EQ(event.rest[0].key, "extra");
    EXPECT_EQ(event.rest[0].end, 2u);
  }
}

TEST(OwnFields, OfAnotherKindAreMembersLikeAnyOther) {
  Parser parser(built_in_dialects());
  for (const char* line : {R"({"version":"1.2","role":"user","sources":[1]})",
                           R"({"event":"run.started","version":"1.2","role":"user","sources":[1]})",
                           R"({"event":"pool","version":"1.2","role":"user","sources":[1]})"}) {
    const LogEvent& event = parser.parse(line);
    EXPECT_FALSE(event.fields.has(Field::kVersion)) << line;
    EXPECT_FALSE(event.fields.has(Field::kRole)) << line;
    ASSERT_EQ(event.rest.size(), 4u) << line;
    EXPECT_FALSE(event.rest[2].is_field) << line;
  }
}

TEST(OwnFields, KeepTheTypesOfTheContract) {
  Parser parser(built_in_dialects());
  const LogEvent& chat =
      parser.parse(R"({"event":"chat","role":"Assistant","content":"hi","sources":[{"a":1}],"turn":2})");
  EXPECT_EQ(chat.fields.text(Field::kRole), "assistant");
  EXPECT_EQ(chat.fields.text(Field::kContent), "hi");
  EXPECT_EQ(chat.fields.integer(Field::kTurn), 2);
  ASSERT_FALSE(chat.rest.empty());
  EXPECT_TRUE(chat.rest[0].is_field);
  EXPECT_EQ(chat.rest[0].key, "sources");
  const LogEvent& span = parser.parse(
      R"({"event":"span","name":"embed","kind":"client","start":"2026-03-01T00:00:02Z","span_type":"cake","top_k":-1})");
  EXPECT_EQ(span.fields.text(Field::kSpanName), "embed");
  EXPECT_EQ(span.fields.text(Field::kSpanKind), "client");
  EXPECT_TRUE(span.fields.has(Field::kStartedAt));
  EXPECT_FALSE(span.fields.has(Field::kSpanType));  // no word of the contract
  EXPECT_FALSE(span.fields.has(Field::kTopK));      // out of range
  EXPECT_NE(span.violations, 0u);
}

}  // namespace
}  // namespace runtail
