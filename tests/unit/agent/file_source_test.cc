#include "agent/file_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
namespace fs = std::filesystem;

// Bytes as verbs; the clock turned by hand; a restart keeps what a commit would have kept.
class FileSourceTest : public testing::Test {
 protected:
  FileSourceTest() { restart(); }

  void restart() {
    settings_.source.name = "etl";
    settings_.source.stream = "agent/etl";
    settings_.source.include = {(dir_.path() / "etl.log").string()};
    settings_.ignore_older = std::chrono::hours(24 * 7);
    std::vector<Position> positions;
    for (const auto& [file, position] : durable_) positions.push_back(position);
    source_ = std::make_unique<FileSource>(settings_, positions, buffer_, metrics_);
  }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_.path() / name, std::ios::app | std::ios::binary) << bytes;
  }
  void rewrite(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_.path() / name, std::ios::binary) << bytes;
  }
  void rename(const std::string& from, const std::string& to) { fs::rename(dir_.path() / from, dir_.path() / to); }
  void wait(std::chrono::seconds time) { now_ += time; }

  // Everything there is to read; what is read is durable.
  std::vector<std::string> read_all() {
    std::vector<std::string> lines;
    for (int looks = 0; looks < 3; ++looks) {
      source_->scan(now_);
      while (const auto block = source_->read(now_)) {
        for (const Line& line : block->lines)
          lines.push_back(line.too_long ? "(" + std::to_string(line.length) + " bytes)" : std::string(line.bytes));
        EXPECT_EQ(block->covers.to, block->position.emitted);
        EXPECT_TRUE(covered_.insert({block->position.file, block->covers.from}).second) << "a range was read twice";
        durable_[block->position.file] = block->position;
      }
    }
    return lines;
  }
  double lost() { return metrics_.value(Metric::kLostBytesTotal, {"etl", "truncated"}); }

  test::TempDir dir_;
  ReadBuffer buffer_{1 << 16};
  FileSourceSettings settings_{{}, HashKey{}, 1 << 16, std::chrono::hours(24), {}};
  MetricTable metrics_{100};
  SystemClock clock_;
  TimePoint now_ = clock_.now();
  std::map<FileIdentity, Position> durable_;
  std::set<std::pair<FileIdentity, std::uint64_t>> covered_;
  std::unique_ptr<FileSource> source_;
};

TEST_F(FileSourceTest, ReadsWholeLinesAndWaitsForTheRestOfALine) {
  write("etl.log", "one\ntw");
  EXPECT_THAT(read_all(), ElementsAre("one"));
  write("etl.log", "o\n");
  EXPECT_THAT(read_all(), ElementsAre("two"));
  EXPECT_THAT(read_all(), IsEmpty());
}

TEST_F(FileSourceTest, RenameAndCreateFinishesTheOldFileToo) {
  write("etl.log", "one\n");
  EXPECT_THAT(read_all(), ElementsAre("one"));
  rename("etl.log", "etl.log.1");
  write("etl.log.1", "late\n");
  write("etl.log", "two\n");
  EXPECT_THAT(read_all(), testing::UnorderedElementsAre("late", "two"));
}

TEST_F(FileSourceTest, AfterARestartNothingIsReadTwiceWhateverItsName) {
  write("etl.log", "one\ntwo\n");
  read_all();
  rename("etl.log", "etl.log.2");
  write("etl.log.2", "three\n");
  write("etl.log", "four\n");
  restart();
  EXPECT_THAT(read_all(), testing::UnorderedElementsAre("three", "four"));
}

TEST_F(FileSourceTest, EqualHeadsAreToldApart) {
  write("etl.log", "head\none\n");
  read_all();
  rename("etl.log", "etl.log.1");
  write("etl.log", "head\ntwo\n");
  EXPECT_THAT(read_all(), ElementsAre("head", "two"));
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", "three\n");
  EXPECT_THAT(read_all(), ElementsAre("three"));
}

TEST_F(FileSourceTest, TruncationStartsAnewAndCountsWhatWasSeenAndNotRead) {
  write("etl.log", "one\ntwo\n");
  read_all();
  write("etl.log", "unfinished");
  read_all();
  rewrite("etl.log", "new\n");
  EXPECT_THAT(read_all(), ElementsAre("new"));
  EXPECT_EQ(lost(), 10);
}

TEST_F(FileSourceTest, ARewriteOfTheSameHeadIsAnotherFile) {
  write("etl.log", "head\none\n");
  read_all();
  rewrite("etl.log", "head\n");
  EXPECT_THAT(read_all(), ElementsAre("head"));
  write("etl.log", "two\n");
  EXPECT_THAT(read_all(), ElementsAre("two"));
}

TEST_F(FileSourceTest, ARewriteThatIsAlreadyLongerIsSeenByItsBytes) {
  write("etl.log", "one\n");
  read_all();
  rewrite("etl.log", "uno\ndue\ntre\n");
  EXPECT_THAT(read_all(), ElementsAre("uno", "due", "tre"));
}

TEST_F(FileSourceTest, ARewriteToTheSameLengthIsSeen) {
  write("etl.log", "one\n");
  read_all();
  read_all();
  rewrite("etl.log", "two\n");
  fs::last_write_time(dir_.path() / "etl.log", fs::file_time_type::clock::now() + std::chrono::seconds(2));
  EXPECT_THAT(read_all(), ElementsAre("two"));
}

TEST_F(FileSourceTest, ACopyBesideTheLiveFileIsNotReadAgain) {
  write("etl.log", "one\ntwo\n");
  read_all();
  fs::copy_file(dir_.path() / "etl.log", dir_.path() / "etl.log.1");
  EXPECT_THAT(read_all(), IsEmpty());
  rewrite("etl.log", "");
  write("etl.log", "three\n");
  EXPECT_THAT(read_all(), ElementsAre("three"));
}

