#include "core/json_text.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

struct JsonTextCase {
  const char* name;
  std::string text;
  std::string json;
};
class JsonTexts : public testing::TestWithParam<JsonTextCase> {};
TEST_P(JsonTexts, IsQuotedAndValid) {
  std::string out = "x:";
  append_json_string(out, GetParam().text);
  EXPECT_EQ(out, "x:" + GetParam().json);
}
INSTANTIATE_TEST_SUITE_P(Texts, JsonTexts,
                         testing::Values(JsonTextCase{"empty", "", "\"\""}, JsonTextCase{"plain", "a/b c", "\"a/b c\""},
                                         JsonTextCase{"quote_and_backslash", "a\"b\\", R"("a\"b\\")"},
                                         JsonTextCase{"line_ends", "\r\n\t", R"("\r\n\t")"},
                                         JsonTextCase{"control", std::string("\0\x1f", 2), R"("\u0000\u001f")"},
                                         JsonTextCase{"utf8", "ä€😀", "\"ä€😀\""},
                                         JsonTextCase{"lone_continuation", "a\x80z", "\"a\xEF\xBF\xBDz\""},
                                         JsonTextCase{"cut_character", "\xE2\x82", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
                                         JsonTextCase{"overlong", "\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
                                         JsonTextCase{"surrogate", "\xED\xA0\x80",
                                                      "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
                                         JsonTextCase{"beyond_unicode", "\xF5z", "\"\xEF\xBF\xBDz\""}),
                         [](const auto& row) { return row.param.name; });

TEST(JsonText, EachByteIsSeenAtEveryPlace) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string alone;
    append_json_string(alone, std::string(1, static_cast<char>(byte)));
    const std::string escaped = alone.substr(1, alone.size() - 2);
    for (std::size_t lead = 0; lead < 20; ++lead) {
      for (std::size_t tail = 0; tail < 20; ++tail) {
        const std::string before(lead, 'x'), after(tail, '~');
        std::string out;
        append_json_string(out, before + static_cast<char>(byte) + after);
        ASSERT_EQ(out, '"' + before + escaped + after + '"');
      }
    }
  }
}

}  // namespace
}  // namespace runtail
