// What a log file goes through in its life. Each line arrives once.
#include <gtest/gtest.h>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

std::string numbered(int number) { return R"({"level":"INFO","msg":"seq=)" + std::to_string(number) + " some text\"}"; }

class Rotation : public testing::Test {
 protected:
  Rotation() : scene("rotation_" + std::to_string(++scenes_)) {}
  void write(LogFile& file, int lines) {
    for (int i = 0; i < lines; ++i) file.append_line(numbered(next_++));
  }
  void wait_read() {
    ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == next_; }))
        << scene.agent.lines_read() << " of " << next_ << " lines read\n"
        << scene.agent.log();
  }
  void expect_all_once() {
    EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, static_cast<std::uint64_t>(next_))) << scene.agent.log();
    expect_every_line_once(scene.sql, static_cast<std::uint64_t>(next_));
    EXPECT_EQ(scene.agent.metric("runtail_lost_bytes_total"), 0);
    EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  }
  static inline int scenes_ = 0;
  Scene scene;
  int next_ = 0;
};

TEST_F(Rotation, RenamedAndCreatedAnewIsReadToItsEnd) {
  LogFile log(scene.log);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int turn = 0; turn < 5; ++turn) {
    write(log, 300);
    log.rotate();
    write(log, 300);
  }
  wait_read();
  expect_all_once();
}

TEST_F(Rotation, LinesWrittenToTheRenamedFileByAWorkerThatStillHoldsItArrive) {
  LogFile log(scene.log);
  write(log, 10);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  wait_read();
  std::filesystem::rename(scene.log, scene.log.string() + ".1");
  LogFile created(scene.log);
  write(created, 10);
  wait_read();
  write(log, 10);  // into etl.log.1
  wait_read();
  write(created, 10);
  wait_read();
  expect_all_once();
}

TEST_F(Rotation, SeveralTimesWhileTheAgentIsDownLosesNothing) {
  LogFile log(scene.log);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  write(log, 200);
  wait_read();
  scene.agent.kill9();
  for (int turn = 0; turn < 4; ++turn) {
    write(log, 200);
    log.rotate();
  }
  write(log, 200);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  wait_read();
  expect_all_once();
}

TEST_F(Rotation, TruncatedToZeroAndWrittenAnewIsANewFile) {
  LogFile log(scene.log);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (int turn = 0; turn < 4; ++turn) {
    write(log, 100 - 20 * turn);  // shorter each time
    wait_read();
    log.truncate();
  }
  expect_all_once();
}

TEST_F(Rotation, TruncatedAndAtOnceLongerThanBeforeIsANewFile) {
  LogFile log(scene.log);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  write(log, 50);
  wait_read();
  log.truncate();
  write(log, 500);
  wait_read();
  expect_all_once();
}

TEST_F(Rotation, TruncatedAndBegunWithTheSameLineIsReadAgain) {
  LogFile log(scene.log);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  int lines = 0;
  for (int turn = 3; turn >= 1; --turn) {
    log.append_line(R"({"level":"INFO","msg":"log opened"})");
    write(log, turn);
    lines += turn + 1;
    ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == lines; })) << scene.agent.log();
    log.truncate();
  }
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, static_cast<std::uint64_t>(lines))) << scene.agent.log();
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message = 'log opened'"), 3);
  EXPECT_EQ(scene.sql.number("SELECT count(DISTINCT message) FROM observability.log_events"), next_ + 1);
}

TEST_F(Rotation, APartialLastLineIsReadOnceItIsWhole) {
  LogFile log(scene.log);
  write(log, 3);
  const std::string line = numbered(next_);
  log.append(line.substr(0, 20));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  wait_read();
  log.append(line.substr(20));
  ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_source_lag_bytes") > 0; }));
  EXPECT_EQ(scene.agent.lines_read(), next_);
  scene.agent.kill9();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append("\n");
  ++next_;
  wait_read();
  write(log, 3);
  wait_read();
  expect_all_once();
}

TEST_F(Rotation, AFileThatAppearsLaterIsFound) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  LogFile log(scene.log);
  write(log, 50);
  wait_read();
  expect_all_once();
}

TEST_F(Rotation, AFileThatIsRemovedAfterItWasReadTroublesNobody) {
  {
    LogFile log(scene.log);
    write(log, 50);
  }
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  wait_read();
  std::filesystem::remove(scene.log);
  LogFile log(scene.log);
  write(log, 50);
  wait_read();
  expect_all_once();
}

TEST(TwoSources, AreReadSideBySideAndCountedApart) {
  const TempDir directory;
  AgentSetup setup;
  setup.directory = directory.path();
  setup.sources = {{"orders", (directory / "orders*.log").string()}, {"people", (directory / "people.log").string()}};
  const std::string url = PostgresCluster::shared().create_migrated_database("two_sources");
  setup.postgres_url = url;
  AgentProcess agent(setup);
  LogFile first(directory / "orders-a.log"), second(directory / "orders-b.log"), third(directory / "people.log");
  int next = 0;
  for (int i = 0; i < 100; ++i) {
    for (LogFile* file : {&first, &second, &third}) file->append_line(numbered(next++));
  }
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  const Sql sql(url);
  EXPECT_TRUE(wait_delivered(sql, agent, 300)) << agent.log();
  expect_every_line_once(sql, 300);
  EXPECT_EQ(agent.metric("runtail_lines_read_total", {{"source", "orders"}}), 200);
  EXPECT_EQ(agent.metric("runtail_lines_read_total", {{"source", "people"}}), 100);
  EXPECT_EQ(sql.number("SELECT count(*) FROM observability.log_events WHERE stream = 'test/orders'"), 200);
  EXPECT_EQ(sql.number("SELECT count(*) FROM observability.source_files WHERE stream NOT LIKE '%/runtail/self'"), 3);
}

}  // namespace
}  // namespace runtail::test
