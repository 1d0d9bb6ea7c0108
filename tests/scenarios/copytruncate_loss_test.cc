// A log that is cut while its worker writes on. What was seen and not read is counted; that something may have been
// written between the last look and the cut is said. Stored + counted + never seen is what was written: nothing is
// silent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/support/file_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;

class CopytruncateLoss : public testing::Test {
 protected:
  CopytruncateLoss() : log(scene.logs / "etl.log") {}

  double truncations() const { return scene.agent.metric("runtail_truncations_unaccounted_total"); }
  // A buffer that is full keeps lines seen from being read.
  std::string unread_lines(int count) {
    std::string text = scene.some_lines(count);
    const double before = scene.lag();
    log.append(text);
    EXPECT_TRUE(wait_until([&] { return scene.lag() >= before + static_cast<double>(text.size()); }));
    return text;
  }
  void expect_stored(std::uint64_t lines) {
    EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, lines)) << scene.agent.log();
    EXPECT_EQ(scene.sql.log_events(), static_cast<std::int64_t>(lines));
    EXPECT_EQ(scene.sql.number("SELECT count(DISTINCT message) FROM observability.log_events"),
              static_cast<std::int64_t>(lines));
    EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  }

  FileScene scene;
  LogFile log;
};

TEST_F(CopytruncateLoss, WhatWasSeenAndNotReadIsCountedToTheByte) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.all_read());
  scene.fill_buffer(log);
  unread_lines(500);
  const double seen = scene.lag(), read = scene.agent.lines_read();
  log.truncate();
  scene.empty_buffer();
  ASSERT_TRUE(wait_until([&] { return scene.lost("truncated") > 0; })) << scene.agent.log();
  EXPECT_EQ(scene.lost("truncated"), seen);
  EXPECT_EQ(truncations(), 1);
  EXPECT_THAT(scene.agent.log(), HasSubstr((scene.logs / "etl.log").string() + " was truncated"));
  log.append(scene.some_lines(20));
  expect_stored(static_cast<std::uint64_t>(read) + 20);
}

TEST_F(CopytruncateLoss, WhatIsInTheCopyIsNotLost) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.all_read());
  scene.fill_buffer(log);
  unread_lines(500);
  std::filesystem::copy_file(log.path(), log.path().string() + ".1");
  log.truncate();
  scene.empty_buffer();
  log.append(scene.some_lines(20));
  scene.expect_all_once();
  EXPECT_EQ(truncations(), 1);
}

TEST_F(CopytruncateLoss, CutToALengthBeyondWhatWasReadCountsWhatIsCutOff) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.all_read());
  scene.fill_buffer(log);
  const std::string first = unread_lines(300);
  const std::uint64_t kept = scene.lines;
  const std::string second = unread_lines(200);
  std::filesystem::resize_file(log.path(), std::filesystem::file_size(log.path()) - second.size());
  scene.empty_buffer();
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == static_cast<double>(kept); })) << scene.agent.log();
  EXPECT_TRUE(wait_until([&] { return scene.lost("truncated") > 0; }, Deadline(5000))) << scene.agent.log();
  EXPECT_EQ(scene.lost("truncated"), static_cast<double>(second.size()));
  EXPECT_EQ(truncations(), 1);
  expect_stored(kept);
}

TEST_F(CopytruncateLoss, CutAndLongerAgainCountsWhatWasSeenOfTheOldContent) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.all_read());
  scene.fill_buffer(log);
  unread_lines(200);
  const double seen = scene.lag(), read = scene.agent.lines_read();
  scene.agent.signal(SIGSTOP);
  log.truncate();
  log.append(scene.some_lines(1000));  // longer than it was
  scene.agent.signal(SIGCONT);
  scene.empty_buffer();
  expect_stored(static_cast<std::uint64_t>(read) + 1000);
  EXPECT_EQ(truncations(), 1);
  EXPECT_EQ(scene.lost("truncated"), seen) << scene.agent.log();
}

TEST_F(CopytruncateLoss, WhatNobodyLookedAtIsNamedAsUnknown) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append(scene.some_lines(10));
  ASSERT_TRUE(scene.all_read());
  scene.agent.signal(SIGSTOP);
  log.append(scene.some_lines(500));
  log.truncate();
  scene.agent.signal(SIGCONT);
  ASSERT_TRUE(wait_until([&] { return truncations() == 1; })) << scene.agent.log();
  EXPECT_EQ(scene.lost("truncated"), 0) << "never seen";
  EXPECT_THAT(scene.agent.log(), HasSubstr("cannot be known"));
  log.append(scene.some_lines(20));
  expect_stored(10 + 20);
}

TEST_F(CopytruncateLoss, ByLogrotateUnderAWorkerThatDoesNotPauseIsCountedOrNamed) {
  std::ofstream(scene.directory / "logrotate.conf")
      << '"' << log.path().string() << "\" {\ncopytruncate\nrotate 100\n}\n";
  std::filesystem::permissions(scene.directory / "logrotate.conf", std::filesystem::perms(0644));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> bytes{0};
  std::thread worker([&] {
    while (!stop) {
      const std::string text = scene.some_lines(5);
      log.append(text);
      bytes += text.size();
      let_pass(std::chrono::microseconds(200));
    }
  });
  const int rounds = by_scale(5, 50);
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t before = bytes;
    const double read = scene.agent.lines_read();
    // A file it never read from is another file to it, and nothing was cut.
    ASSERT_TRUE(wait_until([&] { return bytes > before + 50'000 && scene.agent.lines_read() > read; }));
    Command logrotate;
    logrotate.argv = {"/usr/sbin/logrotate", "-f", "-s", scene.directory / "logrotate.state",
                      scene.directory / "logrotate.conf"};
    EXPECT_EQ(run_to_end(std::move(logrotate)).exit_code, 0);
    ASSERT_TRUE(wait_until([&] { return truncations() >= round + 1; })) << scene.agent.log();
    ASSERT_EQ(truncations(), round + 1) << scene.agent.log();
  }
  stop = true;
  worker.join();
  log.append(scene.some_lines(1));
  const std::string last = std::to_string(scene.lines - 1);
  ASSERT_TRUE(wait_until([&] {
    return scene.lag() == 0 &&
           scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'seq=" + last + " %'") ==
               1;
  })) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, 0));
  const auto stored =
      scene.sql.number("SELECT count(DISTINCT message) FROM observability.log_events WHERE message LIKE 'seq=%'");
  const auto missing = static_cast<std::int64_t>(scene.lines) - stored;
  std::printf("%llu lines, %lld not stored, %.0f bytes counted, %.0f truncations named\n",
              static_cast<unsigned long long>(scene.lines), static_cast<long long>(missing), scene.lost("truncated"),
              truncations());
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM (SELECT message FROM observability.log_events WHERE message LIKE "
                             "'seq=%' GROUP BY message HAVING count(*) > 1) AS twice"),
            0);
  EXPECT_EQ(truncations(), rounds);
  // What is counted is not stored, too: no byte is on both sides.
  EXPECT_LE(scene.lost("truncated"), static_cast<double>(missing + rounds) * 60);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
}

}  // namespace
}  // namespace runtail::test
