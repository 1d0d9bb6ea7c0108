// The files themselves: short enough to read, speaking of runtail alone, scripts that parse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/house/source_tree.h"

namespace runtail::house {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kLinesMax = 600;

// Spelled in two parts, or this file would be the first to hold them. A path counts where it starts, so that
// /var/lib/work/x is nobody's machine.
const std::string kMachinePaths[] = {std::string("/wo") + "rk/", std::string("/ro") + "ot/",
                                     std::string("../sh") + "ared"};
const std::string kUnfinished[] = {std::string("TO") + "DO", std::string("FIX") + "ME"};

bool is_source(std::string_view path) {
  return ends_with_any(path, {".h", ".cc", ".py", ".sh", ".sql", ".cmake", "CMakeLists.txt"});
}

bool is_text(const SourceFile& file) { return file.text.find('\0') == std::string::npos; }

bool holds_path(std::string_view line, std::string_view path) {
  for (std::size_t at = line.find(path); at != std::string_view::npos; at = line.find(path, at + 1)) {
    if (at == 0 || std::string_view("\"'`=(:< \t").find(line[at - 1]) != std::string_view::npos) return true;
  }
  return false;
}

std::vector<std::string> violations_of(const SourceFile& file) {
  std::vector<std::string> found;
  if (!is_text(file)) return found;
  const std::vector<std::string> lines = lines_of(file.text);
  if (is_source(file.path) && lines.size() > kLinesMax) {
    found.push_back(file.path + ": " + std::to_string(lines.size()) + " lines, more than " + std::to_string(kLinesMax) +
                    ": split it by noun");
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string place = file.path + ":" + std::to_string(i + 1) + ": ";
    for (const std::string& path : kMachinePaths) {
      if (holds_path(lines[i], path)) found.push_back(place + "names a path of one machine: " + path);
    }
    for (const std::string& mark : kUnfinished) {
      if (is_source(file.path) && lines[i].find(mark) != std::string::npos) found.push_back(place + "says " + mark);
    }
  }
  if (file.path.ends_with(".h") && file.text.find("#pragma once") == std::string::npos) {
    found.push_back(file.path + ": no #pragma once");
  }
  return found;
}

TEST(Files, TheTreeKeepsTheHouseRules) {
  std::vector<std::string> found;
  std::size_t sources = 0;
  for (const SourceFile& file : read_source_tree(RUNTAIL_SOURCE_DIR)) {
    sources += is_source(file.path);
    for (std::string& violation : violations_of(file)) found.push_back(std::move(violation));
  }
  EXPECT_THAT(found, IsEmpty());
  EXPECT_GT(sources, 50u);
}

TEST(Files, EachRuleSeesItsCase) {
  EXPECT_THAT(violations_of({"core/a.cc", std::string(601, '\n')}), ElementsAre(HasSubstr("601 lines")));
  EXPECT_THAT(violations_of({"core/a.cc", std::string(600, '\n')}), IsEmpty());
  EXPECT_THAT(violations_of({"docs/a.md", "see `" + kMachinePaths[0] + "main`\n"}), SizeIs(1));
  EXPECT_THAT(violations_of({"docs/a.md", "/srv" + kMachinePaths[0] + "x\n"}), IsEmpty());
  EXPECT_THAT(violations_of({"core/a.h", "// A.\n#pragma once\n// " + kUnfinished[0] + "\n"}), SizeIs(1));
  EXPECT_THAT(violations_of({"core/a.h", "// A.\n"}), ElementsAre(HasSubstr("#pragma once")));
}

TEST(Files, WhatAStrangerLooksForIsThere) {
  namespace fs = std::filesystem;
  const fs::path root = RUNTAIL_SOURCE_DIR;
  for (const char* name :
       {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "demo.sh",
        "test.sh", ".ci/run", "config/runtail.yaml", "systemd/runtail.service", "packaging/debian-packages.txt"}) {
    EXPECT_TRUE(fs::exists(root / name)) << name;
  }
}

TEST(Files, EveryScriptParsesAndCanBeStarted) {
  namespace fs = std::filesystem;
  const fs::path root = RUNTAIL_SOURCE_DIR;
  std::size_t scripts = 0;
  for (const SourceFile& file : read_source_tree(root)) {
    if (!file.text.starts_with("#!/usr/bin/env bash")) continue;
    ++scripts;
    const fs::path path = root / file.path;
    EXPECT_NE(fs::status(path).permissions() & fs::perms::owner_exec, fs::perms::none) << file.path;
    EXPECT_THAT(file.text, HasSubstr("set -euo pipefail")) << file.path;
    EXPECT_EQ(std::system(("bash -n '" + path.string() + "'").c_str()), 0) << file.path;
  }
  EXPECT_GE(scripts, 4u);
}

TEST(Files, ThePackageListNamesEachPackageOnceInASection) {
  std::set<std::string> seen;
  std::string section;
  for (const std::string& line :
       lines_of(read_text(std::filesystem::path(RUNTAIL_SOURCE_DIR) / "packaging/debian-packages.txt"))) {
    if (line.empty() || line.starts_with("#")) continue;
    if (line.starts_with("[")) {
      section = line;
      continue;
    }
    EXPECT_FALSE(section.empty()) << line << " stands before the first section";
    EXPECT_TRUE(seen.insert(section + line).second) << line << " twice in " << section;
    EXPECT_EQ(line.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.+-| "), std::string::npos) << line;
  }
  EXPECT_TRUE(seen.contains("[build]g++"));
}

}  // namespace
}  // namespace runtail::house
