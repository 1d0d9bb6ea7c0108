#include "agent/file_source.h"

#include "tests/unit/agent/file_scene.h"

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

using FileSourceTest = test::FileScene;

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
  EXPECT_THAT(read_all(), UnorderedElementsAre("late", "two"));
}

TEST_F(FileSourceTest, AfterARestartNothingIsReadTwiceWhateverItsName) {
  write("etl.log", "one\ntwo\n");
  read_all();
  rename("etl.log", "etl.log.2");
  write("etl.log.2", "three\n");
  write("etl.log", "four\n");
  restart();
  EXPECT_THAT(read_all(), UnorderedElementsAre("three", "four"));
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

TEST_F(FileSourceTest, ACopyThatLacksTheLastLinesReadBeforeTheCutIsNotReadAgain) {
  write("etl.log", "one\ntwo\n");
  EXPECT_EQ(read_all(), (Texts{"one", "two"}));
  copy("etl.log", "etl.log.1");
  write("etl.log", "three\n");
  EXPECT_EQ(read_all(), (Texts{"three"}));
  rewrite("etl.log", "four\n");
  EXPECT_EQ(read_for(30s), (Texts{"four"}));
  EXPECT_EQ(lost(), 0);
}

TEST_F(FileSourceTest, AFileThatBeginsLikeTheOneThatWasCutIsReadAsItself) {
  write("etl.log", "one\n");
  EXPECT_EQ(read_all(), (Texts{"one"}));
  write("etl.log", "two\n");
  EXPECT_EQ(read_all(), (Texts{"two"}));
  write("etl.log", "three\n");
  EXPECT_EQ(read_all(), (Texts{"three"}));
  rewrite("etl.log", "four\n");
  EXPECT_EQ(read_all(), (Texts{"four"}));
  write("etl.log.1", "one\n222\n");
  EXPECT_EQ(read_for(30s), (Texts{"one", "222"}));
}

TEST_F(FileSourceTest, CutBehindWhatWasReadCountsWhatIsGoneAndGoesOn) {
  write("etl.log", "one\n");
  EXPECT_EQ(read_all(), (Texts{"one"}));
  write("etl.log", "two\nthree\n");
  source_->scan(now_);  // and nobody reads: the buffer is full
  std::filesystem::resize_file(path("etl.log"), 8);
  EXPECT_EQ(read_all(), (Texts{"two"}));
  EXPECT_EQ(lost(), 6);
  EXPECT_EQ(metrics_.value(Metric::kTruncationsUnaccountedTotal, {"etl"}), 1);
  EXPECT_EQ(source_->status().lag_bytes, 0u);
  write("etl.log", "four\n");
  EXPECT_EQ(read_all(), (Texts{"four"}));
  EXPECT_EQ(lost(), 6);
}

TEST_F(FileSourceTest, WhatACopytruncateCutOffIsReadFromTheCopy) {
  write("etl.log", "one\n");
  read_all();
  write("etl.log", "two\n");
  fs::copy_file(dir_.path() / "etl.log", dir_.path() / "etl.log.1");
  rewrite("etl.log", "");
  write("etl.log", "3\n");
  EXPECT_THAT(read_all(), UnorderedElementsAre("two", "3"));
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
  EXPECT_EQ(source_->status().open_files, 1u);
  wait(std::chrono::minutes(10));
  read_all();
  EXPECT_EQ(source_->status().open_files, 0u);
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

TEST_F(FileSourceTest, FilesOlderThanTheLimitAreNotRead) {
  write("etl.log", "one\n");
  wait(std::chrono::hours(24 * 30));
  EXPECT_THAT(read_all(), IsEmpty());
}

}  // namespace
}  // namespace runtail
