// Bounds: descriptors, deleted files, long lines, files that shrink.
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/agent/file_scene.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
namespace fs = std::filesystem;

class FileSourceLimitsTest : public test::FileScene {
 protected:
  void follow(std::size_t open_files_max) {
    settings_.source.include = {path("*.log").string()};
    settings_.open_files_max = open_files_max;
    restart();
  }
  static std::string name(int i) { return "w" + std::to_string(i) + "x.log"; }
};

TEST_F(FileSourceLimitsTest, MoreFilesThanMayBeOpenTakeTurns) {
  follow(8);
  for (int i = 0; i < 100; ++i) write(name(i), "head\nline " + std::to_string(i) + "\n");
  Texts texts;
  for (int second = 0; second < 40; ++second) {
    source_->scan(now_);
    for (std::string& text : read()) texts.push_back(std::move(text));
    EXPECT_LE(open_files(), 8u);
    wait(1s);
  }
  EXPECT_EQ(texts.size(), 200u);
  EXPECT_FALSE(source_->due()) << "nothing that would keep the loop awake";
  for (int i = 0; i < 100; i += 9) write(name(i), "more\n");
  EXPECT_EQ(read_for(10s).size(), 12u);
}

TEST_F(FileSourceLimitsTest, FilesWithoutAWholeLineDoNotKeepOthersOut) {
  follow(4);
  for (int i = 0; i < 10; ++i) write(name(i), i % 2 ? "" : "unfinished " + std::to_string(i));
  for (int i = 10; i < 20; ++i) write(name(i), "line " + std::to_string(i) + "\nunfinished");
  write("z.log", "last\n");
  EXPECT_EQ(read_for(30s).size(), 11u);
  for (int i = 0; i < 20; ++i) write(name(i), std::to_string(i) + "\n");
  EXPECT_EQ(read_for(30s).size(), 20u);
}

TEST_F(FileSourceLimitsTest, AnUnfinishedLineIsNotForgottenWhileItsFileRests) {
  follow(2);
  for (int i = 0; i < 6; ++i) write(name(i), std::to_string(i) + "\nrest " + std::to_string(i));
  EXPECT_EQ(read_for(10s).size(), 6u);
  rename(name(0), name(0) + ".1");
  EXPECT_THAT(read_for(60s), ElementsAre("rest 0"));
  remove(name(1));
  EXPECT_THAT(read_for(60s), IsEmpty());
  const double taken = lost("deleted");
  EXPECT_TRUE(taken == 6 || taken == 0) << taken;  // 0: it was open and taken as it stood
}

TEST_F(FileSourceLimitsTest, EmptyFilesThatAreDeletedAreLetGo) {
  follow(512);
  for (int i = 0; i < 20; ++i) write(name(i), "");
  read_all();
  for (int i = 0; i < 20; ++i) remove(name(i));
  read_for(60s);
  EXPECT_EQ(open_files(), 0u);
}

TEST_F(FileSourceLimitsTest, ADeletedFileIsReadAndLetGoWithinAMinute) {
  for (const bool is_finished : {true, false}) {
    write("etl.log", "one\n");
    read_all();
    write("etl.log", is_finished ? "two\n" : "two");
    remove("etl.log");
    EXPECT_THAT(read_for(60s), ElementsAre("two"));
    EXPECT_EQ(open_files(), 0u);
  }
  EXPECT_EQ(lost("deleted"), 0);
}

TEST_F(FileSourceLimitsTest, ADirectoryThatCannotBeListedKeepsNoOthersOpen) {
  settings_.source.include = {path("a/*.log").string(), path("b/*.log").string()};
  restart();
  fs::create_directory(path("a"));
  fs::create_directory(path("b"));
  write("a/etl.log", "one\n");
  read_all();
  fs::remove(path("b"));
  fs::create_symlink(path("nowhere"), path("b"));
  remove("a/etl.log");
  read_for(60s);
  EXPECT_EQ(open_files(), 0u);
}

TEST_F(FileSourceLimitsTest, ACutOfAFileThatRestsIsNamed) {
  write("etl.log", "one\ntwo\nunfin");
  EXPECT_EQ(read_all(), (Texts{"one", "two"}));
  write("other.log", "x\n");
  settings_.open_files_max = 1;
  settings_.source.include = {path("*.log").string()};
  restart();
  EXPECT_THAT(read_for(3s), ElementsAre("x"));
  ASSERT_EQ(open_files(), 1u);
  rewrite("etl.log", "three\n");
  EXPECT_THAT(read_for(3s), ElementsAre("three"));
  EXPECT_EQ(metrics_.value(Metric::kTruncationsUnaccountedTotal, {"etl"}), 1);
  EXPECT_EQ(lost(), 5);
}

TEST_F(FileSourceLimitsTest, ACutBeforeAnybodyReadIsNamedAndCounted) {
  write("etl.log", "one\n");
  source_->scan(now_);  // and nobody reads: the buffer is full
  write("etl.log", "two\n");
  source_->scan(now_);
  rewrite("etl.log", "3\n");
  EXPECT_THAT(read_all(), ElementsAre("3"));
  EXPECT_EQ(lost(), 8);
  EXPECT_EQ(metrics_.value(Metric::kTruncationsUnaccountedTotal, {"etl"}), 1);
  rename("etl.log", "etl.log.1");
  write("etl.log", "four\n");
  source_->scan(now_);
  copy("etl.log", "etl.log.2");
  rewrite("etl.log", "5\n");
  EXPECT_THAT(read_for(10s), UnorderedElementsAre("four", "5"));
  EXPECT_EQ(lost(), 8) << "the copy has it";
}

