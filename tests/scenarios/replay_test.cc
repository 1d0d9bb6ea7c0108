// Backfill: old files give the rows the live agent gives, once, however often and in which form they come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/time.h"
#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

WorkloadOptions options(std::uint64_t lines) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = lines;
  options.event_runs = 0.5;
  return options;
}

// What the live agent makes of a file.
std::map<std::string, std::string> tailed(const std::string& text, std::uint64_t lines) {
  ReplayScene live;
  write_file(live.logs / "etl.log", text);
  EXPECT_TRUE(live.agent.start_healthy()) << live.agent.log();
  EXPECT_TRUE(wait_until([&] { return live.agent.lines_read() == static_cast<double>(lines); })) << live.agent.log();
  live.agent.terminate();
  EXPECT_TRUE(live.agent.start_healthy());
  EXPECT_TRUE(wait_until([&] { return live.agent.metric("runtail_records_pending") == 0; }));
  live.agent.terminate();
  return table_digests(live.sql);
}

TEST(Replay, GivesTheRowsOfTheLiveAgent) {
  Workload workload(options(by_scale(6000, 200'000)));
  const std::string text = workload_text(workload);
  const auto expected = tailed(text, workload.expected().lines);
  ReplayScene scene;
  write_file(scene.logs / "etl.log", text);
  const auto done = scene.replay({"--full", scene.logs});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  EXPECT_EQ(table_digests(scene.sql), expected);
  expect_runs(scene.sql, workload.expected());
  EXPECT_EQ(scene.number(done, "lines,read"), static_cast<std::int64_t>(workload.expected().lines));
  EXPECT_EQ(scene.number(done, "runs,created"), static_cast<std::int64_t>(workload.expected().runs.size()));
  scene.expect_balance(done);
}

// One line of theirs may state several events, and some hold bodies that are counted and never kept.
TEST(Replay, OfOtherToolsGivesTheRowsOfTheLiveAgent) {
  const auto dbt = [](const std::string& name, const std::string& second, const std::string& data) {
    return R"({"data":{)" + data + R"(},"info":{"invocation_id":"5f0c","level":"info","msg":"m","name":")" + name +
           R"(","extra":{"RUN_ID":"r-77","JOB_ID":"shop"},"ts":")" + to_rfc3339(SystemClock().now()).substr(0, 17) +
           second + "Z\"}}\n";
  };
  const std::string node = R"("node_info":{"unique_id":"model.shop.sales","resource_type":"model","node_status":")";
  const std::string text =
      dbt("MainReportVersion", "01.5", R"("version":"=1.10.4")") + dbt("LogStartLine", "02.5", node + R"(started"})") +
      dbt("SQLQuery", "03.5", R"x("sql":"INSERT INTO t VALUES ('CANARY')")x") +
      dbt("LogModelResult", "04.5",
          R"("status":"INSERT 0 512","execution_time":1.5,)" + node +
              R"(success","node_relation":{"relation_name":"\"mart\".\"sales\""}})") +
      dbt("EndOfRunSummary", "05.5", R"("keyboard_interrupt":false,"num_errors":0,"num_warnings":0)");
  const auto lines = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
  const auto expected = tailed(text, lines);
  EXPECT_TRUE(expected.contains("dataset_status"));
  ReplayScene scene;
  write_file(scene.logs / "etl.log", text);
  const auto done = scene.replay({"--full", scene.logs});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  EXPECT_EQ(table_digests(scene.sql), expected);
  EXPECT_EQ(scene.number(done, "lines,dropped"), 1);
  EXPECT_THAT(scene.sql.rows("SELECT 1 FROM observability.log_events t WHERE t::text LIKE '%CANARY%'"),
              testing::IsEmpty());
  scene.expect_balance(done);
}

