// The engine below the rules: gate, merging, markers, and properties that hold for any text.
#include "redaction/detectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

#include "redaction/masker.h"
#include "tests/support/scale.h"
#include "tests/unit/redaction/line_builder.h"
#include "tests/unit/redaction/random_text.h"

namespace runtail {
namespace {

TEST(Gate, FindsLiteralsAtEveryPlaceInEitherCase) {
  Gate gate;
  gate.add(7, {"password"}, false, 0);
  gate.add(200, {"://"}, false, 0);
  for (std::size_t lead = 0; lead < 20; ++lead) {
    for (std::size_t tail = 0; tail < 20; ++tail) {
      const std::string text = std::string(lead, 'x') + "PassWord" + std::string(tail, 'x');
      EXPECT_TRUE(gate.scan(text).has(7)) << text;
      EXPECT_FALSE(gate.scan(text).has(200)) << text;
      EXPECT_TRUE(gate.scan(std::string(lead, 'x') + "://" + std::string(tail, 'x')).has(200));
    }
  }
  EXPECT_TRUE(gate.scan("passwor").empty());
  EXPECT_TRUE(gate.scan("pa").empty());
  EXPECT_TRUE(gate.scan("").empty());
}

TEST(Gate, AskedForTraitsAllHaveToBeThere) {
  Gate gate;
  gate.add(0, {"://"}, true, 0);
  gate.add(1, {}, true, 0);
  gate.add(2, {}, false, 9);
  gate.add(3, {}, false, 13);
  const auto candidates = [&](std::string_view text) {
    std::vector<std::size_t> out;
    gate.scan(text).each([&](std::size_t rule) { out.push_back(rule); });
    return out;
  };
  using testing::ElementsAre;
  EXPECT_THAT(candidates("a://b"), ElementsAre());
  EXPECT_THAT(candidates("a://b@c"), ElementsAre(0, 1));
  EXPECT_THAT(candidates("123-45-6789"), ElementsAre(2));
  EXPECT_THAT(candidates("12345678"), ElementsAre());
  EXPECT_THAT(candidates("1 2 3 4 5 6 7 8 x 9"), ElementsAre());
  EXPECT_THAT(candidates("4111 1111 1111 1111"), ElementsAre(2, 3));
  EXPECT_THAT(candidates(":::::::::::::::"), ElementsAre());
}

std::shared_ptr<const Detectors> built_in_detectors(Kinds& kinds) {
  return Detectors::compile(built_in_rules().value().rules, kinds).value();
}

TEST(Detectors, TheGateMissesNothingTheRulesWouldFind) {
  Kinds kinds;
  const auto detectors = built_in_detectors(kinds);
  RandomText texts(test::seed());
  std::vector<Span> gated, all;
  std::size_t found = 0;
  for (int i = 0; i < test::by_scale(20'000, 500'000); ++i) {
    const std::string text = texts.next();
    detectors->find(text, {}, gated, GateUse::kOn);
    detectors->find(text, {}, all, GateUse::kOff);
    ASSERT_EQ(gated.size(), all.size()) << testing::PrintToString(text);
    for (std::size_t k = 0; k < all.size(); ++k) {
      ASSERT_TRUE(gated[k].begin == all[k].begin && gated[k].end == all[k].end && gated[k].kind == all[k].kind)
          << testing::PrintToString(text);
    }
    found += all.size();
  }
  EXPECT_GT(found, 1000u);  // the texts do try it
}

TEST(Detectors, RedactingTwiceChangesNothing) {
  Redactor redactor = make_redactor();
  RandomText texts(test::seed() + 1);
  for (int i = 0; i < test::by_scale(20'000, 500'000); ++i) {
    const std::string text = texts.next();
    const std::string once = redactor.redact_text(text);
    ASSERT_EQ(redactor.redact_text(once), once) << testing::PrintToString(text);
  }
}

TEST(Detectors, SpansAreInOrderAndApart) {
  Kinds kinds;
  const auto detectors = built_in_detectors(kinds);
  RandomText texts(test::seed() + 2);
  std::vector<Span> spans;
  for (int i = 0; i < test::by_scale(10'000, 200'000); ++i) {
    const std::string text = texts.next();
    detectors->find(text, {}, spans);
    std::size_t at = 0;
    for (const Span& span : spans) {
      ASSERT_LE(at, span.begin);
      ASSERT_LT(span.begin, span.end);
      ASSERT_LE(span.end, text.size());
      at = span.end;
    }
  }
}

RuleSpec rule(std::string id, std::string pattern, std::string literal, RulePriority priority) {
  RuleSpec spec;
  spec.id = id;
  spec.kind = id;
  spec.pattern = std::move(pattern);
  spec.literals = {std::move(literal)};
  spec.priority = priority;
  return spec;
}

std::string masked(const std::vector<RuleSpec>& rules, std::string_view text) {
  auto kinds = std::make_shared<Kinds>();
  const auto detectors = Detectors::compile(rules, *kinds).value();
  Masker masker(detectors, kinds);
  return std::string(masker.mask(text));
}

TEST(Detectors, SpansThatOverlapBecomeOneNamedByTheSecret) {
  const RuleSpec left = rule("left", "abcd", "abc", RulePriority::kPii);
  const RuleSpec right = rule("right", "cdef", "def", RulePriority::kSecret);
  EXPECT_EQ(masked({left, right}, "xabcdefx"), "x[REDACTED:right]x");
  EXPECT_EQ(masked({right, left}, "xabcdefx"), "x[REDACTED:right]x");
}

TEST(Detectors, AmongEqualsTheLongerSpanNamesTheMask) {
  const RuleSpec inner = rule("inner", "bcd", "bcd", RulePriority::kPii);
  const RuleSpec outer = rule("outer", "abcde", "bcd", RulePriority::kPii);
  EXPECT_EQ(masked({inner, outer}, "abcde"), "[REDACTED:outer]");
}

TEST(Detectors, SpansThatTouchStayTwo) {
  EXPECT_EQ(
      masked({rule("a", "aaa", "aaa", RulePriority::kPii), rule("b", "bbb", "bbb", RulePriority::kPii)}, "aaabbb"),
      "[REDACTED:a][REDACTED:b]");
}

TEST(Detectors, AMarkerIsTakenWholeOrNotAtAll) {
  const RuleSpec greedy = rule("all", "v=([a-zA-Z:\\[]+)", "v=[", RulePriority::kSecret);
  EXPECT_EQ(masked({greedy}, "v=[REDACTED:email]"), "v=[REDACTED:email]");
  EXPECT_EQ(masked({greedy}, "v=[REDACTED:email"), "v=[REDACTED:all]");
  const RuleSpec across = rule("all", "v=(\\S+)", "v=x", RulePriority::kSecret);
  EXPECT_EQ(masked({across}, "v=x[REDACTED:email]"), "v=[REDACTED:all]");
}

TEST(Detectors, ACharacterIsTakenWholeOrNotAtAll) {
  const RuleSpec bytes = rule("two", "v=\\w*([^a])", "v=x", RulePriority::kSecret);
  EXPECT_EQ(masked({bytes}, "v=x\xE2\x82\xAC."), "v=x[REDACTED:two].");
}

TEST(Markers, OnlyACompleteOneCounts) {
  EXPECT_EQ(marker_size("[REDACTED:email] x", 0), 16u);
  EXPECT_EQ(marker_size("x[REDACTED:a_1]", 1), 14u);
  EXPECT_EQ(marker_size("[REDACTED:]", 0), 0u);
  EXPECT_EQ(marker_size("[REDACTED:email", 0), 0u);
  EXPECT_EQ(marker_size("[REDACTED:E]", 0), 0u);
  EXPECT_EQ(marker_size("", 0), 0u);
}

// A megabyte of nothing but beginnings: what costs the square of its length takes minutes here.
TEST(Detectors, LongLinesCostInProportion) {
  Redactor redactor = make_redactor();
  for (const std::string_view piece : {"Key (a)=(b)\n",
                                       "Key (a)=(b ",
                                       "Failing row contains (x\n",
                                       "Failing row contains (x)\n",
                                       "Duplicate entry 'x\n",
                                       "-----BEGIN PRIVATE KEY-----",
                                       "-----BEGIN ",
                                       "eyJa.xa.",
                                       "eyJa.",
                                       ".eyJ",
                                       "1",
                                       "1 ",
                                       "4111 ",
                                       "123-45-",
                                       "a@",
                                       "a@b.",
                                       "password=",
                                       "password=None ",
                                       "\\\"password\\\":\\\"",
                                       "://a:",
                                       "a://b:c@",
                                       "bearer aaaaaaaa ",
                                       "basic aaaa ",
                                       "authorization: ",
                                       "--token ",
                                       "[REDACTED:",
                                       "COPY a, line 1: \"",
                                       "\xC3",
                                       "token=x[REDACTED:a]"}) {
    std::string text;
    while (text.size() < (1u << 18)) text += piece;
    const std::clock_t begin = std::clock();
    const std::string once = redactor.redact_text(text);
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    EXPECT_LT(seconds, 3.0) << piece;
    if (std::getenv("RUNTAIL_TEST_SCALE")) std::printf("%8.1f ms  %s\n", seconds * 1e3, std::string(piece).c_str());
    EXPECT_EQ(redactor.redact_text(once), once) << piece;
  }
}

}  // namespace
}  // namespace runtail
