// The engine below the rules: gate, merging, markers, and properties that hold for any text.
#include "redaction/detectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <random>

#include "redaction/marker.h"
#include "redaction/masker.h"
#include "tests/support/scale.h"
#include "tests/unit/redaction/line_builder.h"
#include "tests/unit/redaction/random_text.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::size_t> places_of(const Gate& gate, std::uint32_t literal, std::string_view text) {
  std::vector<GateHit> hits;
  gate.scan(text, hits);
  std::vector<std::size_t> out;
  for (const GateHit& hit : hits) {
    if (hit.literal == literal) out.push_back(hit.begin);
  }
  return out;
}

TEST(Gate, FindsLiteralsAtEveryPlaceInEitherCase) {
  Gate gate;
  const std::uint32_t password = gate.add("password"), slashes = gate.add("://");
  EXPECT_EQ(gate.add("PASSWORD"), password);
  EXPECT_EQ(gate.bytes_of(password), 8u);
  for (std::size_t lead = 0; lead < 20; ++lead) {
    for (std::size_t tail = 0; tail < 20; ++tail) {
      const std::string text = std::string(lead, 'x') + "PassWord" + std::string(tail, 'x');
      EXPECT_THAT(places_of(gate, password, text), ElementsAre(lead)) << text;
      EXPECT_THAT(places_of(gate, slashes, text), IsEmpty()) << text;
      EXPECT_THAT(places_of(gate, slashes, std::string(lead, 'x') + "://" + std::string(tail, 'x')), ElementsAre(lead));
    }
  }
  for (const std::string_view text : {"passwor", "pa", "", ":/:/"}) {
    EXPECT_THAT(places_of(gate, password, text), IsEmpty());
    EXPECT_THAT(places_of(gate, slashes, text), IsEmpty());
  }
  EXPECT_THAT(places_of(gate, slashes, "://://"), ElementsAre(0, 3));
}

