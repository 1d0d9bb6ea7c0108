#include <gtest/gtest.h>

#include <vector>

#include "derive/deriver.h"

namespace runtail {
namespace {

struct CategoryCase {
  const char* name;
  std::vector<std::pair<Field, const char*>> texts;
  int http_status;
  ErrorCategory want;
};

class Category : public testing::TestWithParam<CategoryCase> {};

TEST_P(Category, IsTheFirstHit) {
  FieldSet fields;
  for (const auto& [field, text] : GetParam().texts) fields.put_text(field, text);
  if (GetParam().http_status) fields.put_int(Field::kHttpStatus, GetParam().http_status);
  EXPECT_EQ(categorise_error(fields), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Category,
    testing::Values(
        CategoryCase{"the_set_itself", {{Field::kErrorCategory, "DB"}}, 0, ErrorCategory::kDb},
        CategoryCase{"word_timeout", {{Field::kErrorCategory, "timeout"}}, 0, ErrorCategory::kApi},
        CategoryCase{"word_in_capitals", {{Field::kErrorCategory, "Upstream"}}, 0, ErrorCategory::kApi},
        CategoryCase{"word_schema", {{Field::kErrorCategory, "schema"}}, 504, ErrorCategory::kData},
        CategoryCase{"unknown_word_falls_through",
                     {{Field::kErrorCategory, "purple"}, {Field::kErrorCode, "40001"}},
                     0,
                     ErrorCategory::kDb},
        CategoryCase{"sqlstate_22_is_data", {{Field::kErrorCode, "22001"}}, 0, ErrorCategory::kData},
        CategoryCase{"sqlstate_23_is_data", {{Field::kErrorCode, "23505"}}, 0, ErrorCategory::kData},
        CategoryCase{"e4xx", {{Field::kErrorCode, "E401"}}, 0, ErrorCategory::kApi},
        CategoryCase{"oracle", {{Field::kErrorCode, "ORA-00060"}}, 0, ErrorCategory::kDb},
        CategoryCase{"http_status", {{Field::kErrorType, "ValueError"}}, 502, ErrorCategory::kApi},
        CategoryCase{"http_status_below_400", {{Field::kErrorType, "ValueError"}}, 200, ErrorCategory::kData},
        CategoryCase{
            "type_with_module", {{Field::kErrorType, "requests.exceptions.ReadTimeout"}}, 0, ErrorCategory::kApi},
        CategoryCase{"word_of_the_message", {{Field::kErrorMessage, "deadlock detected"}}, 0, ErrorCategory::kDb},
        CategoryCase{"whole_words_only", {{Field::kErrorMessage, "datagram blocked"}}, 0, ErrorCategory::kSystem},
        CategoryCase{"nothing_known", {}, 0, ErrorCategory::kSystem}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace runtail
