// Compressed logs: what lies there at the first start is read, and a log that is compressed after it was tailed is the
// same log: no line twice, the unread rest is read.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/file_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

void run(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  const Finished done = run_to_end(std::move(command));
  ASSERT_EQ(done.exit_code, 0) << done.errors;
}

// Replaced by path.gz or path.zst, as logrotate does it.
void compress(const fs::path& path, const std::string& with) {
  if (with == "gzip") {
    run({"gzip", path});
  } else {
    run({"zstd", "-q", "--rm", path});
  }
}

void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

TEST(Compressed, HistoryIsReadAtTheFirstStart) {
  FileScene scene;
  const int lines = by_scale(2000, 200'000);
  // An archive of two members, as appending to a .gz makes it.
  write(scene.logs / "etl.log.4", scene.some_lines(lines));
  compress(scene.logs / "etl.log.4", "gzip");
  write(scene.directory / "more", scene.some_lines(lines));
  compress(scene.directory / "more", "gzip");
  std::ofstream(scene.logs / "etl.log.4.gz", std::ios::binary | std::ios::app)
      << read_file(scene.directory / "more.gz");
  write(scene.logs / "etl.log.3", scene.some_lines(lines));
  compress(scene.logs / "etl.log.3", "zstd");
  write(scene.logs / "etl.log-20261120", scene.some_lines(lines));
  compress(scene.logs / "etl.log-20261120", "gzip");
  write(scene.logs / "etl.log.1", scene.some_lines(lines));
  LogFile log(scene.logs / "etl.log");
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(scene.all_read());
  scene.agent.kill9();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append(scene.some_lines(10));
  scene.expect_all_once();
}

class CompressedLater : public testing::TestWithParam<std::string> {
 protected:
  // etl.log becomes etl.log.N.gz, a new one begins.
  void rotate(int number) {
    const fs::path rotated = scene.logs / ("etl.log." + std::to_string(number));
    fs::rename(scene.logs / "etl.log", rotated);
    compress(rotated, GetParam());
  }
  void write_lines(int count) { LogFile(scene.logs / "etl.log").append(scene.some_lines(count)); }
  FileScene scene;
};

TEST_P(CompressedLater, IsTheSameFileWhileTheAgentRunsAndAfterItsRestart) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int round = 1; round <= by_scale(3, 20); ++round) {
    write_lines(300);
    ASSERT_TRUE(scene.all_read());
    rotate(round);
    write_lines(10);
    ASSERT_TRUE(scene.all_read());
    scene.agent.kill9();
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    write_lines(10);
    ASSERT_TRUE(scene.all_read());
  }
  scene.expect_all_once();
}

TEST_P(CompressedLater, TheUnreadRestIsReadFromTheArchive) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int round = 1; round <= by_scale(3, 20); ++round) {
    write_lines(300);
    ASSERT_TRUE(scene.all_read());
    scene.agent.kill9();
    write_lines(1000);
    rotate(2 * round);
    write_lines(100);
    rotate(2 * round + 1);  // nobody saw it while it was plain
    write_lines(10);
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    ASSERT_TRUE(scene.all_read()) << "round " << round;
  }
  scene.expect_all_once();
}

TEST_P(CompressedLater, AnArchiveThatGrowsSlowlyBesideTheFileItIsMadeOfIsNotReadTwice) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  write_lines(3000);
  ASSERT_TRUE(scene.all_read());
  const std::string extension = GetParam() == "gzip" ? ".gz" : ".zst";
  const fs::path rotated = scene.logs / "etl.log.1", packed = rotated.string() + extension;
  fs::rename(scene.logs / "etl.log", rotated);
  fs::copy_file(rotated, scene.directory / "copy");
  compress(scene.directory / "copy", GetParam());
  const std::string bytes = read_file((scene.directory / "copy").string() + extension);
  write_lines(10);
  ASSERT_TRUE(scene.all_read());
  {
    std::ofstream archive(packed, std::ios::binary);
    archive << bytes.substr(0, bytes.size() / 3) << std::flush;
    write_lines(10);
    ASSERT_TRUE(scene.all_read());
    archive << bytes.substr(bytes.size() / 3);
  }
  fs::remove(rotated);
  write_lines(10);
  ASSERT_TRUE(scene.all_read());
  scene.agent.kill9();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  write_lines(10);
  scene.expect_all_once();
}

INSTANTIATE_TEST_SUITE_P(By, CompressedLater, testing::Values("gzip", "zstd"),
                         [](const auto& with) { return with.param; });

}  // namespace
}  // namespace runtail::test
