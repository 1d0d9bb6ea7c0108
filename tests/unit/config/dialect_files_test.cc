// Dialect files of a user's: read, checked, put in place of built-in ones, and pinned to sources.
#include "config/dialect_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "config/load.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kShop[] =
    "name: shop\n"
    "detect: [{app: [shop]}]\n"
    "fields: {msg: [text]}\n"
    "examples: [{line: '{\"app\":\"shop\"}', want: {event: plain}}]\n";

class DialectFiles : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const std::filesystem::path path = directory_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  static LoadedConfig load(const std::string& yaml) {
    return load_config(yaml, "runtail.yaml", [](const std::string&) { return std::nullopt; });
  }
  static std::vector<std::string> problems(const std::string& yaml) {
    std::vector<std::string> out;
    for (const ConfigProblem& problem : load(yaml).problems) out.push_back(to_string(problem));
    return out;
  }
  // What is wrong with one file, without its path.
  std::vector<std::string> faults(const std::string& text) {
    DialectsConfig config;
    config.files = {file("own.yaml", text)};
    std::vector<std::string> out;
    for (const DialectProblem& each : read_dialect_files(config)) {
      out.push_back(each.place.substr(each.place.rfind("own.yaml")) + ": " + each.key + ": " + each.message);
    }
    return out;
  }
  test::TempDir directory_;
};

std::vector<std::string> names_of(const std::vector<DialectSpec>& dialects) {
  std::vector<std::string> names;
  for (const DialectSpec& each : dialects) names.push_back(each.name);
  return names;
}

TEST_F(DialectFiles, OfADirectoryAllItsYamlFilesAreReadByName) {
  std::string other = kShop;
  other.replace(6, 4, "till");
  file("dialects/b.yaml", kShop);
  file("dialects/a.yml", other);
  file("dialects/.hidden.yaml", "[");
  file("dialects/README.md", "[");
  const LoadedConfig loaded = load("dialects: {files: [" + (directory_.path() / "dialects").string() + "]}\n");
  ASSERT_THAT(loaded.problems, IsEmpty());
  EXPECT_THAT(names_of(loaded.config.dialects.own), ElementsAre("till", "shop"));
  const std::vector<std::string> all = names_of(dialects_of(loaded.config.dialects));
  EXPECT_EQ(all.front(), "native");
  EXPECT_EQ(all.size(), built_in_dialects().size() + 2);
}

TEST_F(DialectFiles, OneWithTheNameOfABuiltInOneStandsInForIt) {
  std::string text = kShop;
  text.replace(6, 4, "dbt");
  const LoadedConfig loaded = load("dialects: {files: [" + file("dbt.yaml", text) + "]}\n");
  ASSERT_THAT(loaded.problems, IsEmpty());
  const std::vector<DialectSpec> all = dialects_of(loaded.config.dialects);
  EXPECT_EQ(all.size(), built_in_dialects().size());
  const auto dbt = std::find_if(all.begin(), all.end(), [](const DialectSpec& each) { return each.name == "dbt"; });
  ASSERT_NE(dbt, all.end());
  EXPECT_TRUE(dbt->tool->rules.empty());
}

TEST_F(DialectFiles, EveryMistakeOfEveryFileIsNamedAtOnceWithItsPlace) {
  const std::string broken = file("broken.yaml", "name: [x\n"), missing = (directory_.path() / "no.yaml").string();
  const std::string two = file("two.yaml",
                               "name: two\n"
                               "detect: [{app: presnt}]\n"
                               "fields: {tabel: [text]}\n"
                               "rules: [{event: run.finishd}]\n");
  const std::string first = file("first.yaml", kShop), again = file("again.yaml", kShop);
  EXPECT_THAT(
      problems("dialects:\n  files: [" + missing + ", " + broken + ", " + two + ", " + first + ", " + again + "]\n"),
      ElementsAre(AllOf(StartsWith("runtail.yaml:2:10: dialects.files[0]: "), HasSubstr("No such file")),
                  StartsWith(broken + ":2:1: not valid YAML"),
                  AllOf(StartsWith(two + ":2:16: detect[0].app: "), HasSubstr("did you mean \"present\"?")),
                  two + ":3:10: fields.tabel: no contract field \"tabel\" (did you mean \"table\"?)",
                  AllOf(StartsWith(two + ":4:17: rules[0].event: "), HasSubstr("did you mean \"run.finished\"?")),
                  StartsWith(two + ":1:1: examples: missing"),
                  again + ": name: \"shop\" is taken by " + first + "; rename one of them"));
}

