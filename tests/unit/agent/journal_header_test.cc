// The first bytes of journal files, as systemd-journal-remote writes them and as they are when damaged.
#include "agent/journal_header.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/journal_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace runtail::test {
namespace {

TEST(JournalHeader, SaysNumbersAndLastTimeOfEachFile) {
  const TempDir directory;
  const std::int64_t began = JournalFile::an_hour_ago();
  std::filesystem::create_directory(directory / "machine");
  {
    JournalFile file(directory / "machine/a.journal", '1', began);
    for (int i = 1; i <= 3; ++i) file.append({"x", "etl.service", "1", {}, i * 1'000'000});
  }
  const auto ranges = journal_ranges(directory.path());
  ASSERT_FALSE(ranges.empty());
  for (const JournalRange& file : ranges) {
    EXPECT_EQ(file.path, directory / "machine/a.journal");
    EXPECT_EQ(file.first, 1u);
    EXPECT_EQ(file.last, 3u);
    EXPECT_EQ(file.count, 3u);
    EXPECT_EQ(file.last_at, from_micros(began + 3'000'000));
    EXPECT_EQ(file.numbering, ranges[0].numbering);
    EXPECT_NE(file.numbering, Numbering{});
  }
}

TEST(JournalHeader, AFileWithoutEntriesSaysTheNumberToCome) {
  const TempDir directory;
  const JournalFile file(directory / "a.journal");
  std::vector<JournalRange> ranges;  // its header is written a moment after it is made
  ASSERT_TRUE(wait_until([&] { return !(ranges = journal_ranges(directory.path())).empty(); }));
  EXPECT_EQ(ranges[0].first, 1u);
  EXPECT_EQ(ranges[0].count, 0u);
  EXPECT_EQ(ranges[0].last_at, TimePoint::max());
}

TEST(JournalHeader, WhatIsNoJournalFileIsLeftOut) {
  const TempDir directory;
  std::ofstream(directory / "short.journal") << "LPKSHHRH";
  std::ofstream(directory / "other.journal") << std::string(4096, 'x');
  std::ofstream(directory / "zero.journal") << "LPKSHHRH" << std::string(144, '\0') << "\1" << std::string(400, '\0');
  std::ofstream(directory / "empty.journal");
  std::filesystem::create_directory(directory / "directory.journal");
  EXPECT_TRUE(journal_ranges(directory.path()).empty());
  EXPECT_TRUE(journal_ranges(directory / "nowhere").empty());
}

}  // namespace
}  // namespace runtail::test