TEST(Gate, FindsWhatASearchFinds) {
  static constexpr std::string_view kAlphabet = "abzABZ[{@`_-:=/ 09\r\n\x7F\xC3";
  std::mt19937_64 random(test::seed() + 3);
  const auto text_of = [&](std::size_t size) {
    std::string text(size, ' ');
    for (char& c : text) c = kAlphabet[random() % kAlphabet.size()];
    return text;
  };
  const auto lowered = [](std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return text;
  };
  for (int round = 0; round < test::by_scale(300, 20'000); ++round) {
    Gate gate;
    std::vector<std::string> literals;
    for (std::size_t i = 0; i < 20; ++i) {
      const std::string literal = lowered(text_of(3 + random() % 12));
      if (gate.add(literal) == literals.size()) literals.push_back(literal);
    }
    std::string text = text_of(random() % 40);
    for (int i = 0; i < 5; ++i) {
      const std::string& literal = literals[random() % literals.size()];
      text += literal.substr(0, random() % 4 == 0 ? random() % literal.size() : literal.size());
      text += text_of(random() % 4);
    }
    const std::string folded = lowered(text);
    for (std::uint32_t number = 0; number < literals.size(); ++number) {
      std::vector<std::size_t> want;
      for (std::size_t at = 0; (at = folded.find(literals[number], at)) != std::string::npos; ++at) want.push_back(at);
      ASSERT_EQ(places_of(gate, number, text), want)
          << testing::PrintToString(literals[number]) << " in " << testing::PrintToString(text);
    }
  }
}

TEST(Features, DigitRunsTakeSeparatorsAndWhatLeadsIn) {
  const auto runs = [](std::string_view text, std::uint32_t digits_min) {
    std::vector<std::string> out;
    each_digit_run(text, [&](const DigitRun& run) {
      if (run.digits < digits_min) return;
      out.emplace_back(text.substr(run.window.begin, run.window.end - run.window.begin));
    });
    return out;
  };
  EXPECT_THAT(runs("at 123-45-6789, x", 9), ElementsAre("123-45-6789"));
  EXPECT_THAT(runs("call +1 (415) 555-2671.", 10), ElementsAre("+1 (415) 555-2671"));
  EXPECT_THAT(runs("12345678", 9), IsEmpty());
  EXPECT_THAT(runs("1 2 3 4 5 6 7 8 x 9", 9), IsEmpty());
  EXPECT_THAT(runs("1234   56789", 9), IsEmpty());
  EXPECT_THAT(runs("", 1), IsEmpty());
}

TEST(Features, TraitsAreCountedOverAnyLength) {
  const TextTraits traits =
      traits_of(std::string(1000, '7') + std::string(300, '@') + std::string(600, ':') + "-%\xC3");
  EXPECT_EQ(traits.digits, 1000u);
  EXPECT_EQ(traits.ats, 300u);
  EXPECT_EQ(traits.colons, 600u);
  EXPECT_EQ(traits.dashes, 1u);
  EXPECT_TRUE(traits.escapes && traits.not_ascii);
  EXPECT_FALSE(traits_of("plain").escapes);
}

TEST(Detectors, TheGateMissesNothingTheRulesWouldFind) {
  const auto ruleset = make_ruleset({}).value();
  TextScanner with_gate(*ruleset->scan), without(*ruleset->scan);
  RandomText texts(test::seed());
  std::size_t found = 0;
  for (int i = 0; i < test::by_scale(4'000, 200'000); ++i) {
    const std::string text = texts.next();
    const std::vector<Span>& gated = *with_gate.find(text, {}, GateUse::kOn);
    const std::vector<Span>& all = *without.find(text, {}, GateUse::kOff);
    for (const Span& span : all) {
      std::size_t at = span.begin;  // what is found with the gate may be cut into other pieces
      for (const Span& other : gated) at = other.begin <= at && at < other.end ? other.end : at;
      ASSERT_GE(at, span.end) << ruleset->kinds.rules()[span.rule].rule << " in " << testing::PrintToString(text);
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
  const auto ruleset = make_ruleset({}).value();
  TextScanner scanner(*ruleset->scan);
  RandomText texts(test::seed() + 2);
  for (int i = 0; i < test::by_scale(10'000, 200'000); ++i) {
    const std::string text = texts.next();
    std::size_t at = 0;
    for (const Span& span : *scanner.find(text, {})) {
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
  spec.place = "x.yaml:1:1";
  spec.literals = {std::move(literal)};
  spec.priority = priority;
  return spec;
}

std::string masked(const std::vector<RuleSpec>& rules, std::string_view text) {
  Masker masker(ruleset_of(rules));
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

TEST(Detectors, WhereAByteThatEveryMatchHasDoesNotFollowIsNotLookedAt) {
  RuleSpec spec = rule("held", "val=([a-z]+)@", "val=", RulePriority::kSecret);
  spec.begins = true;
  spec.contains = "@";
  EXPECT_EQ(masked({spec}, "val=x val=y@ @ val=z"), "val=x val=[REDACTED:held]@ @ val=z");
  spec.contains = "#";  // wrong, so that it shows
  EXPECT_EQ(masked({spec}, "# val=x@"), "# val=x@");
  EXPECT_EQ(masked({spec}, "val=x@ #"), "val=[REDACTED:held]@ #");
}

TEST(Detectors, AMatchDoesNotBeginInTheKindOfAMarker) {
  RuleSpec spec = rule("email", "email[^a-z]+([a-z]+)", "email", RulePriority::kSecret);
  spec.begins = true;
  EXPECT_EQ(masked({spec}, "[REDACTED:email] abc"), "[REDACTED:email] abc");
  EXPECT_EQ(masked({spec}, "[REDACTED:email, abc"), "[REDACTED:email, [REDACTED:email]");
}

TEST(Detectors, AValueLongerThanTheReachOfItsRuleGoesToItsEnd) {
  RuleSpec begins = rule("begins", "val=([a-z]+)", "val=x", RulePriority::kSecret);
  begins.begins = true;
  RuleSpec near = begins;
  near.begins = false;
  for (RuleSpec* each : {&begins, &near}) {
    for (const std::size_t size : {40u, 5000u, 100'000u}) {
      each->reach = 32;
      EXPECT_EQ(masked({*each}, "a val=x" + std::string(size, 'y') + " end"), "a val=[REDACTED:begins] end") << size;
    }
  }
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
  EXPECT_EQ(marker_size("[REDACTED:card:1111]", 0), 20u);
  EXPECT_EQ(marker_size("[REDACTED:email#9f3a01bc:0123456789abcdef]", 0), 42u);
  EXPECT_EQ(marker_size("[REDACTED:card:1111111]", 0), 0u);
  EXPECT_EQ(marker_size("[REDACTED:email#9f3a01bc:0123456789abcde]", 0), 0u);
  EXPECT_EQ(marker_size("[REDACTED:email#hunter2!:0123456789abcdef]", 0), 0u);
  EXPECT_EQ(marker_size("[REDACTED:]", 0), 0u);
  EXPECT_EQ(marker_size("[REDACTED:email", 0), 0u);
  EXPECT_EQ(marker_size("[REDACTED:E]", 0), 0u);
  EXPECT_EQ(marker_size("", 0), 0u);
}

// To tell the groups of a long match apart is dear: of many on one line the later ones go whole.
TEST(Detectors, ManyLongMatchesLoseAllTheyHold) {
  Redactor redactor = make_redactor();
  std::string text;
  for (int i = 0; i < 12; ++i) {
    text +=
        std::to_string(i) + ": Duplicate entry '" + std::string(30'000, static_cast<char>('A' + i)) + "' for key 'k'\n";
  }
  const std::string out = redactor.redact_text(text + "done");
  EXPECT_TRUE(out.starts_with("0: Duplicate entry '[REDACTED:row_values]' for key 'k'\n1: Duplicate")) << out;
  EXPECT_TRUE(out.ends_with("11: [REDACTED:row_values] 'k'\ndone")) << out;
  for (char c = 'A'; c < 'A' + 12; ++c) EXPECT_EQ(out.find(std::string(2, c)), std::string::npos) << out;
  EXPECT_EQ(redactor.redact_text(out), out);
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
                                       "token=x[REDACTED:a]",
                                       "dob,",
                                       "dob,x\n",
                                       "email\n0  x\n",
                                       "email | a\n---\n",
                                       "Row('",
                                       "bad row ['x",
                                       "bad row [1] ",
                                       "pass=a",
                                       "-passin pass:",
                                       "values (",
                                       "values ('x'), (",
                                       "token aaaaaaaaaaaaaaaaaaaaaaaa ",
                                       "SKa",
                                       "&signature="}) {
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
