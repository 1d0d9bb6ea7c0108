#include "agent/file_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(NamesBeforeRotation, AreWhatLogrotateKubeletAndWorkersMakeNamesFrom) {
  for (const char* name :
       {"etl.log.1", "etl.log.12.gz", "etl.log-20260301", "etl.log-20260301.zst", "etl.log.2026-03-01_10", "etl.log.gz",
        "etl.log.2026-03-01T10:00:00Z", "etl-20260301.log", "etl.1.log", "etl-20260301-101112.log.gz"}) {
    const auto names = names_before_rotation(name);
    ASSERT_FALSE(names.empty()) << name;
    EXPECT_EQ(names[0], "etl.log") << name;
  }
  EXPECT_THAT(names_before_rotation("0.log.20260301-101112.gz"), testing::Contains("0.log"));
  EXPECT_THAT(names_before_rotation("etl-7-20260301.log"), ElementsAre("etl.log", "etl-7.log"));
  for (const char* name : {"etl.log", "0.log", "etl.log.bak", "etl2.log", "etl.log.", "1", ".1", "", "etl-v1x.log"}) {
    EXPECT_THAT(names_before_rotation(name), IsEmpty()) << name;
  }
}

class FileNamesTest : public testing::Test {
 protected:
  void make(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      std::filesystem::create_directories((dir_ / name).parent_path());
      std::ofstream(dir_ / name) << "x\n";
    }
  }
  // "etl.log" if live, "etl.log.1<etl.log" if it was rotated from that.
  std::vector<std::string> look(const std::string& include, std::vector<std::string> exclude = {}) {
    std::map<std::string, std::string> faults;
    std::vector<std::string> out;
    const std::size_t cut = dir_.path().string().size() + 1;
    for (std::string& each : exclude) each = (dir_ / each).string();
    for (const FoundName& each : FileNames({(dir_ / include).string()}, exclude).look(faults)) {
      out.push_back(each.path.substr(cut) + (each.log == each.path ? "" : "<" + each.log.substr(cut)));
      EXPECT_EQ(each.is_live, each.log == each.path) << each.path;
    }
    EXPECT_THAT(faults, IsEmpty());
    return out;
  }
  test::TempDir dir_;
};

TEST_F(FileNamesTest, RotatedSiblingsBelongToTheLog) {
  make({"etl.log", "etl.log.1", "etl.log.2.gz", "etl.log-20260301", "other.log", "other.log.1", "etl.log.bak",
        "etl.log.1.xz"});
  EXPECT_THAT(look("etl.log"), testing::UnorderedElementsAre("etl.log", "etl.log.1<etl.log", "etl.log.2.gz<etl.log",
                                                             "etl.log-20260301<etl.log"));
}

TEST_F(FileNamesTest, AnArchiveBesideTheRotatedFileItIsMadeFromIsNone) {
  make({"etl.log", "etl.log.gz", "etl.log.1", "etl.log.1.gz", "etl.log.2.zst"});
  EXPECT_THAT(look("etl.log"), testing::UnorderedElementsAre("etl.log", "etl.log.gz<etl.log", "etl.log.1<etl.log",
                                                             "etl.log.2.zst<etl.log"));
}

TEST_F(FileNamesTest, NumberedLogsAreLogsUnlessTheOneTheyCameFromIsThere) {
  make({"worker-1.log", "worker-2.log", "batch.log", "batch-1.log", "job-7.log", "job-7-20260301.log"});
  EXPECT_THAT(look("*.log"),
              testing::UnorderedElementsAre("worker-1.log", "worker-2.log", "batch.log", "batch-1.log<batch.log",
                                            "job-7.log", "job-7-20260301.log<job-7.log"));
}

TEST_F(FileNamesTest, APatternThatNamesRotatedFilesDoesNotMakeThemLive) {
  make({"etl.log", "etl.log.1"});
  EXPECT_THAT(look("etl.log*"), testing::UnorderedElementsAre("etl.log", "etl.log.1<etl.log"));
}

TEST_F(FileNamesTest, AStarDoesNotReachIntoDirectoriesNorHiddenFiles) {
  make({"a/etl.log", "b/etl.log", "b/c/etl.log", "a/.etl.log"});
  EXPECT_THAT(look("*/*.log"), testing::UnorderedElementsAre("a/etl.log", "b/etl.log"));
}

TEST_F(FileNamesTest, WhatIsExcludedIsLeftOutUnderEveryName) {
  make({"etl.log", "etl.log.1", "etl.log.2.gz", "debug.log", "debug.log.1"});
  EXPECT_THAT(look("*.log", {"debug*", "*.gz"}), testing::UnorderedElementsAre("etl.log", "etl.log.1<etl.log"));
  EXPECT_THAT(look("*.log", {"debug.log", "etl.log.2.gz"}),
              testing::UnorderedElementsAre("etl.log", "etl.log.1<etl.log"));
}

// By names and their times in milliseconds.
std::vector<std::string> oldest_first(const std::vector<std::pair<std::string, int>>& files) {
  std::vector<FoundName> names;
  for (const auto& [path, milliseconds] : files) {
    FoundName& name = names.emplace_back(FoundName{path, path.substr(0, path.find(".log") + 4), false, {}, {}});
    name.status.st_mtim = {milliseconds / 1000, milliseconds % 1000 * 1'000'000};
  }
  sort_oldest_first(names);
  std::vector<std::string> paths;
  for (const FoundName& name : names) paths.push_back(name.path);
  return paths;
}

TEST(FileNamesOrder, ByTimeAndWhereThatIsTheSameByNumber) {
  using testing::ElementsAre;
  EXPECT_THAT(oldest_first({{"a.log.1", 3000}, {"a.log.2", 1000}, {"a.log.3", 2000}}),
              ElementsAre("a.log.2", "a.log.3", "a.log.1"));
  EXPECT_THAT(oldest_first({{"a.log.1", 5}, {"a.log.2", 5}, {"a.log.10", 5}, {"a.log.9", 5}}),
              ElementsAre("a.log.10", "a.log.9", "a.log.2", "a.log.1"))
      << "1 is the youngest";
  EXPECT_THAT(oldest_first({{"a.log.7", 4}, {"a.log.8", 9}, {"a.log.9", 9}, {"a.log.10", 9}}),
              ElementsAre("a.log.7", "a.log.8", "a.log.9", "a.log.10"))
      << "numbers that grow";
  EXPECT_THAT(
      oldest_first(
          {{"a.log-20260301", 4}, {"a.log-20260302", 8}, {"a.log-20260303", 8}, {"b.log.1", 8}, {"b.log.2", 8}}),
      ElementsAre("a.log-20260301", "a.log-20260302", "a.log-20260303", "b.log.2", "b.log.1"))
      << "each log for itself";
}

TEST_F(FileNamesTest, PatternsRelativeToTheWorkingDirectory) {
  make({"etl.log", "etl.log.1"});
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  std::map<std::string, std::string> faults;
  for (const char* pattern : {"etl.log", "./etl.log"}) {
    EXPECT_EQ(FileNames({pattern}, {}).look(faults).size(), 2u) << pattern;
  }
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace runtail
