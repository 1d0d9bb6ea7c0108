// Units of several lines: pieces over a rotation, stack traces and time.
#include "tests/unit/agent/file_scene.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;
using test::cri;
using test::docker;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr const char* kTrace = "Traceback (most recent call last):\n  File \"etl.py\", line 7, in load\nValueError: no";

class FileSourcePiecesTest : public test::FileScene {
 protected:
  void rotate() { rename("etl.log", "etl.log." + std::to_string(++rotations_)); }
  int rotations_ = 0;
};

TEST_F(FileSourcePiecesTest, PiecesGoOnInTheNextFile) {
  write("etl.log", docker("zero") + docker("{\"a\":", true));
  EXPECT_THAT(read_all(), ElementsAre("zero"));
  rotate();
  write("etl.log", docker("1}") + docker("two"));
  EXPECT_THAT(read_all(), ElementsAre("{\"a\":1}", "two"));
  restart();
  EXPECT_THAT(read_for(60s), IsEmpty());
  EXPECT_EQ(orphans_, 0u);
  EXPECT_LE(open_files(), 1u);
}

TEST_F(FileSourcePiecesTest, PiecesGoOnInTheNextFileAfterARestart) {
  write("etl.log", cri("zero") + cri("{\"a\":", true));
  EXPECT_THAT(read_all(), ElementsAre("zero"));
  rotate();
  write("etl.log", cri("1}") + cri("two"));
  restart();
  EXPECT_THAT(read_all(), ElementsAre("{\"a\":1}", "two"));
  restart();
  EXPECT_THAT(read_for(60s), IsEmpty());
  EXPECT_EQ(orphans_, 0u);
}

TEST_F(FileSourcePiecesTest, ARestartBetweenThePiecesOfTheSecondFile) {
  write("etl.log", docker("{\"a\":", true));
  read_all();
  rotate();
  write("etl.log", docker("{\"b\":", true, "stderr") + docker("[", true));
  EXPECT_THAT(read_all(), IsEmpty());
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", docker("2}", false, "stderr"));
  EXPECT_THAT(read_all(), ElementsAre("{\"b\":2}"));
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", docker("1]}"));
  EXPECT_THAT(read_all(), ElementsAre("{\"a\":[1]}"));
  restart_from_database();
  EXPECT_THAT(read_for(60s), IsEmpty());
  EXPECT_EQ(orphans_, 0u);
}

TEST_F(FileSourcePiecesTest, BothOutputsMayBeOpenOverARotation) {
  write("etl.log", docker("{\"a\":", true) + docker("{\"b\":", true, "stderr"));
  read_all();
  rotate();
  write("etl.log", docker("2}", false, "stderr") + docker("1}"));
  EXPECT_THAT(read_all(), ElementsAre("{\"b\":2}", "{\"a\":1}"));
  EXPECT_EQ(orphans_, 0u);
}

TEST_F(FileSourcePiecesTest, AUnitMayReachOverThreeFiles) {
  for (const bool restarts : {false, true}) {
    const std::string n = restarts ? "7" : "1";
    write("etl.log", docker("start " + n) + docker("{\"a\":[", true));
    read_all();
    rotate();
    write("etl.log", docker(n + ",", true));
    EXPECT_THAT(read_all(), IsEmpty());
    if (restarts) restart();
    rotate();
    write("etl.log", docker("2]}") + docker("end " + n));
    EXPECT_THAT(read_all(), ElementsAre("{\"a\":[" + n + ",2]}", "end " + n));
    EXPECT_THAT(read_for(60s), IsEmpty());
    EXPECT_EQ(open_files(), 1u) << "the files before were let go";
    restart();
    EXPECT_THAT(read_for(60s), IsEmpty());
    rotate();
  }
  EXPECT_EQ(orphans_, 0u);
}

TEST_F(FileSourcePiecesTest, PiecesThatNeverGoOnAreCountedOnce) {
  write("etl.log", docker("zero") + docker("{\"a\":", true) + docker("1,", true));
  read_all();
  rotate();
  write("etl.log", docker("err", false, "stderr"));
  EXPECT_THAT(read_for(120s), ElementsAre("err"));
  EXPECT_EQ(orphans_, 2u);
  restart();
  EXPECT_THAT(read_for(120s), IsEmpty());
  EXPECT_EQ(orphans_, 2u);
  EXPECT_LE(open_files(), 1u);
}

TEST_F(FileSourcePiecesTest, TheRestOfPiecesGivenUpIsNoLine) {
  write("etl.log", docker("zero") + docker("{\"a\":", true));
  read_for(120s);
  EXPECT_EQ(orphans_, 1u);
  write("etl.log", docker("1}") + docker("two"));
  restart();
  EXPECT_THAT(read_all(), ElementsAre("two"));
  EXPECT_EQ(orphans_, 2u);
}

TEST_F(FileSourcePiecesTest, WhereTheFileBeforeIsGoneTheRestOfItsPiecesIsNoLine) {
  write("etl.log", docker("zero"));
  read_all();
  remove("etl.log");
  source_.reset();
  write("etl.log", docker("1}") + docker("two"));
  restart();
  EXPECT_THAT(read_all(), ElementsAre("two"));
  EXPECT_EQ(orphans_, 1u);
}

