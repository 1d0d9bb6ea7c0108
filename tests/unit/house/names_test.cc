// One name, one type: two types of one name in one namespace are one to the linker, which takes the destructor of
// either for both. No compiler says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/house/source_tree.h"

namespace runtail::house {
namespace {

// "runtail::pg_text::Name" -> the files that define it; not those of unnamed namespaces, and none inside of a type.
std::map<std::string, std::set<std::string>> types_of(const std::vector<SourceFile>& files) {
  static const std::regex kSpace(R"(^namespace ([\w:]+) \{$)"), kSpaceEnd(R"(^\}  // namespace ([\w:]+)$)");
  static const std::regex kType(R"(^(?:struct|class|enum class) (\w+)(?: final)?(?: : [^;{]*)? \{)");
  std::map<std::string, std::set<std::string>> types;
  for (const SourceFile& file : files) {
    if (!ends_with_any(file.path, {".h", ".cc"}) || file.path.starts_with("tests/")) continue;
    std::vector<std::string> spaces;
    bool is_unnamed = false;
    for (const std::string& line : lines_of(file.text)) {
      std::smatch match;
      if (line == "namespace {") {
        is_unnamed = true;
      } else if (line == "}  // namespace") {
        is_unnamed = false;
      } else if (std::regex_match(line, match, kSpace)) {
        spaces.push_back(match[1]);
      } else if (std::regex_match(line, match, kSpaceEnd) && !spaces.empty()) {
        spaces.pop_back();
      } else if (!is_unnamed && std::regex_search(line, match, kType)) {
        std::string name;
        for (const std::string& space : spaces) name += space + "::";
        types[name + match[1].str()].insert(file.path);
      }
    }
  }
  return types;
}

std::vector<std::string> defined_twice(const std::vector<SourceFile>& files) {
  std::vector<std::string> found;
  for (const auto& [name, paths] : types_of(files)) {
    if (paths.size() < 2) continue;
    std::string text = name + ":";
    for (const std::string& path : paths) text += " " + path;
    found.push_back(text);
  }
  return found;
}

TEST(NamesTest, ATypeIsDefinedInOneFile) {
  const auto files = read_source_tree(RUNTAIL_SOURCE_DIR);
  EXPECT_GT(types_of(files).size(), 300u);
  EXPECT_THAT(defined_twice(files), testing::IsEmpty());
}

TEST(NamesTest, TwoTypesOfOneNameAreSeenUnlessTheirNamespacesDiffer) {
  const std::string begin = "namespace runtail {\n", end = "}  // namespace runtail\n";
  const SourceFile one{"a/one.h", begin + "struct Cursor {\n};\n" + end},
      same{"b/two.h", begin + "class Cursor final : public Base {\n};\n" + end},
      other{"b/three.h", begin + "namespace b {\nstruct Cursor {\n};\n}  // namespace b\n" + end},
      hidden{"b/four.cc", begin + "namespace {\nstruct Cursor {\n};\n}  // namespace\n" + end},
      nested{"b/five.h", begin + "class Other {\n  struct Cursor {\n  };\n};\nstruct Other::Cursor {\n};\n" + end};
  EXPECT_THAT(defined_twice({one, other, hidden, nested}), testing::IsEmpty());
  EXPECT_THAT(defined_twice({one, same}), testing::ElementsAre("runtail::Cursor: a/one.h b/two.h"));
}

}  // namespace
}  // namespace runtail::house