TEST_F(DialectFiles, WhatWouldNeverWorkIsRefused) {
  const auto with = [&](const std::string& more) { return faults(kShop + more); };
  EXPECT_THAT(faults("name: native\nfields: {msg: [text]}\n"),
              ElementsAre(HasSubstr("native is the log contract, which no file replaces")));
  EXPECT_THAT(faults("name: text\n"), testing::Contains(HasSubstr("stands for lines no dialect claims")));
  EXPECT_THAT(faults("name: My Shop\n"), testing::Contains(HasSubstr("write 1 to 64 small letters")));
  EXPECT_THAT(faults("name: shop\n"), testing::Contains(HasSubstr("detect: missing")));
  EXPECT_THAT(faults("name: shop\ndetect: [{a: absent}]\nfields: {msg: [b]}\nexamples: [{line: x, want: {drop: ''}}]"),
              ElementsAre(HasSubstr("needs a member that is there")));
  EXPECT_THAT(
      faults("name: shop\ndetect: [{'a[0].b': present}]\nfields: {msg: [b]}\nexamples: [{line: x, want: {drop: ''}}]"),
      ElementsAre(HasSubstr("not into arrays")));
  EXPECT_THAT(with("order: -3"), ElementsAre(StartsWith("own.yaml:5:8: order: expected a number, 0 to 10000")));
  EXPECT_THAT(with("rules: [{when: {a: present}, drop: A-b}]"), ElementsAre(HasSubstr("small letters, digits or '_'")));
  EXPECT_THAT(with("rules: [{fields: {msg: ['a[1]']}}]"), ElementsAre(HasSubstr("write [0] for the first element")));
  EXPECT_THAT(with("rules: [{fields: {msg: ['a{b']}}]"), ElementsAre(HasSubstr("{key} for the value")));
  EXPECT_THAT(with("rules: [{fields: {msg: ['@.a']}}]"), ElementsAre(HasSubstr("the rule has no each")));
  EXPECT_THAT(with("rules: [{each: 'a[].b', fields: {msg: ['@^^.a']}}]"), ElementsAre(HasSubstr("goes out of 2")));
  EXPECT_THAT(with("rules: [{each: 'a[].b', fields: {msg: ['@^']}}]"), ElementsAre(HasSubstr("needs a member")));
  EXPECT_THAT(with("rules: [{each: 'a[].b', fields: {msg: ['@^.a', '@.c', '@']}}]"), IsEmpty());
  EXPECT_THAT(with("rules: [{each: 'a[0].b', fields: {msg: ['@.a']}}]"), ElementsAre(HasSubstr("[] behind each")));
  EXPECT_THAT(with("rules: [{event: run.finished, fields: {records_loaded: [{sum: 'a.'}]}}]"),
              ElementsAre(HasSubstr("write members with dots")));
  EXPECT_THAT(with("broken: ['\"']"), ElementsAre(HasSubstr("must begin with a quote and a member's name")));
  EXPECT_THAT(with("broken: ['\" sql\"']"), ElementsAre(HasSubstr("must begin with a quote and a member's name")));
  EXPECT_THAT(with("broken: ['\"sql\":']"), IsEmpty());
  EXPECT_THAT(with("contract: ."), IsEmpty());
  EXPECT_THAT(with("contract: .\nrules: [{when: {a: present}}]"), ElementsAre(HasSubstr("has none")));
  EXPECT_THAT(with("rules: [&r {when: {a: present}, also: [*r]}]"), ElementsAre(HasSubstr("is a part of itself")));
}

TEST_F(DialectFiles, MoreMembersThanALineIsSearchedForAreRefused) {
  std::string members;
  for (std::size_t i = 0; i < kDialectMembersMax; ++i) members += ", m" + std::to_string(i);
  EXPECT_THAT(faults(kShop + ("inner: [text" + members + "]\n")),
              ElementsAre(AllOf(HasSubstr("names 258 different members, at most 256"), StartsWith("own.yaml:1:1: "))));
}

TEST_F(DialectFiles, ASourceIsPinnedToADialectThereIs) {
  const std::string source = "sources: [{name: w, include: [/tmp/x.log], dialect: ";
  EXPECT_THAT(problems(source + "dbt}]\n"), IsEmpty());
  EXPECT_THAT(problems(source + "native}]\n"), IsEmpty());
  EXPECT_THAT(problems(source + "dtb}]\n"),
              ElementsAre("runtail.yaml:1:53: sources[0].dialect: no dialect \"dtb\" (did you mean \"dbt\"?); `runtail "
                          "check` lists them"));
  const std::string own = "dialects: {files: [" + file("shop.yaml", kShop) + "]}\n";
  EXPECT_THAT(problems(own + source + "shop}]\n"), IsEmpty());
  EXPECT_THAT(problems(source + "shop}]\n"), ElementsAre(HasSubstr("no dialect \"shop\"")));
  // It may be the name of the one that cannot be read.
  EXPECT_THAT(problems("dialects: {files: [/nowhere.yaml]}\n" + source + "shop}]\n"),
              ElementsAre(HasSubstr("dialects.files[0]")));
}

}  // namespace
}  // namespace runtail