TEST(Replay, ChangesNothingTheSecondTimeWhateverTheFilesAreCalledAndHowTheyArePacked) {
  Workload workload(options(by_scale(4000, 200'000)));
  const std::string text = workload_text(workload);
  const std::size_t third = text.find('\n', text.size() / 3) + 1, half = text.find('\n', text.size() / 2) + 1;
  ReplayScene scene;
  write_file(scene.logs / "etl.log.2", text.substr(0, third));
  write_file(scene.logs / "etl.log.1", text.substr(third, half - third));
  write_file(scene.logs / "etl.log", text.substr(half));
  auto done = scene.replay({scene.logs});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  expect_runs(scene.sql, workload.expected());
  const auto once = table_digests(scene.sql);
  const std::int64_t read = scene.number(done, "lines,read");
  EXPECT_EQ(read, static_cast<std::int64_t>(workload.expected().lines));

  fs::rename(scene.logs / "etl.log.2", scene.logs / "old");
  run_command({"gzip", scene.logs / "old"});
  fs::rename(scene.logs / "old.gz", scene.logs / "without an ending");
  run_command({"zstd", "-q", "--rm", scene.logs / "etl.log.1"});
  // Beside them the beginning of one, and one twice.
  write_file(scene.logs / "begin", text.substr(third, text.find('\n', third + (half - third) / 2) + 1 - third));
  fs::copy_file(scene.logs / "etl.log", scene.logs / "copy");
  done = scene.replay({scene.logs, scene.logs / "copy"});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  EXPECT_EQ(table_digests(scene.sql), once);
  EXPECT_EQ(scene.number(done, "lines,duplicate"), scene.number(done, "lines,read")) << done.receipt;
  EXPECT_GT(scene.number(done, "lines,read"), read);
  EXPECT_EQ(scene.number(done, "runs,created"), 0);
  EXPECT_EQ(scene.number(done, "runs,updated"), 0);

  // A beginning alone: what follows it is in the store only.
  done = scene.replay({scene.logs / "begin"});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  EXPECT_EQ(table_digests(scene.sql), once);
  EXPECT_EQ(scene.text(done, "files,0,new"), "false");
}

TEST(Replay, KeepsWhatABackfillIsForUnlessAskedForAll) {
  Workload workload(options(4000));
  const std::string text = workload_text(workload);
  const auto expected = tailed(text, workload.expected().lines);
  ReplayScene scene;
  write_file(scene.logs / "etl.log", text);
  auto done = scene.replay({scene.logs / "etl.log"});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  EXPECT_GT(scene.number(done, "lines,level_filtered"), 0);
  const auto loud = workload.expected().json_lines_by_level;
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE level IN ('WARN', 'ERROR') "
                             "AND raw_text IS NULL"),
            loud.at("WARN") + loud.at("ERROR"));
  EXPECT_EQ(scene.sql.log_events(), scene.number(done, "records,log_events,applied"));
  expect_runs(scene.sql, workload.expected());
  auto audit = table_digests(scene.sql);
  // Runs, tasks, datasets and sums are those of all lines.
  for (const auto& [table, digest] : expected) {
    if (table == "log_events") continue;
    EXPECT_EQ(audit[table], digest) << table;
  }
  // Nothing is applied again, what was left out is added.
  done = scene.replay({"--full", scene.logs / "etl.log"});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  EXPECT_EQ(table_digests(scene.sql), expected);
  EXPECT_EQ(scene.number(done, "runs,updated"), 0);
  EXPECT_EQ(scene.number(done, "records,job_runs,applied"), 0);
  EXPECT_EQ(scene.number(done, "records,log_events,applied") + scene.number(done, "records,log_events,duplicate"),
            scene.sql.log_events());
  scene.expect_balance(done);
}

TEST(Replay, OfWhatTheAgentTailsOrTailedChangesNothing) {
  Workload workload(options(by_scale(6000, 100'000)));
  const std::string text = workload_text(workload);
  const auto expected = tailed(text, workload.expected().lines);
  ReplayScene scene;
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  {
    LogFile log(scene.logs / "etl.log");
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.size(), at + 600'000 + at % 777);  // in mid-line
      log.append(text.substr(at, end - at));
      at = end;
      const auto done = scene.replay({"--full", scene.logs});
      ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
      scene.expect_balance(done);
    }
  }
  const auto done = scene.replay({"--full", scene.logs});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  ASSERT_TRUE(wait_until([&] {
    return scene.agent.lines_read() == static_cast<double>(workload.expected().lines) &&
           scene.agent.metric("runtail_records_pending") == 0;
  })) << scene.agent.log();
  EXPECT_EQ(table_digests(scene.sql), expected);
  // What the agent counts is what it read: all of it, once.
  expect_counters(scene.agent, workload.expected());
  const auto again = scene.replay({"--full", scene.logs});
  EXPECT_EQ(scene.number(again, "lines,duplicate"), scene.number(again, "lines,read")) << again.receipt;
  EXPECT_EQ(scene.number(again, "runs,updated"), 0);
  EXPECT_EQ(table_digests(scene.sql), expected);
}

}  // namespace
}  // namespace runtail::test
