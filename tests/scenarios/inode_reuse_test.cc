// Logs that all begin with the same 4 KiB, in files that take over each other's inodes: each is read as what it is.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "tests/support/file_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

constexpr int kFilesAtATime = 10;

ino_t inode_of(const std::filesystem::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

constexpr int kHeadLines = 64;

// What each worker prints first: 4 KiB that tell nothing.
std::string head() {
  std::string text;
  for (int i = 0; i < kHeadLines; ++i)
    text += R"({"level":"INFO","msg":"configuration was read, no change"})"
            "\n";
  return text;
}

TEST(InodeReuse, WhileTheAgentIsDownMakesNewFilesOfTheSameNames) {
  FileScene scene;
  std::set<ino_t> inodes;
  const int enough = by_scale(15, 300), files_max = 10 * enough;
  int files = 0, reused = 0;
  while (reused < enough && files < files_max) {
    for (int i = 0; i < kFilesAtATime; ++i, ++files) {
      const std::filesystem::path path = scene.logs / ("etl-" + std::to_string(i) + ".log");
      std::filesystem::remove(path);
      LogFile(path).append(head() + scene.some_lines(1));
      reused += inodes.insert(inode_of(path)).second ? 0 : 1;
    }
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    const int lines = files * (kHeadLines + 1);
    ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == lines; }))
        << scene.agent.lines_read() << " of " << lines << " lines read\n"
        << scene.agent.log();
    scene.agent.kill9();  // while it has files open, nobody gets their inodes
  }
  std::printf("%d files in %zu inodes, %d times one was used again\n", files, inodes.size(), reused);
  EXPECT_GE(reused, enough) << "this file system does not reuse inodes: the test says little here";
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const int rows = files * (kHeadLines + 1);
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, static_cast<std::uint64_t>(rows))) << scene.agent.log();
  EXPECT_EQ(scene.sql.log_events(), rows);
  EXPECT_EQ(scene.sql.number("SELECT count(DISTINCT message) FROM observability.log_events"), files + 1);
  EXPECT_EQ(scene.agent.metric("runtail_lost_bytes_total"), 0);
  EXPECT_EQ(scene.agent.metric("runtail_truncations_unaccounted_total"), 0);
}

TEST(InodeReuse, OfFilesTheAgentHasClosedIsNoticedWhileItRuns) {
  // So few descriptors that files which are read make room for others.
  AgentSetup setup;
  setup.launcher = {"prlimit", "--nofile=64:64"};
  FileScene few(setup);
  ASSERT_TRUE(few.agent.start_healthy()) << few.agent.log();
  const int files = by_scale(60, 300);
  for (int i = 0; i < files; ++i) {
    LogFile(few.logs / ("etl-" + std::to_string(i) + ".log")).append(few.some_lines(1));
  }
  ASSERT_TRUE(few.all_read());
  int reused = 0;
  // The oldest are closed by now: their inodes are free for files of other names and the same length.
  for (int i = 0; i < 10; ++i) {
    const std::filesystem::path old = few.logs / ("etl-" + std::to_string(i) + ".log");
    const ino_t inode = inode_of(old);
    std::filesystem::remove(old);
    const std::filesystem::path path = few.logs / ("new-" + std::to_string(i) + ".log");
    LogFile(path).append(few.some_lines(1));
    reused += inode_of(path) == inode ? 1 : 0;
  }
  EXPECT_GT(reused, 0) << "this file system does not reuse inodes; the test says little here";
  few.expect_all_once();
}

}  // namespace
}  // namespace runtail::test
