// A worker at full speed whose log is rotated every 1,000 lines, also with gzip behind it: each line once.
//
// The worker writes as fast as the file system takes it, in bursts: 200,000 lines ahead of the agent it waits until all
// is read, and only then rotated files are removed. So no file is removed unread, and the disk stays small.
#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "tests/support/file_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

constexpr int kLinesPerFile = 1000;
constexpr std::uint64_t kAheadMax = 200'000;

class RotationSpeed : public testing::Test {
 protected:
  static AgentSetup roomy() {
    AgentSetup setup;
    setup.sources = {{"etl", "etl.log"}};
    setup.environment["RUNTAIL_BUFFER_BYTES_MAX"] = "0";  // the default
    return setup;
  }
  RotationSpeed() : scene(roomy()) {}

  fs::path rotated(std::uint64_t number) const { return scene.logs / ("etl.log." + std::to_string(100'000 + number)); }
  void compress(std::uint64_t number) {
    if (!fs::exists(rotated(number))) return;  // read and removed
    Command gzip;
    gzip.argv = {"gzip", rotated(number)};
    gzips_.push_back(std::make_unique<ChildProcess>(gzip));
    while (gzips_.size() > 4) finish_oldest();
  }
  void finish_oldest() {
    const auto gzip = std::move(gzips_.front());
    gzips_.pop_front();
    ASSERT_EQ(gzip->wait(), 0);
  }
  void remove_rotated() {
    while (!gzips_.empty()) finish_oldest();
    for (const auto& entry : fs::directory_iterator(scene.logs)) {
      if (entry.path().filename() != "etl.log") fs::remove(entry.path());
    }
  }

  // `gzip_after`: so many rotations later a file is compressed; -1: never.
  void write_and_rotate(int gzip_after) {
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    const auto end = std::chrono::steady_clock::now() + by_scale(std::chrono::seconds(1), std::chrono::seconds(60));
    std::uint64_t rotations = 0;
    while (std::chrono::steady_clock::now() < end) {
      LogFile log(scene.logs / "etl.log");
      for (int i = 0; i < kLinesPerFile; i += 100) log.append(scene.some_lines(100));
      ++rotations;
      fs::rename(log.path(), rotated(rotations));
      if (gzip_after >= 0 && rotations > static_cast<std::uint64_t>(gzip_after)) {
        compress(rotations - static_cast<std::uint64_t>(gzip_after));
      }
      if (rotations % 50 != 0) continue;
      if (static_cast<double>(scene.lines) - scene.agent.lines_read() < static_cast<double>(kAheadMax)) continue;
      ASSERT_TRUE(scene.all_read());
      remove_rotated();
    }
    while (!gzips_.empty()) finish_oldest();
    EXPECT_GE(rotations, by_scale(50u, 1000u)) << "the machine is too slow for this test to say much";
    std::printf("%llu rotations, %llu lines\n", static_cast<unsigned long long>(rotations),
                static_cast<unsigned long long>(scene.lines));
    scene.expect_all_once();
  }

  FileScene scene;
  std::deque<std::unique_ptr<ChildProcess>> gzips_;
};

TEST_F(RotationSpeed, ByRenameLosesNothingAndRepeatsNothing) { write_and_rotate(-1); }
TEST_F(RotationSpeed, ByRenameWithGzipAtOnceLosesNothingAndRepeatsNothing) { write_and_rotate(0); }
TEST_F(RotationSpeed, ByRenameWithGzipOfTheFileBeforeLosesNothingAndRepeatsNothing) { write_and_rotate(1); }

}  // namespace
}  // namespace runtail::test
