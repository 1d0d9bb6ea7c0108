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

TEST_F(RedactVerb, ExplainsEachSpanWithoutItsValue) {
  const Finished done = redact("{\"msg\":\"mail anna@example.com\"}\n", {"--explain"});
  EXPECT_EQ(done.exit_code, kExitOk) << done.errors;
  EXPECT_THAT(done.output,
              HasSubstr("\"explain\":[{\"field\":\"msg\",\"rule\":\"email\",\"kind\":\"email\",\"validator\":\"email\","
                        "\"action\":\"masked\",\"bytes\":16}]}\n"));
  EXPECT_THAT(done.output, Not(HasSubstr("anna")));
}

TEST_F(RedactVerb, ExplainsAMemberThatIsCalledByASecretWithoutIt) {
  const Finished done =
      redact("{\"msg\":\"m\",\"AKIAIOSFODNN7EXAMPLE\":\"a@b.io\"}\n", {"--fields", "all", "--explain"});
  EXPECT_EQ(done.exit_code, kExitOk) << done.errors;
  EXPECT_THAT(done.output, HasSubstr("\"field\":\"[REDACTED:aws_key]\",\"rule\":\"email\""));
  EXPECT_THAT(done.output, Not(HasSubstr("AKIA")));
}

TEST_F(RedactVerb, KeepsTextAsTextAndAllMembersWhenAsked) {
  const Finished done = redact("plain password=hunter2\n\n{\"msg\":\"m\",\"to\":\"a@b.io\",\"row\":{\"n\":1}}\n",
                               {"--output", "text", "--fields", "all"});
  EXPECT_EQ(done.exit_code, kExitOk) << done.errors;
  EXPECT_THAT(lines_of(done.output),
              ElementsAre("plain password=[REDACTED:password]", "",
                          HasSubstr("\"context\":{\"to\":\"[REDACTED:email]\",\"row\":\"[REDACTED:row_values]\"}")));
}

TEST_F(RedactVerb, MasksAKeyThatComesLineByLine) {
  const Finished done = redact("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nq0B1==\n-----END RSA PRIVATE KEY-----\ndone\n",
                               {"--output", "text"});
  EXPECT_THAT(lines_of(done.output), ElementsAre("[REDACTED:private_key]", "[REDACTED:private_key]",
                                                 "[REDACTED:private_key]", "[REDACTED:private_key]", "done"));
}

TEST_F(RedactVerb, CheckRunsTheExamplesOfOwnRules) {
  const std::filesystem::path rules = directory_.path() / "site.yaml";
  const auto check = [&](const std::string& near_miss) {
    std::ofstream(rules)
        << "rules:\n  - id: badge\n    kind: badge\n    literals: [badge]\n    pattern: 'badge (\\d+)'\n"
           "    examples:\n      positive: [[badge 42, \"badge [REDACTED:badge]\"]]\n      near_miss: ["
        << near_miss << "]\n";
    Command command;
    command.argv = {RUNTAIL_BINARY, "check", "--config",
                    config("version: 1\nredaction: {rules: [" + rules.string() + "], packs: [secrets]}\n")};
    return run_to_end(command);
  };
  const Finished good = check("badge none");
  EXPECT_EQ(good.exit_code, kExitOk) << good.errors;
  EXPECT_THAT(good.output, HasSubstr(rules.string() + " 1"));
  EXPECT_THAT(good.output, Not(HasSubstr("pii")));
  const Finished bad = check("badge 7");
  EXPECT_EQ(bad.exit_code, kExitConfig);
  EXPECT_THAT(bad.errors,
              HasSubstr("site.yaml:2:5: rule badge: near miss \"badge 7\" gives \"badge [REDACTED:badge]\""));
}

TEST_F(RedactVerb, HashesOnlyWithAKey) {
  const std::string settings = "version: 1\nredaction: {actions: {email: hash}";
  const Finished refused = redact("x\n", {"--config", config(settings + "}\n")});
  EXPECT_EQ(refused.exit_code, kExitConfig);
  EXPECT_THAT(refused.errors, HasSubstr("redaction.hash_key_file"));
  const std::filesystem::path key = directory_.path() / "hash.key";
  std::ofstream(key) << std::string(64, 'a') << "\n";
  const Finished done = redact("a@b.io\nA@B.io\n", {"--output", "text", "--config",
                                                    config(settings + ", hash_key_file: " + key.string() + "}\n")});
  EXPECT_EQ(done.exit_code, kExitOk) << done.errors;
  const std::vector<std::string> lines = lines_of(done.output);
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_THAT(lines[0], testing::StartsWith("[REDACTED:email#"));
}

TEST_F(RedactVerb, ABadConfigIsSaidAndExitsWithThree) {
  const Finished done = redact("x\n", {"--config", config("version: 1\nredaction:\n  allow: [a..b]\n")});
  EXPECT_EQ(done.exit_code, kExitConfig);
  EXPECT_THAT(done.errors, HasSubstr("redaction.allow"));
  EXPECT_EQ(done.output, "");
}

}  // namespace
}  // namespace runtail::test
