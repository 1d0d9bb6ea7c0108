// Archives: a tailed file that was compressed is the same file.
#include "tests/unit/agent/file_scene.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;
using test::gzip;
using test::zstd;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class FileSourcePackedTest : public test::FileScene, public testing::WithParamInterface<const char*> {
 protected:
  std::string packed(std::string_view plain) const {
    return std::string_view(GetParam()) == ".gz" ? gzip(plain) : zstd(plain);
  }
  std::string archive(const std::string& name) const { return name + GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Both, FileSourcePackedTest, testing::Values(".gz", ".zst"),
                         [](const auto& each) { return std::string(each.param).substr(1); });

TEST_P(FileSourcePackedTest, ATailedFileLaterCompressedIsNotReadAgain) {
  write("etl.log", "one\ntwo\n");
  read_all();
  rename("etl.log", "etl.log.1");
  write("etl.log", "three\n");
  EXPECT_THAT(read_all(), ElementsAre("three"));
  pack("etl.log.1", GetParam());
  EXPECT_THAT(read_for(120s), IsEmpty());
  restart();
  EXPECT_THAT(read_for(120s), IsEmpty());
  EXPECT_LE(open_files(), 1u);
}

TEST_P(FileSourcePackedTest, WhatWasWrittenAndCompressedWhileTheAgentWasDownIsRead) {
  write("etl.log", "one\n");
  read_all();
  source_.reset();
  write("etl.log", "two\nthree\n");
  rename("etl.log", "etl.log.1");
  pack("etl.log.1", GetParam());
  write("etl.log", "four\n");
  restart();
  EXPECT_THAT(read_for(10s), UnorderedElementsAre("two", "three", "four"));
}

TEST_P(FileSourcePackedTest, TheRestOfAFileStillOpenIsReadFromItOnce) {
  write("etl.log", "one\n");
  read_all();
  write("etl.log", "two\n");
  rename("etl.log", "etl.log.1");
  pack("etl.log.1", GetParam());
  EXPECT_THAT(read_for(120s), ElementsAre("two"));
}

TEST_P(FileSourcePackedTest, AnArchiveInTheMakingBesideItsFileIsNoFileOfItsOwn) {
  std::string text = "head\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i * 7919) + "\n";
  write("etl.log.1", text);
  write("etl.log", "live\n");
  EXPECT_EQ(read_all().size(), 1002u);
  const std::string whole = packed(text);
  write(archive("etl.log.1"), std::string_view(whole).substr(0, whole.size() / 2));
  EXPECT_THAT(read_all(), IsEmpty());
  restart();
  EXPECT_THAT(read_for(10s), IsEmpty());
  rewrite(archive("etl.log.1"), whole);
  EXPECT_THAT(read_for(10s), IsEmpty());
  remove("etl.log.1");
  EXPECT_THAT(read_for(120s), IsEmpty());
}

TEST_P(FileSourcePackedTest, AnArchiveInTheMakingIsFollowedAndACutOneIsTakenAsItStands) {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += std::to_string(i * 7919) + "\n";
  const std::string whole = packed(text);
  write(archive("etl.log.1"), std::string_view(whole).substr(0, whole.size() / 3));
  Texts texts = read_all();
  write(archive("etl.log.1"), std::string_view(whole).substr(whole.size() / 3, whole.size() / 3));
  for (std::string& each : read_for(30s)) texts.push_back(std::move(each));
  EXPECT_THAT(faults(), IsEmpty());
  for (std::string& each : read_for(45s)) texts.push_back(std::move(each));
  EXPECT_THAT(faults(), HasSubstr(archive("etl.log.1") + ": it ends inside of the archive"));
  ASSERT_GT(texts.size(), 100u);
  for (std::size_t i = 0; i + 1 < texts.size(); ++i) ASSERT_EQ(texts[i], std::to_string(i * 7919));
  EXPECT_THAT(read_for(60s), IsEmpty());
  EXPECT_EQ(open_files(), 0u);
  EXPECT_THAT(faults(), HasSubstr("ends inside")) << "as long as it is there";
  remove(archive("etl.log.1"));
  read_all();
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_P(FileSourcePackedTest, SeveralMembersAreOneFileAndMoreMayCome) {
  write(archive("etl.log.1"), packed("one\ntw") + packed("o\nthree\n"));
  EXPECT_THAT(read_all(), ElementsAre("one", "two", "three"));
  write(archive("etl.log.1"), packed("four\n"));
  EXPECT_THAT(read_for(10s), ElementsAre("four"));
}

TEST_P(FileSourcePackedTest, OfADamagedArchiveWhatCanBeUnpackedIsReadAndTheFaultNamed) {
  write(archive("etl.log.1"), packed("one\ntwo\n") + "this is no member");
  EXPECT_THAT(read_for(5s), ElementsAre("one", "two"));
  EXPECT_THAT(faults(), HasSubstr(archive("etl.log.1")));
  write(archive("etl.log.2"), "neither");
  write("etl.log", "live\n");
  EXPECT_THAT(read_for(120s), ElementsAre("live"));
  EXPECT_THAT(faults(), HasSubstr(archive("etl.log.2")));
  EXPECT_EQ(open_files(), 1u);
}

TEST_P(FileSourcePackedTest, ArchivesWithNothingInThemAreLetGo) {
  write(archive("etl.log.1"), packed(""));
  write(archive("etl.log.2"), "");
  write(archive("etl.log.3"), std::string_view(packed("one\n")).substr(0, 3));
  EXPECT_THAT(read_for(120s), IsEmpty());
  EXPECT_EQ(open_files(), 0u);
  rewrite(archive("etl.log.3"), packed("one\n"));
  EXPECT_THAT(read_for(10s), ElementsAre("one"));
}

TEST_P(FileSourcePackedTest, EqualHeadsAmongArchivesAreToldApart) {
  write(archive("etl.log.1"), packed("head\none\n"));
  write(archive("etl.log.2"), packed("head\ntwo\n"));
  write(archive("etl.log.3"), packed("head\n"));
  EXPECT_THAT(read_for(10s), UnorderedElementsAre("head", "one", "head", "two", "head"));
  restart();
  EXPECT_THAT(read_for(10s), IsEmpty());
}

TEST_P(FileSourcePackedTest, CopytruncateAndCompressLosesNothingAndRepeatsNothing) {
  write("etl.log", "one\n");
  read_all();
  write("etl.log", "two\n");
  copy("etl.log", "etl.log.1");
  rewrite("etl.log", "");
  pack("etl.log.1", GetParam());
  write("etl.log", "3\n");
  EXPECT_THAT(read_for(120s), UnorderedElementsAre("two", "3"));
  EXPECT_EQ(lost(), 0);
  restart();
  EXPECT_THAT(read_for(10s), IsEmpty());
}

TEST_P(FileSourcePackedTest, ThePatternMayNameArchivesDirectly) {
  settings_.source.include = {path(std::string("*") + GetParam()).string()};
  restart();
  write(archive("old"), packed("one\ntwo"));
  EXPECT_THAT(read_all(), ElementsAre("one", "two"));
  restart();
  EXPECT_THAT(read_for(10s), IsEmpty());
}

TEST_P(FileSourcePackedTest, NamesWithDates) {
  write("etl.log", "one\n");
  read_all();
  rename("etl.log", "etl.log-20260301");
  write("etl.log", "two\n");
  read_all();
  pack("etl.log-20260301", GetParam());
  write(archive("etl.log-20260228"), packed("older\n"));
  EXPECT_THAT(read_for(120s), ElementsAre("older"));
}

TEST_P(FileSourcePackedTest, ARestartInsideOfAnArchiveGoesOnThere) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += std::to_string(i) + "\n";
  write(archive("etl.log.1"), packed(text));
  source_->scan(now_);
  Texts texts = read(1);
  EXPECT_LT(texts.size(), 300'000u);
  restart();
  for (std::string& each : read_all()) texts.push_back(std::move(each));
  ASSERT_EQ(texts.size(), 300'000u);
  EXPECT_TRUE(std::is_sorted(texts.begin(), texts.end(),
                             [](const auto& a, const auto& b) { return std::stoi(a) < std::stoi(b); }));
}

TEST_P(FileSourcePackedTest, TheUnfinishedLastLineOfAWholeArchiveIsALine) {
  write(archive("etl.log.1"), packed("one\ncut off"));
  EXPECT_THAT(read_all(), ElementsAre("one", "cut off"));
}

}  // namespace
}  // namespace runtail
