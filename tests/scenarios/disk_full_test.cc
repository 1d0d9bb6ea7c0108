// The disk under the buffer fills up while a worker writes: the agent stays, says so, and when there is room again goes
// on from what is durable. Nothing lost, nothing twice.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cstring>
#include <fstream>

#include "tests/support/agent_process.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"
#include "tests/support/workload.h"

namespace runtail::test {
namespace {

TEST(DiskFull, TheAgentWaitsForRoomAndThenGoesOnExactlyOnce) {
  const TempDir directory;
  const std::filesystem::path small = directory / "small";
  std::filesystem::create_directory(small);
  if (mount("tmpfs", small.c_str(), "tmpfs", 0, "size=96m") != 0)
    GTEST_SKIP() << "mount is refused here: " << std::strerror(errno);
  const auto unmount = [&](void*) { umount2(small.c_str(), MNT_DETACH); };
  const std::unique_ptr<void, decltype(unmount)> mounted(directory.path().empty() ? nullptr : const_cast<char*>("x"),
                                                         unmount);

  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale(300'000, 500'000);
  Workload workload(options);
  std::string text, line;
  while (workload.next(line)) text += line + '\n';
  std::ofstream log(directory / "etl.log", std::ios::binary);

  AgentSetup setup;
  setup.directory = directory.path();
  setup.sources = {{"etl", (directory / "etl.log").string()}};
  // The ballast lies beside the buffer, not in it: it is no part of the buffer's own size.
  std::filesystem::create_directory(small / "buffer");
  std::filesystem::create_directory_symlink(small / "buffer", directory / "buffer");
  AgentProcess agent(setup);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  // RocksDB reserves its log ahead: what comes after the disk is full has to be more than that.
  const std::size_t first = text.find('\n', text.size() / 100) + 1;
  log << text.substr(0, first) << std::flush;
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() > 0; })) << agent.log();

  {
    std::ofstream ballast(small / "ballast", std::ios::binary);
    const std::string block(1 << 16, 'b');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
  }
  log << text.substr(first) << std::flush;
  EXPECT_TRUE(wait_until([&] { return agent.log().find("No space left") != std::string::npos; })) << agent.log();
  EXPECT_TRUE(wait_until([&] { return agent.metric("runtail_buffer_degraded") == 1; })) << agent.log();
  EXPECT_EQ(agent.get("/healthz").status, 200);
  EXPECT_EQ(agent.get("/readyz").status, 503);

  std::filesystem::remove(small / "ballast");
  EXPECT_TRUE(wait_until([&] { return agent.lines_read() == static_cast<double>(options.lines); })) << agent.log();
  EXPECT_TRUE(wait_until([&] { return agent.metric("runtail_buffer_degraded") == 0; })) << agent.log();
  const auto scrape = agent.scrape();
  ASSERT_TRUE(scrape);
  EXPECT_EQ(scrape->by("trialsync_jobs_total", "job_id", "status"), [&] {
    // Series begin at 0; the expected ones hold only what happened.
    auto want = workload.expected().jobs_total;
    for (const auto& [series, value] : scrape->by("trialsync_jobs_total", "job_id", "status")) {
      if (value == 0) want.emplace(series, 0);
    }
    return want;
  }());
  EXPECT_EQ(agent.metric("runtail_ledger_imbalance"), 0);
  EXPECT_EQ(agent.terminate().exit_code, 0);
}

}  // namespace
}  // namespace runtail::test
