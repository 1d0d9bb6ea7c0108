// Debian's logrotate, driven for real: each way of rotating, several rounds with lines between. Each line once.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "tests/support/file_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

struct Way {
  std::string name;
  std::string directives;
  bool late_lines = false;  // the worker still writes to the renamed file for a while
  bool dated = false;       // one file name a day
};

const Way kWays[] = {
    {"Create", "create 0644\n", true},
    {"CreateKeepingTwo", "create 0644\nrotate 2\n", true},
    {"NoCreateMissingOk", "nocreate\nmissingok\n", true},
    {"Copytruncate", "copytruncate\n"},
    {"Compress", "create 0644\ncompress\n"},
    {"CompressWithZstd",
     "create 0644\ncompress\ncompresscmd /usr/bin/zstd\nuncompresscmd /usr/bin/unzstd\ncompressext .zst\n"
     "compressoptions -q\n"},
    {"DelayCompress", "create 0644\ncompress\ndelaycompress\n", true},
    {"CopytruncateCompress", "copytruncate\ncompress\n"},
    {"DateExt", "create 0644\ndateext\n", true, true},
    {"DateExtHourly", "create 0644\ndateext\ndateformat -%Y%m%d%H\n", true, true},
    {"DateExtWithExtension", "create 0644\ndateext\nextension .log\n", true, true},
    {"DateExtCompress", "create 0644\ndateext\ncompress\n", false, true},
    {"OldDir", "create 0644\nolddir old\ncreateolddir 0755\n", true},
};

class Logrotate : public testing::TestWithParam<Way> {
 protected:
  Logrotate() {
    const bool says_how_many = GetParam().directives.find("rotate ") != std::string::npos;
    std::ofstream(scene.directory / "logrotate.conf")
        << '"' << (scene.logs / "etl.log").string() << "\" {\n"
        << (says_how_many ? "" : "rotate 50\n") << GetParam().directives << "}\n";
    fs::permissions(scene.directory / "logrotate.conf", fs::perms(0644));
  }

  void rotate() {
    Command command;
    command.argv = {"/usr/sbin/logrotate", "-f", "-s", scene.directory / "logrotate.state",
                    scene.directory / "logrotate.conf"};
    const Finished done = run_to_end(std::move(command));
    ASSERT_EQ(done.exit_code, 0) << done.errors;
    if (GetParam().dated) move_to_an_earlier_day();
  }
  // As if a day or an hour had passed: today's name is free again.
  void move_to_an_earlier_day() {
    ++rotations_;
    for (const auto& entry : fs::directory_iterator(scene.logs)) {
      std::string name = entry.path().filename();
      const std::size_t year = name.find("-20");
      if (year == std::string::npos) continue;
      const std::string number = std::to_string(2000 - rotations_);
      fs::rename(entry.path(), scene.logs / name.replace(year + 1, 4, number));
    }
  }
  bool copies() const { return GetParam().directives.find("copytruncate") != std::string::npos; }

  FileScene scene;
  int rotations_ = 0;
};

TEST_P(Logrotate, LosesNothingAndRepeatsNothing) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  auto log = std::make_unique<LogFile>(scene.logs / "etl.log");
  for (int round = 0; round < by_scale(4, 30); ++round) {
    log->append(scene.some_lines(200));
    // Of a file that appears and is compressed between two looks nothing is missed: the archive is read.
    if (round % 2 == 0) {
      ASSERT_TRUE(scene.all_read());
    }
    rotate();
    if (GetParam().late_lines) log->append(scene.some_lines(20));
    if (!copies()) log = std::make_unique<LogFile>(scene.logs / "etl.log");
    log->append(scene.some_lines(30));
    ASSERT_TRUE(scene.all_read()) << "round " << round;
  }
  scene.expect_all_once();
  EXPECT_EQ(scene.agent.metric("runtail_truncations_unaccounted_total"), copies() ? by_scale(4, 30) : 0);
}

class LogrotateWhileDown : public Logrotate {};

TEST_P(LogrotateWhileDown, SeveralTimesLosesNothingThatIsStillThere) {
  auto log = std::make_unique<LogFile>(scene.logs / "etl.log");
  log->append(scene.some_lines(100));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(scene.all_read());
  scene.agent.kill9();
  for (int round = 0; round < 3; ++round) {
    log->append(scene.some_lines(100));
    rotate();
    if (!copies()) log = std::make_unique<LogFile>(scene.logs / "etl.log");
  }
  log->append(scene.some_lines(10));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  scene.expect_all_once();
}

// Without those that take unread lines away: what is in a folder no pattern names is not there for the agent, and with
// two kept logrotate itself removes some.
std::vector<Way> ways_that_keep_all() {
  std::vector<Way> ways(std::begin(kWays), std::end(kWays));
  std::erase_if(ways, [](const Way& way) { return way.name == "OldDir" || way.name == "CreateKeepingTwo"; });
  return ways;
}

std::string name_of(const testing::TestParamInfo<Way>& way) { return way.param.name; }

INSTANTIATE_TEST_SUITE_P(By, Logrotate, testing::ValuesIn(kWays), name_of);
INSTANTIATE_TEST_SUITE_P(By, LogrotateWhileDown, testing::ValuesIn(ways_that_keep_all()), name_of);

}  // namespace
}  // namespace runtail::test
