// Logs that are removed before they are read: as long as the agent has them open nothing is lost, and what it may not
// hold any longer is counted. Their descriptors are given back.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/file_scene.h"
#include "tests/support/process_facts.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

TEST(DeletedFiles, AreReadToTheirEndAndLetGo) {
  FileScene scene;
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  {
    LogFile log(scene.logs / "etl.log");
    log.append(scene.some_lines(10));
    ASSERT_TRUE(scene.all_read());
    scene.agent.signal(SIGSTOP);
    log.append(scene.some_lines(20'000));
    std::filesystem::remove(log.path());
    scene.agent.signal(SIGCONT);
    ASSERT_TRUE(scene.all_read());
    log.append(scene.some_lines(10));  // the worker has it open, and nobody sees it any more
    ASSERT_TRUE(scene.all_read());
  }
  LogFile anew(scene.logs / "etl.log");
  anew.append(scene.some_lines(10));
  scene.expect_all_once();
  if (!long_run()) return;
  // A worker may write on into it, so it is held for a while: 60 s at most.
  EXPECT_TRUE(wait_until([&] { return open_below(scene.agent.pid(), scene.logs).size() == 1; }, Deadline(60'000)));
}

TEST(DeletedFiles, OfWhichMoreIsUnreadThanMayBeHeldAreCountedToTheByte) {
  constexpr int kLines = 15'000;  // about 0.7 MiB
  AgentSetup setup;
  setup.sources = {{"etl", "*.log", "max_unread_deleted_bytes: 1MiB"}};
  FileScene scene(setup);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  LogFile first(scene.logs / "first.log"), second(scene.logs / "second.log"), third(scene.logs / "third.log");
  for (LogFile* log : {&first, &second, &third}) {
    log->append(scene.some_lines(10));
    ASSERT_TRUE(scene.all_read());
  }
  scene.fill_buffer(third);
  const double read = scene.agent.lines_read(), unread = scene.lag();
  const auto unread_lines = static_cast<double>(scene.lines) - read;
  const std::string a = scene.some_lines(kLines), b = scene.some_lines(kLines);
  first.append(a);
  second.append(b);
  ASSERT_TRUE(wait_until([&] { return scene.lag() == unread + static_cast<double>(a.size() + b.size()); }));
  std::filesystem::remove(first.path());
  ASSERT_TRUE(
      wait_until([&] { return open_below(scene.agent.pid(), first.path().string() + " (deleted)").size() == 1; }));
  EXPECT_EQ(scene.lost("deleted"), 0) << "within the limit";
  std::filesystem::remove(second.path());
  // Both together are more than may be held: the older one goes.
  ASSERT_TRUE(wait_until([&] { return open_below(scene.agent.pid(), first.path().string() + " (deleted)").empty(); }))
      << scene.agent.log();
  scene.empty_buffer();
  ASSERT_TRUE(wait_until([&] { return scene.lost("deleted") > 0; })) << scene.agent.log();
  EXPECT_EQ(scene.lost("deleted"), static_cast<double>(a.size()));
  EXPECT_NE(scene.agent.log().find(first.path().string() + " was deleted with"), std::string::npos)
      << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == read + unread_lines + kLines; }))
      << scene.agent.lines_read() << '\n'
      << scene.agent.log();
  const auto stored = static_cast<std::uint64_t>(read + unread_lines + kLines);
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, stored));
  EXPECT_EQ(scene.sql.number("SELECT count(DISTINCT message) FROM observability.log_events"),
            static_cast<std::int64_t>(stored));
}

}  // namespace
}  // namespace runtail::test
