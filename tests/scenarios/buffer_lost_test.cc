// The buffer directory is gone at the next start; PostgreSQL keeps its rows. What source_files says is covered is not
// written again, the rest is read again from the files.
#include <gtest/gtest.h>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

TEST(BufferLost, BetweenTwoStartsNothingIsLostAndNothingComesTwice) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(20'000, 200'000);
  options.event_runs = 0.3;
  Scene scene("buffer_lost");
  Workload workload(options);
  LogWriter writer(scene.log, workload, {.rotate_every = options.lines / 7});

  writer.allow(options.lines / 2);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  // Some delivered, some only buffered, some not read.
  ASSERT_TRUE(wait_until([&] { return scene.sql.log_events() > 0; })) << scene.agent.log();
  scene.agent.kill9();
  std::filesystem::remove_all(scene.agent.buffer());
  writer.allow_all();
  ASSERT_TRUE(wait_until([&] { return writer.done(); }));

  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_every_line_once(scene.sql, options.lines);
  expect_runs(scene.sql, workload.expected());
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  // Counters begin anew, as after any restart without state; what they count is what this buffer accepted.
  const double read = scene.agent.lines_read();
  EXPECT_GT(read, 0);
  EXPECT_EQ(scene.agent.metric("runtail_lines_total"), read);
}

TEST(BufferLost, AfterEverythingWasDeliveredNothingIsWrittenAgain) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 5000;
  Scene scene("buffer_lost_idle");
  Workload workload(options);
  write_all(scene.log, workload);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  EXPECT_EQ(scene.agent.terminate().exit_code, 0);
  std::filesystem::remove_all(scene.agent.buffer());

  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  {
    LogFile file(scene.log);
    file.append_line(R"({"level":"INFO","msg":"seq=5000 one more"})");
  }
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines + 1)) << scene.agent.log();
  expect_every_line_once(scene.sql, options.lines + 1);
  expect_runs(scene.sql, workload.expected());
}

}  // namespace
}  // namespace runtail::test
