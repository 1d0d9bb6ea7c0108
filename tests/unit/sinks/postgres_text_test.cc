// Ranges and JSON: what needs no database.
#include <gtest/gtest.h>

#include "sinks/postgres_json.h"
#include "sinks/postgres_ranges.h"
#include "sinks/postgres_verdict.h"

namespace runtail {
namespace {

std::string neutral(std::string_view json) {
  std::string out;
  append_neutral_json(out, json);
  return out;
}

std::string quoted(std::string_view text) {
  std::string out;
  append_text_json(out, text);
  return out;
}

struct JsonCase {
  const char* name;
  std::string_view in, out;
};

class NeutralJson : public testing::TestWithParam<JsonCase> {};

TEST_P(NeutralJson, IsWhatTheServerAccepts) { EXPECT_EQ(neutral(GetParam().in), GetParam().out); }

INSTANTIATE_TEST_SUITE_P(
    Cases, NeutralJson,
    testing::Values(JsonCase{"plain", R"({"a":[1,-2.5e3,true,null,"x\n\"y"]})",
                             R"({"a":[1,-2.5e3,true,null,"x\n\"y"]})"},
                    JsonCase{"nul", R"("a\u0000b")", R"("a\\u0000b")"},
                    JsonCase{"escaped_backslash_is_no_nul", R"("a\\u0000b")", R"("a\\u0000b")"},
                    JsonCase{"high_surrogate_alone", R"("\ud800x")", R"("\ufffdx")"},
                    JsonCase{"low_surrogate_alone", R"("\uDC00")", R"("\ufffd")"},
                    JsonCase{"two_high_surrogates", R"("\ud83d\ud83d\ude00")", R"("\ufffd\ud83d\ude00")"},
                    JsonCase{"surrogate_pair", R"("\ud83d\ude00")", R"("\ud83d\ude00")"},
                    JsonCase{"exponent_at_limit", "1e308", "1e308"},
                    JsonCase{"exponent_beyond", "[1e309,-1E-309]", R"(["1e309","-1E-309"])"},
                    JsonCase{"exponent_of_many_digits", "1e99999999999999999999", R"("1e99999999999999999999")"},
                    JsonCase{"forty_digits", "1234567890123456789012345678901234567890",
                             "1234567890123456789012345678901234567890"},
                    JsonCase{"forty_one_digits", "12345678901234567890123456789012345678.901",
                             R"("12345678901234567890123456789012345678.901")"},
                    JsonCase{"number_in_a_string", R"({"1e999":"1e999"})", R"({"1e999":"1e999"})"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(NeutralJsonDepth, SixtyFourContainersStayAndDeeperOnesBecomeAMark) {
  const std::string fine = std::string(64, '[') + "1" + std::string(64, ']');
  EXPECT_EQ(neutral(fine), fine);
  const std::string deep = std::string(64, '[') + R"({"]":["}"]},2)" + std::string(64, ']');
  EXPECT_EQ(neutral(deep), std::string(64, '[') + R"("[deeper than 64]",2)" + std::string(64, ']'));
}

TEST(TextJson, HoldsNoNul) {
  EXPECT_EQ(quoted("a\"\xC3\xA4"), "\"a\\\"\xC3\xA4\"");
  EXPECT_EQ(quoted(std::string_view("a\0b\xFF", 4)),
            "\"a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\"");
}

TEST(CoveredRanges, ReadWhatTheServerWrites) {
  for (const char* text : {"{}", "{[0,190)}", "{[0,190),[410,600)}"}) {
    ASSERT_TRUE(CoveredRanges::parse(text)) << text;
    EXPECT_EQ(CoveredRanges::parse(text)->to_text(), text);
  }
  for (const char* text : {"", "{", "{[0,190]}", "{[0,)}", "{[0,190)} ", "{[a,2)}", "{[0,1),}"}) {
    EXPECT_FALSE(CoveredRanges::parse(text)) << text;
  }
}

TEST(CoveredRanges, JoinWhatTouchesOrOverlaps) {
  CoveredRanges ranges;
  for (const ByteRange& range : {ByteRange{10, 20}, {40, 50}, {20, 25}, {60, 70}, {5, 5}, {45, 61}}) ranges.add(range);
  EXPECT_EQ(ranges.to_text(), "{[10,25),[40,70)}");
  EXPECT_EQ(ranges.upper(), 70u);
  EXPECT_FALSE(ranges.contains(9));
  EXPECT_TRUE(ranges.contains(10));
  EXPECT_TRUE(ranges.contains(24));
  EXPECT_FALSE(ranges.contains(25));
  EXPECT_EQ(ranges.missing_of({0, 100}).to_text(), "{[0,10),[25,40),[70,100)}");
  EXPECT_EQ(ranges.missing_of({12, 20}).to_text(), "{}");
  EXPECT_EQ(ranges.missing_of({20, 45}).to_text(), "{[25,40)}");
}

TEST(PgVerdict, FollowsTheSqlstate) {
  const auto verdict = [](const char* state, const char* constraint = "") {
    PgError error(state, "m");
    error.constraint_name = constraint;
    return judge(error);
  };
  for (const char* state : {"22P02", "22003", "23502", "54000", "21000"}) EXPECT_EQ(verdict(state), PgVerdict::kBadRow);
  EXPECT_EQ(verdict("23514", "named"), PgVerdict::kBadRow);
  EXPECT_EQ(verdict("23514"), PgVerdict::kPartitionMissing);
  EXPECT_EQ(verdict("23503", "fk"), PgVerdict::kParentGone);
  EXPECT_EQ(verdict("23505", "pk"), PgVerdict::kDuplicateRow);
  for (const char* state : {"", "08006", "40001", "40P01", "53100", "55P03", "57014", "57P01", "25006", "25P03",
                            "25P04", "58030", "26000", "42P05"}) {
    EXPECT_EQ(verdict(state), PgVerdict::kRetry) << state;
  }
  for (const char* state : {"28P01", "3D000", "3F000", "42P01", "42501", "0A000", "XX001", "P0001"}) {
    EXPECT_EQ(verdict(state), PgVerdict::kOperator) << state;
  }
}

}  // namespace
}  // namespace runtail