TEST_F(FileSourcePiecesTest, AClockSetForwardTearsNothing) {
  write("etl.log", test::docker("{\"n\":", true) + "{\"log\":\"unfin");
  EXPECT_EQ(read_all(), Texts{});
  rename("etl.log", "etl.log.1");
  read_all();
  source_->clock_stepped(std::chrono::hours(24));
  wait(std::chrono::hours(24));
  EXPECT_EQ(read_all(), Texts{});
  write("etl.log.1", "ished\\n\",\"stream\":\"stderr\",\"time\":\"2026-03-01T00:00:00Z\"}\n" + test::docker("1}"));
  EXPECT_EQ(read_all(), (Texts{"unfinished", R"({"n":1})"}));
  EXPECT_EQ(orphans_, 0u);
}

TEST_F(FileSourcePiecesTest, TheSecondFileIsCutWhileItGoesOnWithPieces) {
  write("etl.log", docker("zero") + docker("{\"a\":", true));
  read_all();
  rotate();
  write("etl.log", docker("err", false, "stderr") + docker("1,", true));
  EXPECT_THAT(read_all(), ElementsAre("err"));
  rewrite("etl.log", docker("new"));
  EXPECT_THAT(read_for(60s), ElementsAre("new"));
  EXPECT_EQ(orphans_, 2u);
  EXPECT_EQ(lost(), 0);
  EXPECT_EQ(open_files(), 1u);
}

TEST_F(FileSourcePiecesTest, PlainFilesDoNotWaitForAnUnfinishedLineInTheFileBefore) {
  write("etl.log", "{\"n\":1}\n{\"n\":");
  read_all();
  rotate();
  write("etl.log", "{\"n\":3}\n");
  EXPECT_THAT(read_all(), ElementsAre("{\"n\":3}"));
  EXPECT_THAT(read_for(30s), ElementsAre("{\"n\":"));
}

TEST_F(FileSourcePiecesTest, ATraceAtTheEndOfARotatedFileIsWhole) {
  write("etl.log", std::string("{\"n\":1}\n") + kTrace + "\n");
  EXPECT_THAT(read_all(), ElementsAre("{\"n\":1}"));
  rotate();
  write("etl.log", "{\"n\":2}\n");
  EXPECT_THAT(read_all(), ElementsAre(kTrace, "{\"n\":2}"));
  restart();
  EXPECT_THAT(read_for(60s), IsEmpty());
}

TEST_F(FileSourcePiecesTest, ATraceIsWholeAfterItsTimeAndSaysWhenThatIs) {
  write("etl.log", std::string(kTrace) + "\n");
  EXPECT_THAT(read_all(), IsEmpty());
  ASSERT_TRUE(source_->due());
  EXPECT_GT(*source_->due(), now_);
  now_ = *source_->due();
  EXPECT_THAT(read(), ElementsAre(kTrace)) << "without a look around";
  EXPECT_FALSE(source_->due());
  write("etl.log", "late\n");
  EXPECT_THAT(read_all(), ElementsAre("late"));
  restart();
  EXPECT_THAT(read_for(60s), IsEmpty());
}

TEST_F(FileSourcePiecesTest, AfterARestartAnOpenTraceIsReadFromItsBeginning) {
  write("etl.log", std::string("{\"n\":1}\n") + std::string(kTrace).substr(0, 40) + "\n");
  read_all();
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", "    return 7\nValueError: no\n{\"n\":2}\n");
  const Texts texts = read_all();
  ASSERT_FALSE(texts.empty());
  EXPECT_THAT(texts.back(), "{\"n\":2}");
  restart();
  EXPECT_THAT(read_for(60s), IsEmpty());
}

// The trace began before the lines on the other output and comes after them.
TEST_F(FileSourcePiecesTest, ATraceOnOneOutputWhileTheOtherGoesOn) {
  write("etl.log", docker("Traceback (most recent call last):", false, "stderr") +
                       docker("  File x, line 1, in y", false, "stderr") + docker("ValueError: no", false, "stderr") +
                       docker("one") + docker("two"));
  EXPECT_THAT(read_all(), ElementsAre("one", "two"));
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
  EXPECT_THAT(read_for(5s), ElementsAre("Traceback (most recent call last):\n  File x, line 1, in y\nValueError: no"));
  restart_from_database();
  write("etl.log", docker("three"));
  EXPECT_THAT(read_for(5s), ElementsAre("three"));
}

// What was given away by time is not put together again where only the database knows how far reading was.
TEST_F(FileSourcePiecesTest, FromTheDatabaseATraceGivenAwayByTimeDoesNotComeAgain) {
  write("etl.log", std::string(kTrace) + "\n");
  EXPECT_THAT(read_for(5s), ElementsAre(kTrace));
  restart_from_database();
  write("etl.log", "{\"n\":1}\n");
  EXPECT_THAT(read_for(5s), ElementsAre("{\"n\":1}"));
}

TEST_F(FileSourcePiecesTest, FromTheDatabaseAnOpenTraceIsPutTogether) {
  write("etl.log", std::string("{\"n\":1}\n") + kTrace + "\n");
  EXPECT_THAT(read_all(), ElementsAre("{\"n\":1}"));
  restart_from_database();
  EXPECT_THAT(read_for(5s), ElementsAre(kTrace));
}

TEST_F(FileSourcePiecesTest, AnOpenTraceIsNotLostWithTheFile) {
  write("etl.log", std::string(kTrace) + "\n");
  read_all();
  rewrite("etl.log", "{\"n\":2}\n");
  EXPECT_THAT(read_all(), ElementsAre(kTrace, "{\"n\":2}"));
  EXPECT_EQ(lost(), 0);
}

}  // namespace
}  // namespace runtail