TEST_F(FileSourceTest, WhatACopytruncateCutOffIsReadFromTheCopy) {
  write("etl.log", "one\n");
  read_all();
  write("etl.log", "two\n");
  fs::copy_file(dir_.path() / "etl.log", dir_.path() / "etl.log.1");
  rewrite("etl.log", "");
  write("etl.log", "3\n");
  EXPECT_THAT(read_all(), testing::UnorderedElementsAre("two", "3"));
}

TEST_F(FileSourceTest, TheUnfinishedLastLineOfARotatedFileIsTakenAsItStands) {
  write("etl.log", "one\ncut off");
  read_all();
  rename("etl.log", "etl.log.1");
  write("etl.log", "two\n");
  EXPECT_THAT(read_all(), ElementsAre("two"));
  wait(std::chrono::seconds(60));
  EXPECT_THAT(read_all(), ElementsAre("cut off"));
  wait(std::chrono::seconds(60));
  EXPECT_THAT(read_all(), IsEmpty());
}

TEST_F(FileSourceTest, AFileDeletedWhileOpenIsReadToItsEnd) {
  write("etl.log", "one\n");
  read_all();
  write("etl.log", "two\nthree");
  fs::remove(dir_.path() / "etl.log");
  EXPECT_THAT(read_all(), ElementsAre("two"));
  wait(std::chrono::seconds(60));
  EXPECT_THAT(read_all(), ElementsAre("three"));
}

TEST_F(FileSourceTest, ARestingFileIsClosedAndOpenedAgainWhenItGrows) {
  write("etl.log", "one\n");
  read_all();
  EXPECT_FALSE(source_->has_resting());
  wait(std::chrono::minutes(10));
  read_all();
  EXPECT_TRUE(source_->has_resting());
  write("etl.log", "two\n");
  EXPECT_THAT(read_all(), ElementsAre("two"));
}

TEST_F(FileSourceTest, ALineTooLongIsOneMarkAndItsNeighboursArrive) {
  write("etl.log", "one\n" + std::string(200'000, 'x') + "\ntwo\n");
  EXPECT_THAT(read_all(), ElementsAre("one", "(200001 bytes)", "two"));
}

TEST_F(FileSourceTest, ATooLongFirstLineDoesNotChangeWhichFileItIs) {
  write("etl.log", std::string(200'000, 'x'));
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", "\ntwo\n");
  EXPECT_THAT(read_all(), ElementsAre("(200001 bytes)", "two"));
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
}

TEST_F(FileSourceTest, TruncationInsideATooLongLineSwallowsNothing) {
  write("etl.log", "one\n" + std::string(200'000, 'x'));
  EXPECT_THAT(read_all(), ElementsAre("one"));
  rewrite("etl.log", "a\nb\n");
  EXPECT_THAT(read_all(), ElementsAre("a", "b"));
}

TEST_F(FileSourceTest, CompressedFilesAreLeftAlone) {
  settings_.source.include = {(dir_.path() / "*").string()};
  write("etl.log", "one\n");
  write("etl.log.2.gz", "\x1f\x8b\n");
  source_ = std::make_unique<FileSource>(settings_, std::vector<Position>{}, buffer_, metrics_);
  EXPECT_THAT(read_all(), ElementsAre("one"));
}

TEST_F(FileSourceTest, FilesOlderThanTheLimitAreNotRead) {
  write("etl.log", "one\n");
  wait(std::chrono::hours(24 * 30));
  EXPECT_THAT(read_all(), IsEmpty());
}

// Random writes, rotations, copies, truncations and restarts against a list of what was written.
TEST_F(FileSourceTest, AnyMixOfWritesRotationsAndRestartsGivesEachLineOnce) {
  const std::uint64_t seed = test::seed();
  std::mt19937_64 random(seed);
  const int histories = static_cast<int>(test::by_scale(300, 10'000));
  for (int history = 0; history < histories; ++history) {
    for (const auto& entry : fs::directory_iterator(dir_.path())) fs::remove(entry);
    durable_.clear();
    covered_.clear();
    restart();
    std::vector<std::string> written, read;
    int number = 0, rotated = 0;
    const auto collect = [&] {
      for (std::string& line : read_all()) read.push_back(std::move(line));
    };
    for (int step = 0; step < 40; ++step) {
      switch (random() % 8) {
        case 0:
          if (fs::exists(dir_.path() / "etl.log")) rename("etl.log", "etl.log." + std::to_string(++rotated));
          break;
        case 1:
          restart();
          break;
        case 2:
          collect();
          break;
        case 3:
          // All is read before a truncation: what is written between is lost by nature.
          collect();
          if (fs::exists(dir_.path() / "etl.log")) {
            if (random() % 2)
              fs::copy_file(dir_.path() / "etl.log", dir_.path() / ("etl.log." + std::to_string(++rotated)));
            collect();
            rewrite("etl.log", "");
            collect();
          }
          break;
        default:
          // Equal heads on purpose.
          if (!fs::exists(dir_.path() / "etl.log") || fs::file_size(dir_.path() / "etl.log") == 0) {
            write("etl.log", "head\n");
            written.push_back("head");
          }
          for (int n = 0; n < 1 + static_cast<int>(random() % 5); ++n) {
            written.push_back("line " + std::to_string(number++));
            write("etl.log", written.back() + "\n");
          }
          break;
      }
    }
    collect();
    wait(std::chrono::seconds(60));
    collect();
    std::sort(written.begin(), written.end());
    std::sort(read.begin(), read.end());
    ASSERT_EQ(read, written) << "history " << history << ", seed " << seed;
  }
}

}  // namespace
}  // namespace runtail
