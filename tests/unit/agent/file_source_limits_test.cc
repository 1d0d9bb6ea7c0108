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