TEST_F(FileSourceLimitsTest, WhatWasWrittenWhileWeWereAwayIsNotTooOld) {
  const auto age = [&](const std::string& name, std::chrono::hours hours) {
    fs::last_write_time(path(name), fs::file_time_type::clock::now() - hours);
  };
  write("etl.log.3", "before the first start\n");
  age("etl.log.3", 24h * 30);
  now_ = clock_.now() - 24h * 12;
  write("etl.log", "one\n");
  age("etl.log", 24h * 12 - 1h);
  restart();
  EXPECT_EQ(read_all(), (Texts{"one"}));
  source_.reset();
  rename("etl.log", "etl.log.2");
  write("etl.log.1", "two\n");
  age("etl.log.1", 24h * 9);
  write("etl.log", "three\n");
  now_ = clock_.now();
  restart();
  EXPECT_THAT(read_all(), ElementsAre("two", "three"));
}

TEST_F(FileSourceLimitsTest, ManyArchivesAreUnpackedOneByOne) {
  const std::string text(700'000, 'x');
  for (int i = 10; i < 18; ++i) {
    const std::string name = "etl.log." + std::to_string(i);
    for (int part = 0; part < 3; ++part) write(name, std::to_string(i) + text + "\n");
    pack(name, i % 2 == 0 ? ".gz" : ".zst");
  }
  settings_.line_bytes_max = 1 << 20;
  buffer_ = std::make_shared<ReadBuffer>(1 << 20);
  restart();
  const Texts texts = read_all();
  ASSERT_EQ(texts.size(), 24u);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(texts[i].substr(0, 2), texts[i / 3 * 3].substr(0, 2)) << "the lines of one archive come together";
  }
}

TEST_F(FileSourceLimitsTest, DeletedFilesAreHeldUpToTheLimitAndTheRestIsCounted) {
  settings_.source.max_unread_deleted_bytes = 25'000;
  restart();
  for (int i = 0; i < 4; ++i) {
    write("etl.log", "head " + std::to_string(i) + "\n");
    read_all();
    write("etl.log", std::string(9'999, static_cast<char>('a' + i)) + "\n");
    remove("etl.log");
    source_->scan(now_);  // and nobody reads: the buffer is full
  }
  EXPECT_EQ(lost("deleted"), 0) << "each was read before the next came";
  for (int i = 4; i < 8; ++i) {
    write("etl.log", "head " + std::to_string(i) + "\n" + std::string(9'993, static_cast<char>('a' + i)) + "\n");
    source_->scan(now_);
    remove("etl.log");
    source_->scan(now_);
  }
  const double lost_bytes = lost("deleted");
  EXPECT_GT(lost_bytes, 0);
  const Texts texts = read_all();
  double kept = 0;
  for (const std::string& text : texts) kept += static_cast<double>(text.size() + 1);
  EXPECT_LE(kept, 25'000);
  EXPECT_EQ(kept + lost_bytes, 10'000 + 4 * 10'001);
}

TEST_F(FileSourceLimitsTest, AHugeLineAndAFileOfNulsAreOneMarkEach) {
  const std::uint64_t huge = 300 << 20;
  for (const bool has_end : {true, false}) {
    write("etl.log", has_end ? "one\n" : "uno\n");
    read_all();
    fs::resize_file(path("etl.log"), huge);  // a hole: NULs
    if (has_end) write("etl.log", "\ntwo\n");
    rename("etl.log", "etl.log.1");
    const std::string next = has_end ? "next" : "another";
    write("etl.log", next + "\n");
    Texts texts = read_for(60s);
    EXPECT_THAT(texts, testing::Contains(next));
    EXPECT_THAT(texts, testing::Contains("(" + std::to_string(huge - 4 + has_end) + " bytes)"));
    EXPECT_EQ(texts.size(), has_end ? 3u : 2u);
    remove("etl.log");
    remove("etl.log.1");
    read_for(60s);
  }
}

TEST_F(FileSourceLimitsTest, AHugeLineDoesNotKeepOthersWaiting) {
  settings_.source.include = {path("*.log").string()};
  restart();
  write("a.log", "one\n");
  fs::resize_file(path("a.log"), 300 << 20);
  write("b.log", "two\n");
  source_->scan(now_);
  EXPECT_THAT(read(), UnorderedElementsAre("one", "two"));
}

TEST_F(FileSourceLimitsTest, AFileThatShrinksWhileItIsReadStartsAnew) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += std::to_string(i) + "\n";
  write("etl.log", text);
  source_->scan(now_);
  const Texts first = read(1);
  std::uint64_t had = 0;
  for (const std::string& each : first) had += each.size() + 1;
  ASSERT_LT(had, text.size());
  fs::resize_file(path("etl.log"), 100);
  const Texts after = read_all();
  ASSERT_FALSE(after.empty());
  EXPECT_EQ(after.front(), "0") << "what is there now is another file";
  EXPECT_EQ(lost(), static_cast<double>(text.size() - had));
}

TEST_F(FileSourceLimitsTest, ACutThatIsLongerAgainCountsWhatWasSeenAndNotRead) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += std::to_string(i) + "\n";
  write("etl.log", text);
  source_->scan(now_);
  std::uint64_t had = 0;
  for (const std::string& each : read(1)) had += each.size() + 1;
  rewrite("etl.log", "new\n" + std::string(3 << 20, 'x') + "\n");
  source_->scan(now_);
  read_all();
  EXPECT_EQ(lost(), static_cast<double>(text.size() - had));
}

}  // namespace
}  // namespace runtail
