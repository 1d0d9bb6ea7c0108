// Settings of redaction: their words, and the files they name.
#include "config/redaction_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "config/load.h"
#include "config/redaction_action.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> problems(const std::string& redaction) {
  std::vector<std::string> out;
  for (const ConfigProblem& problem :
       load_config("redaction: {" + redaction + "}\n", "runtail.yaml", [](const std::string&) {
         return std::nullopt;
       }).problems) {
    out.push_back(to_string(problem));
  }
  return out;
}

TEST(RedactionSettings, WordsAreChecked) {
  EXPECT_THAT(problems("packs: [secrets, pii], free_text: drop, actions: {card: keep_last_4, email: drop}"), IsEmpty());
  EXPECT_THAT(problems("packs: [secret]"), ElementsAre(HasSubstr("redaction.packs[0]: \"secret\": must be one of")));
  EXPECT_THAT(problems("free_text: keep"), ElementsAre(HasSubstr("must be one of scan, drop")));
  EXPECT_THAT(problems("actions: {card: keep_last_9}"), ElementsAre(HasSubstr("write mask, drop, hash")));
  EXPECT_THAT(problems("actions: {Card: mask}"), ElementsAre(HasSubstr("the name is a kind")));
}

TEST(RedactionActionWords, AreReadAndNothingElse) {
  using Kind = RedactionAction::Kind;
  EXPECT_EQ(parse_redaction_action("mask")->kind, Kind::kMask);
  EXPECT_EQ(parse_redaction_action("keep_first_2")->kind, Kind::kKeepFirst);
  EXPECT_EQ(parse_redaction_action("keep_last_6")->kept, 6);
  for (const std::string_view bad : {"", "keep_last_", "keep_last_0", "keep_last_7", "keep_last_44", "Hash"}) {
    EXPECT_FALSE(parse_redaction_action(bad)) << bad;
  }
}

TEST(RedactionFiles, AreReadOrNamedWithWhatIsWrong) {
  const test::TempDir directory;
  const auto file = [&](const char* name, const std::string& text) {
    const std::string path = (directory.path() / name).string();
    std::ofstream(path) << text;
    return path;
  };
  RedactionConfig config;
  config.rules = {file("good.yaml", "key_exceptions: [count]\n")};
  config.hash_key_file = file("key", std::string(62, 'a') + "0F\n");
  EXPECT_THAT(read_redaction_files(config), IsEmpty());
  ASSERT_EQ(config.rule_texts.size(), 1u);
  ASSERT_TRUE(config.hash_key);
  EXPECT_EQ(config.hash_key->bytes[31], 0x0F);

  config.rules = {directory.path() / "none.yaml", file("bad.yaml", "rules: [{id: a}]\n")};
  config.hash_key_file = file("short", "c0ffee");
  std::vector<std::string> messages;
  for (const RedactionFileProblem& problem : read_redaction_files(config)) {
    messages.push_back(problem.key + ": " + problem.message);
  }
  EXPECT_THAT(messages, ElementsAre(AllOf(HasSubstr("redaction.rules[0]"), HasSubstr("No such file")),
                                    AllOf(HasSubstr("redaction.rules[1]"), HasSubstr("bad.yaml:1:9: rule a")),
                                    AllOf(HasSubstr("holds no key"), Not(HasSubstr("c0ffee")))));
  EXPECT_FALSE(config.hash_key);
}

TEST(RedactionFiles, TheKeyMayStandInTheEnvironmentAndWins) {
  const test::TempDir directory;
  const std::string file = (directory.path() / "key").string();
  std::ofstream(file) << std::string(64, '1');
  const auto loaded = [&](const std::string& key) {
    return load_config("redaction: {actions: {email: hash}, hash_key_file: " + file + "}\n", "runtail.yaml",
                       [&](const std::string& name) {
                         return name == "RUNTAIL_REDACTION_HASH_KEY" ? std::optional(key) : std::nullopt;
                       });
  };
  const LoadedConfig good = loaded(std::string(62, 'a') + "0F");
  EXPECT_THAT(good.problems, IsEmpty());
  ASSERT_TRUE(good.config.redaction.hash_key);
  EXPECT_EQ(good.config.redaction.hash_key->bytes[31], 0x0F);
  EXPECT_THAT(print_effective(good.config), Not(HasSubstr(std::string(62, 'a'))));

  const LoadedConfig bad = loaded("c0ffee");
  ASSERT_EQ(bad.problems.size(), 1u);
  EXPECT_THAT(to_string(bad.problems[0]), AllOf(HasSubstr("RUNTAIL_REDACTION_HASH_KEY holds no key; set it"),
                                                Not(HasSubstr("c0ffee")), Not(HasSubstr("1111"))));
  EXPECT_FALSE(bad.config.redaction.hash_key);
}

TEST(RedactionFiles, HashNeedsAKey) {
  EXPECT_THAT(problems("actions: {email: hash}"), ElementsAre(HasSubstr("redaction.hash_key_file: missing")));
}

}  // namespace
}  // namespace runtail
