// Dialects of tools: every built-in file does what its examples say, and no line is claimed by another.
#include <gtest/gtest.h>

#include "parsers/dialect_examples.h"
#include "parsers/parser.h"

namespace runtail {
namespace {

TEST(DialectsTest, EveryExampleOfEveryBuiltInFileGivesWhatItSays) {
  Parser parser(built_in_dialects());
  for (const DialectSpec& dialect : built_in_dialects()) {
    EXPECT_TRUE(!dialect.tool || !dialect.examples.empty()) << dialect.file << " has no examples";
    for (const std::string& failure : failed_examples(parser, dialect)) ADD_FAILURE() << failure;
  }
}

}  // namespace
}  // namespace runtail
