// Dashboards show the past, too: the real promtool makes blocks of what a replay writes, and a real Prometheus that
// begins with them answers for the time before it ran.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cstring>
#include <memory>

#include "core/time.h"
#include "tests/support/prometheus_server.h"
#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

TEST(ReplayMetrics, BlocksMadeByPromtoolAnswerForTheTimeOfTheLines) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale(8000, 500'000);
  options.event_runs = 0.5;
  // Apart by a day, so that each half has a time of its own.
  options.start = std::chrono::floor<std::chrono::hours>(std::chrono::system_clock::now()) - std::chrono::hours(50);
  Workload workload(options);
  TempDir directory;
  AgentProcess agent(tailing(directory, ""));  // its configuration; it never runs
  write_file(directory / "etl.log", workload_text(workload));
  const Expected expected = workload.expected();

  Command replay;
  const auto out = directory / "history.om";
  replay.argv = {RUNTAIL_BINARY,      "replay", "--config",           agent.config_path(),
                 "--openmetrics-out", out,      directory / "etl.log"};
  const Finished done = run_to_end(std::move(replay));
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_FALSE(std::filesystem::exists(agent.buffer())) << "nothing goes to the store";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 3) << "nothing is left over";
  run_command({"promtool", "tsdb", "create-blocks-from", "openmetrics", out, directory / "blocks"});

  const PrometheusServer prometheus(directory / "blocks");
  ASSERT_TRUE(prometheus.is_ready()) << prometheus.log();
  const auto first = std::chrono::duration_cast<std::chrono::seconds>(options.start.time_since_epoch()).count();
  const auto end = first + static_cast<std::int64_t>(options.lines * 11 / 1000) + 120;
  const auto at_end = " @ " + std::to_string(end);
  // Counters hold at the end what an independent count of the lines holds.
  for (const auto& [labels, value] : expected.jobs_total) {
    const std::string job = labels.substr(0, labels.find('|')), status = labels.substr(labels.find('|') + 1);
    const Scrape answer =
        prometheus.query("trialsync_jobs_total{job_id=\"" + job + "\",status=\"" + status + "\"}" + at_end);
    EXPECT_EQ(answer.sum("trialsync_jobs_total"), value) << labels;
  }
  double loaded = 0;
  for (const auto& [labels, value] : expected.records_loaded_total) loaded += value;
  EXPECT_EQ(prometheus.query("sum(trialsync_records_loaded_total" + at_end + ")").sum(""), loaded);
  // Not all at once: it grew over time, and increase() sees all of it.
  const auto at_half = " @ " + std::to_string((first + end) / 2);
  double total = 0;
  for (const auto& [labels, value] : expected.jobs_total) total += value;
  const double half = prometheus.query("sum(trialsync_jobs_total" + at_half + ")").sum("");
  if (options.lines > 20'000) {
    EXPECT_GT(half, 0);
    EXPECT_LT(half, total);
  }
  EXPECT_EQ(prometheus.query("sum(trialsync_job_duration_seconds_count" + at_end + ")").sum(""), total);
  const Scrape before = prometheus.query("trialsync_jobs_total @ " + std::to_string(first - 3600));
  EXPECT_EQ(before.sum("trialsync_jobs_total"), 0);
}

TEST(ReplayMetrics, OnAFullDiskItSaysSoAndLeavesNothing) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale(4000, 50'000);
  Workload workload(options);
  TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  write_file(directory / "etl.log", workload_text(workload));
  const std::filesystem::path small = directory / "small", out = small / "history.om";
  std::filesystem::create_directory(small);
  // Wherever it is when the disk is full.
  int failed = 0;
  for (const int kib : {100, 270, 300, 330, 1 << 20}) {
    const std::string size = "size=" + std::to_string(kib) + "k";
    if (mount("tmpfs", small.c_str(), "tmpfs", 0, size.c_str()) != 0) {
      GTEST_SKIP() << "mount is refused here: " << std::strerror(errno);
    }
    const auto unmount = [](const std::filesystem::path* path) { umount2(path->c_str(), MNT_DETACH); };
    const std::unique_ptr<const std::filesystem::path, decltype(unmount)> mounted(&small, unmount);
    Command replay;
    replay.argv = {RUNTAIL_BINARY,      "replay", "--config",           agent.config_path(),
                   "--openmetrics-out", out,      directory / "etl.log"};
    const Finished done = run_to_end(std::move(replay));
    const auto left = std::distance(std::filesystem::directory_iterator(small), {});
    if (kib == 1 << 20) {
      EXPECT_EQ(done.exit_code, 0) << done.errors;
      EXPECT_EQ(left, 1);
    } else if (done.exit_code != 0) {
      ++failed;
      EXPECT_EQ(done.exit_code, 4) << done.errors << done.output;
      EXPECT_NE(done.errors.find("No space left"), std::string::npos) << kib << ' ' << done.errors;
      if (!done.output.empty()) {
        EXPECT_NE(done.output.find(R"("complete":false)"), std::string::npos) << done.output;
      }
      EXPECT_EQ(left, 0) << kib;
    }
  }
  EXPECT_GE(failed, 2);
}

}  // namespace
}  // namespace runtail::test
