#include "config/near_word.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

const std::vector<std::string> kWords = {"name", "environment", "buffer", "message", "ts"};

TEST(NearWordTest, OneSlipOfEachKindIsSeen) {
  for (const char* slip : {"naem", "nam", "names", "nane", "Name"}) EXPECT_EQ(near_word(slip, kWords), "name") << slip;
  EXPECT_EQ(near_word("enviroment", kWords), "environment");
  EXPECT_EQ(near_word("mesage", kWords), "message");
}

TEST(NearWordTest, ABeginningOrALongerFormIsNear) {
  EXPECT_EQ(near_word("env", kWords), "environment");
  EXPECT_EQ(near_word("messages_text", kWords), "message");
}

TEST(NearWordTest, WhatIsFarIsNotSuggested) {
  for (const char* word : {"", "x", "ts1234", "retention", "en", "bxyzer"})
    EXPECT_EQ(near_word(word, kWords), "") << word;
  EXPECT_EQ(near_word(std::string(1000, 'n'), kWords), "");
}

TEST(NearWordTest, AsAQuestion) {
  EXPECT_EQ(did_you_mean("bufer", kWords), " (did you mean \"buffer\"?)");
  EXPECT_EQ(did_you_mean("zzz", kWords), "");
}

}  // namespace
}  // namespace runtail
