#include "core/json_text.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

struct JsonTextCase {
  const char* name;
  std::string text;
  std::string json;
};
class JsonText : public testing::TestWithParam<JsonTextCase> {};
TEST_P(JsonText, IsQuotedAndValid) {
  std::string out = "x:";
  append_json_string(out, GetParam().text);
  EXPECT_EQ(out, "x:" + GetParam().json);
}
INSTANTIATE_TEST_SUITE_P(Texts, JsonText,
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

}  // namespace
}  // namespace runtail
