// A hundred thousand job ids, as a worker makes them that puts a date or a hash into the name: the page and the memory
// of the agent stay bounded, nothing is lost in the sums, and the guard says that it folded.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

constexpr int kJobs = 100'000;

// Each opens a run, states a list of columns and ends its run.
void write_jobs(LogFile& log, int from, int to) {
  std::string lines;
  for (int i = from; i < to; ++i) {
    const std::string id = std::to_string(i);
    const std::string head = R"({"ts":"2026-03-01T00:00:00Z","level":"INFO","msg":"m","job_id":"job-)" + id +
                             R"(","run_id":"r)" + id + "\",";
    lines += head + R"("event":"dq","table":"t)" + id + R"(","columns":[{"name":"c","type":"int"}]})" + '\n';
    lines += head + R"("event":"run.finished","status":"success"})" + '\n';
  }
  lines.pop_back();
  log.append_line(lines);
}

TEST(LabelFlood, PageAndMemoryStayBoundedAndTheSumsWhole) {
  const TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  LogFile log(directory / "etl.log");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  const auto read = [&](int jobs) {
    return wait_until([&] { return agent.lines_read() == 2.0 * jobs; }, kPatience, Deadline(50));
  };
  write_jobs(log, 0, kJobs / 2);
  ASSERT_TRUE(read(kJobs / 2)) << agent.log();
  const std::size_t page = agent.get("/metrics").body.size();
  const std::uint64_t resident = agent.rss_kib();

  write_jobs(log, kJobs / 2, kJobs);
  ASSERT_TRUE(read(kJobs)) << agent.log();
  const std::size_t page_at_end = agent.get("/metrics").body.size();
  const std::uint64_t resident_at_end = agent.rss_kib();
  RecordProperty("page_bytes", static_cast<int>(page_at_end));
  RecordProperty("resident_kib_half", static_cast<int>(resident));
  RecordProperty("resident_kib_end", static_cast<int>(resident_at_end));
  // Digits of counters may be added, series not.
  EXPECT_LT(page_at_end, page + 1'000);
  EXPECT_LT(page_at_end, 2u << 20);
  EXPECT_LT(resident_at_end, resident + (16u << 10)) << "KiB";

  const auto scrape = agent.scrape();
  ASSERT_TRUE(scrape);
  EXPECT_EQ(scrape->sum("trialsync_jobs_total"), kJobs);
  EXPECT_GT(scrape->sum("trialsync_jobs_total", {{"job_id", "__other__"}, {"status", "__other__"}}), kJobs / 2);
  EXPECT_EQ(scrape->sum("trialsync_jobs_running"), 0);
  EXPECT_EQ(scrape->sum("runtail_ledger_imbalance"), 0);
  for (const std::string family : {"trialsync_jobs_total", "trialsync_job_failures_total", "trialsync_jobs_running"}) {
    EXPECT_GT(scrape->sum("runtail_series_folded_total", {{"family", family}}), kJobs / 2) << family;
  }
}

}  // namespace
}  // namespace runtail::test
