// `runtail redact` as a user runs it: one JSON line out per line in, in order, whatever the lines are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/exit_code.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class RedactVerb : public testing::Test {
 protected:
  Finished redact(const std::string& input, std::vector<std::string> arguments = {}) {
    const std::filesystem::path file = directory_.path() / "input";
    std::ofstream(file, std::ios::binary) << input;
    Command command;
    command.argv = {RUNTAIL_BINARY, "redact"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.input = file;
    return run_to_end(command);
  }
  static std::vector<std::string> lines_of(const std::string& output) {
    std::vector<std::string> lines;
    std::istringstream stream(output);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  std::string config(const std::string& yaml) {
    const std::filesystem::path file = directory_.path() / "runtail.yaml";
    std::ofstream(file) << yaml;
    return file.string();
  }
  TempDir directory_;
};

TEST_F(RedactVerb, WritesTheDocumentedLine) {
  const Finished done = redact("{\"level\":\"INFO\",\"msg\":\"mail anna@example.com\"}\n");
  EXPECT_EQ(done.exit_code, kExitOk) << done.errors;
  EXPECT_EQ(done.output,
            "{\"redacted\":true,\"state\":\"masked\",\"counts\":{\"email\":1},\"level\":\"INFO\","
            "\"msg\":\"mail [REDACTED:email]\"}\n");
}

TEST_F(RedactVerb, WritesOneLinePerLineInOrderWhateverTheLinesAre) {
  const std::string input = "plain password=hunter2\n\n{\"msg\":\"two\",\"unlisted\":1}\r\n{broken\n" +
                            std::string("nul \0 and \xFF bytes\n", 19) + std::string(5000, '[') +
                            "\nlast, no newline AKIAIOSFODNN7EXAMPLE";
  const Finished done = redact(input);
  EXPECT_EQ(done.exit_code, kExitOk) << done.errors;
  const std::vector<std::string> lines = lines_of(done.output);
  ASSERT_THAT(lines, SizeIs(7));
  for (const std::string& line : lines) EXPECT_TRUE(line.starts_with("{\"redacted\":") && line.ends_with("}")) << line;
  EXPECT_THAT(lines[0], HasSubstr("\"text\":\"plain password=[REDACTED:password]\""));
  EXPECT_THAT(lines[2], HasSubstr("\"msg\":\"two\""));
  EXPECT_THAT(lines[2], Not(HasSubstr("unlisted")));
  EXPECT_THAT(lines[3], HasSubstr("{broken"));
  EXPECT_THAT(lines[6], HasSubstr("last, no newline [REDACTED:aws_key]"));
}

TEST_F(RedactVerb, TakesItsSettingsFromAConfigFile) {
  const std::string file = config("version: 1\nline_bytes_max: 1024\nredaction:\n  allow: [batch.size]\n");
  const std::string long_line = "secret " + std::string(2000, 'x');
  const Finished done =
      redact("{\"msg\":\"m\",\"batch\":{\"size\":5,\"key\":\"k\"}}\n" + long_line + "\nshort\n", {"--config", file});
  EXPECT_EQ(done.exit_code, kExitOk) << done.errors;
  const std::vector<std::string> lines = lines_of(done.output);
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_THAT(lines[0], HasSubstr("\"context\":{\"batch\":{\"size\":5}}"));
  EXPECT_EQ(lines[1], "{\"redacted\":true,\"state\":\"failed_closed\",\"counts\":{}}");
  EXPECT_THAT(lines[2], HasSubstr("short"));
}

TEST_F(RedactVerb, ABadConfigIsSaidAndExitsWithThree) {
  const Finished done = redact("x\n", {"--config", config("version: 1\nredaction:\n  allow: [a..b]\n")});
  EXPECT_EQ(done.exit_code, kExitConfig);
  EXPECT_THAT(done.errors, HasSubstr("redaction.allow"));
  EXPECT_EQ(done.output, "");
}

}  // namespace
}  // namespace runtail::test
