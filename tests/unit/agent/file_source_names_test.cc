// What the file system does with names: links, copies, moves, reuse; and what of it a person must mend.
#include <sys/stat.h>

#include "tests/unit/agent/file_scene.h"

namespace runtail {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;
namespace fs = std::filesystem;

class FileSourceNamesTest : public test::FileScene {
 protected:
  void follow(const std::string& pattern) {
    settings_.source.include = {path(pattern).string()};
    restart();
  }
};

TEST_F(FileSourceNamesTest, ALinkThatIsSwitchedIsARotation) {
  write("a.log", "one\n");
  link("a.log", "etl.log");
  EXPECT_THAT(read_all(), ElementsAre("one"));
  write("a.log", "late\nunfinished");
  write("b.log", "two\n");
  link("b.log", "etl.log");
  EXPECT_THAT(read_all(), UnorderedElementsAre("late", "two"));
  EXPECT_THAT(read_for(60s), ElementsAre("unfinished"));
  write("a.log", " no more\nstill held by its worker\n");
  EXPECT_THAT(read_for(200s), ElementsAre(" no more", "still held by its worker"));
  read_for(200s);
  EXPECT_EQ(open_files(), 0u) << "nobody wrote for 5 minutes";
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
}

TEST_F(FileSourceNamesTest, ALinkOutOfTheRootsIsAFaultUntilItIsMended) {
  test::TempDir elsewhere;
  std::ofstream(elsewhere / "secret") << "secret\n";
  fs::create_symlink(elsewhere / "secret", path("etl.log"));
  EXPECT_THAT(read_all(), IsEmpty());
  EXPECT_THAT(faults(), HasSubstr("sources[].roots"));
  settings_.source.roots = {dir_.path().string(), elsewhere.path().string()};
  restart();
  EXPECT_THAT(read_all(), ElementsAre("secret"));
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(FileSourceNamesTest, OneFileUnderTwoNamesIsOneFile) {
  follow("*.log");
  write("a.log", "one\n");
  fs::create_hard_link(path("a.log"), path("b.log"));
  fs::create_hard_link(path("a.log"), path("a.log.1"));
  EXPECT_THAT(read_all(), ElementsAre("one"));
  remove("a.log");
  write("b.log", "two\n");
  EXPECT_THAT(read_for(10s), ElementsAre("two"));
  EXPECT_EQ(open_files(), 1u);
}

TEST_F(FileSourceNamesTest, AMovedDirectoryTakesItsFilesAlong) {
  follow("*/etl.log");
  fs::create_directory(path("a"));
  write("a/etl.log", "one\n");
  EXPECT_THAT(read_all(), ElementsAre("one"));
  fs::rename(path("a"), path("b"));
  write("b/etl.log", "two\n");
  EXPECT_THAT(read_all(), ElementsAre("two"));
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
}

TEST_F(FileSourceNamesTest, AFileMayBeginEmptyOrInsideOfALine) {
  write("etl.log", "");
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", "o");
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", "ne\n");
  EXPECT_THAT(read_all(), ElementsAre("one"));
}

TEST_F(FileSourceNamesTest, InodesThatAreUsedAgainUnderTheSameHeadAreOtherFiles) {
  const std::string head = std::string(4096, 'h') + "\n";
  for (int i = 0; i < 300; ++i) {
    const std::string line = "line " + std::to_string(i);
    remove("etl.log");
    write("etl.log", head + line + "\n");
    const Texts texts = read_all();
    ASSERT_EQ(texts.size(), 2u) << i;
    ASSERT_EQ(texts[1], line);
    if (i % 50 == 0) restart();
    if (i % 7 == 0) wait(60s);
  }
  EXPECT_EQ(by_file_.size(), 300u);
}

TEST_F(FileSourceNamesTest, ManyFilesThatBeginAlike) {
  follow("*.log");
  for (int i = 0; i < 50; ++i) write("w" + std::to_string(i) + "x.log", "head\nline " + std::to_string(i) + "\n");
  EXPECT_EQ(read_all().size(), 100u);
  restart();
  EXPECT_THAT(read_all(), IsEmpty());
  for (int i = 0; i < 50; ++i) write("w" + std::to_string(i) + "x.log", "more\n");
  EXPECT_EQ(read_all().size(), 50u);
}

TEST_F(FileSourceNamesTest, ARotatedFileThatIsAllInTheLiveOneIsStillAFile) {
  write("etl.log.1", "head\n");
  fs::last_write_time(path("etl.log.1"), fs::file_time_type::clock::now() - 1h);
  write("etl.log", "head\n");
  EXPECT_THAT(read_for(10s), ElementsAre("head", "head"));
  durable_.clear();
  write("etl.log", "more\n");
  remove("etl.log.1");
  restart();
  EXPECT_THAT(read_all(), ElementsAre("head", "more"));
  write("etl.log.2", "head\n");
  fs::last_write_time(path("etl.log.2"), fs::file_time_type::clock::now() - 1h);
  EXPECT_THAT(read_for(10s), ElementsAre("head"));
}

TEST_F(FileSourceNamesTest, ACopyOfALiveFileThatGoesOnIsNotRead) {
  write("etl.log", "one\ntwo\n");
  read_all();
  wait(1s);
  copy("etl.log", "etl.log.1");
  fs::last_write_time(path("etl.log.1"), fs::file_time_type::clock::now() + 1s);
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", "three\n");
  EXPECT_THAT(read_for(60s), ElementsAre("three"));
  EXPECT_EQ(open_files(), 1u) << "the copy is let go";
  restart();
  EXPECT_THAT(read_for(60s), IsEmpty());
  write("etl.log.1", "by hand\n");
  EXPECT_THAT(read_all(), ElementsAre("by hand"));
}

TEST_F(FileSourceNamesTest, ACopyInTheMakingIsNotRead) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "line " + std::to_string(i) + "\n";
  write("etl.log", text);
  EXPECT_EQ(read_all().size(), 1000u);
  write("etl.log.1", text.substr(0, 500));
  fs::last_write_time(path("etl.log.1"), fs::file_time_type::clock::now() + 1s);
  EXPECT_THAT(read_all(), IsEmpty());
  rewrite("etl.log.1", text);
  EXPECT_THAT(read_all(), IsEmpty());
  rewrite("etl.log", "");
  write("etl.log", "new\n");
  EXPECT_THAT(read_for(120s), ElementsAre("new"));
}

TEST_F(FileSourceNamesTest, ACopyOfAFileThatRestsIsNotRead) {
  write("etl.log", "one\n");
  read_all();
  wait(10min);
  read_all();
  EXPECT_EQ(open_files(), 0u);
  copy("etl.log", "etl.log.1");
  fs::last_write_time(path("etl.log.1"), fs::file_time_type::clock::now() + 1s);
  EXPECT_THAT(read_all(), IsEmpty());
  write("etl.log", "two\n");
  EXPECT_THAT(read_for(60s), ElementsAre("two"));
}

TEST_F(FileSourceNamesTest, OnlyWhatMayBeOursAsksForALook) {
  follow("etl*.log");
  source_->scan(now_);
  const auto asks = [&](const std::string& name, bool only_grown) {
    return source_->changed(path(name).string(), only_grown);
  };
  EXPECT_TRUE(asks("etl.log", false));
  EXPECT_TRUE(asks("etl.log.1", false));
  EXPECT_TRUE(asks("etl-20260301.log.gz", false));
  EXPECT_TRUE(asks("etl.log", true)) << "it grows and is not open";
  EXPECT_FALSE(asks("other.log", false));
  EXPECT_FALSE(asks("other.log", true));
  EXPECT_FALSE(source_->changed("/elsewhere/etl.log", true));
  write("etl.log", "one\n");
  read_all();
  EXPECT_FALSE(asks("etl.log", true)) << "it is open: a read is enough";
  write("etl.log", "two\n");
  asks("etl.log", true);
  EXPECT_THAT(read(), ElementsAre("two"));
}

TEST_F(FileSourceNamesTest, AFileReplacedByADirectory) {
  write("etl.log", "one\n");
  read_all();
  remove("etl.log");
  fs::create_directory(path("etl.log"));
  EXPECT_THAT(read_for(60s), IsEmpty());
  EXPECT_EQ(open_files(), 0u);
  fs::remove(path("etl.log"));
  write("etl.log", "two\n");
  EXPECT_THAT(read_all(), ElementsAre("two"));
}

TEST_F(FileSourceNamesTest, WhatIsNoFileIsAFaultUntilItIsMended) {
  ASSERT_EQ(mkfifo(path("etl.log").c_str(), 0600), 0);
  EXPECT_THAT(read_all(), IsEmpty());
  EXPECT_THAT(faults(), HasSubstr("named pipe"));
  remove("etl.log");
  write("etl.log", "one\n");
  EXPECT_THAT(read_all(), ElementsAre("one"));
  EXPECT_THAT(faults(), IsEmpty());
}

TEST_F(FileSourceNamesTest, OurOwnFilesAreNotTailed) {
  fs::create_directory(path("state"));
  settings_.never = {path("state"), path("own.log")};
  follow("*/*.log");
  write("state/x.log", "ours\n");
  EXPECT_THAT(read_all(), IsEmpty());
  follow("*.log");
  write("own.log", "ours\n");
  write("own.logger.log", "theirs\n");
  EXPECT_THAT(read_all(), ElementsAre("theirs"));
  rename("own.log", "own.log.1");
  write("own.log", "ours again\n");
  EXPECT_THAT(read_all(), IsEmpty());
  fs::create_directory_symlink(dir_.path(), path("by-link"));
  follow("by-link/own*");
  EXPECT_THAT(read_all(), IsEmpty());
}

class FileSourceKubernetesTest : public test::FileScene {
 protected:
  FileSourceKubernetesTest() {
    settings_.source.type = "kubernetes";
    settings_.source.include = {path("*/*/*.log").string()};
    fs::create_directories(path(kContainer));
    restart();
  }
  static constexpr const char* kContainer = "team_etl-0_uid-1/worker";
  std::string in(const std::string& name) const { return std::string(kContainer) + "/" + name; }
};

TEST_F(FileSourceKubernetesTest, ThePathSaysWhoseLinesTheyAre) {
  write(in("0.log"), test::cri("{\"a\":1}"));
  write(in("1.log"), test::cri("{\"a\":2}"));
  source_->scan(now_);
  for (const int restarts : {0, 1}) {
    const auto block = source_->read(now_);
    ASSERT_TRUE(block);
    EXPECT_EQ(block->position.file.stream, "team/uid-1/worker");
    EXPECT_EQ(block->default_job_id, "team/worker");
    EXPECT_EQ(block->default_job_rank, 4);
    ASSERT_NE(block->defaults, nullptr);
    EXPECT_EQ(block->defaults->context,
              R"("k8s.namespace":"team","k8s.pod":"etl-0","k8s.container":"worker","k8s.restarts":)" +
                  std::to_string(restarts));
  }
  settings_.source.job_id = "load_orders";
  durable_.clear();
  restart();
  source_->scan(now_);
  const auto block = source_->read(now_);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->default_job_id, "load_orders");
  EXPECT_EQ(block->default_job_rank, 3);
}

TEST_F(FileSourceKubernetesTest, WhatTheKubeletRotatesIsTheSameLog) {
  write(in("0.log"), test::cri("one") + test::cri("{\"a\":", true));
  EXPECT_THAT(read_all(), ElementsAre("one"));
  rename(in("0.log"), in("0.log.20260301-101112"));
  write(in("0.log"), test::cri("1}"));
  EXPECT_THAT(read_all(), ElementsAre("{\"a\":1}"));
  pack(in("0.log.20260301-101112"));
  EXPECT_THAT(read_for(60s), IsEmpty());
  write(in("0.log.20260228-101112"), test::gzip(""));
  rename(in("0.log.20260228-101112"), in("0.log.20260228-101112.gz"));
  rewrite(in("0.log.20260228-101112.gz"), test::gzip(test::cri("older")));
  EXPECT_THAT(read_for(60s), ElementsAre("older"));
  restart();
  EXPECT_THAT(read_for(60s), IsEmpty());
}

}  // namespace
}  // namespace runtail
