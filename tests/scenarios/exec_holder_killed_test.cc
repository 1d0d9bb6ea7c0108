// The wrapper is killed together with its worker, as by the kernel when a container has no memory left: nobody says how
// the worker ended, and the runs do not stay open for ever.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "tests/support/exec_stage.h"

namespace runtail::test {
namespace {

constexpr char kRuns[] =
    "SELECT job_id, status, end_reason, CASE status WHEN 'failed' THEN verdict_source ELSE '' END FROM "
    "observability.job_runs WHERE job_id <> 'still' ORDER BY 1";
constexpr char kTasks[] = "SELECT name, status, end_reason, verdict_source FROM observability.task_runs";

struct ExecHolderKilled : testing::Test {
  void begin(const std::string& database) {
    stage.emplace(database);
    ASSERT_TRUE(stage->agent.start_healthy()) << stage->agent.log();
    hold({"--job", "silent"}, "exec sleep 1000");
    hold(
        {"--job", "named"},
        R"(echo '{"level":"INFO","msg":"go","job_id":"named","run_id":"r-1","event":"run.started"}'; exec sleep 1000)");
    hold({}, "exec sleep 1000",
         {{"AIRFLOW_CTX_DAG_ID", "orders"}, {"AIRFLOW_CTX_TASK_ID", "load"}, {"AIRFLOW_CTX_DAG_RUN_ID", "manual-1"}});
    ASSERT_TRUE(wait_until([&] { return count("job_runs") == 3 && count("task_runs") == 1; })) << stage->agent.log();
  }
  void hold(const std::vector<std::string>& options, const std::string& script,
            std::map<std::string, std::string> environment = {}) {
    holders.push_back(
        std::make_unique<ChildProcess>(stage->held(options, {"sh", "-c", script}, std::move(environment))));
  }
  std::int64_t count(const std::string& table) {
    return stage->sql.number("SELECT count(*) FROM observability." + table);
  }
  // The holder first: it must not see the worker's end.
  static void kill_both(ChildProcess& holder) {
    const std::string pid = std::to_string(holder.pid());
    const int worker = std::atoi(read_file("/proc/" + pid + "/task/" + pid + "/children").c_str());
    ASSERT_GT(worker, 0);
    holder.signal(SIGKILL);
    ASSERT_EQ(holder.wait(), 128 + SIGKILL);
    kill(worker, SIGKILL);
  }
  void expect_lost() {
    const auto is_lost = [&] {
      return stage->sql.rows(kTasks) == std::vector<std::string>{"load|failed|lost|inferred"} &&
             stage->sql.rows(kRuns) == std::vector<std::string>{"named|failed|lost|inferred", "orders|running||",
                                                                "silent|failed|lost|inferred"};
    };
    EXPECT_TRUE(wait_until(is_lost)) << testing::PrintToString(stage->sql.rows(kRuns))
                                     << testing::PrintToString(stage->sql.rows(kTasks)) << stage->agent.log();
    EXPECT_EQ(stage->agent.metric("runtail_ledger_imbalance"), 0);
  }

  std::optional<ExecStage> stage;
  std::vector<std::unique_ptr<ChildProcess>> holders;
};

TEST_F(ExecHolderKilled, WhatWasOpenIsLostAndASchedulersRunGoesOn) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_holder_killed"));
  for (auto& holder : holders) ASSERT_NO_FATAL_FAILURE(kill_both(*holder));
  expect_lost();
}

TEST_F(ExecHolderKilled, ToldByTheNextAgentAndCorrectedByAWrapperThatOnlyStoodStill) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_holder_killed_unseen"));
  const std::filesystem::path go = stage->directory / "go";
  hold({"--job", "still"}, "echo begun; until [ -e " + go.string() + " ]; do sleep 0.05; done");
  ASSERT_TRUE(wait_until([&] { return count("job_runs") == 4; })) << stage->agent.log();
  ChildProcess& still = *holders.back();
  still.signal(SIGSTOP);
  stage->agent.kill9();
  for (auto& holder : holders) {
    if (holder.get() == &still) continue;
    ASSERT_NO_FATAL_FAILURE(kill_both(*holder));
  }
  ASSERT_TRUE(stage->agent.start_healthy()) << stage->agent.log();
  const auto state = [&] {
    return stage->sql.rows("SELECT status, verdict_source FROM observability.job_runs WHERE job_id = 'still'").at(0);
  };
  ASSERT_TRUE(wait_until([&] { return state() == "failed|inferred"; })) << state() << stage->agent.log();
  std::ofstream{go};
  still.signal(SIGCONT);
  EXPECT_EQ(still.wait(), 0);
  EXPECT_TRUE(wait_until([&] { return state() == "success|exit"; })) << state() << stage->agent.log();
  EXPECT_EQ(stage->sql.number("SELECT count(*) FROM observability.log_events WHERE raw_text = 'begun'"), 1);
  expect_lost();
}

}  // namespace
}  // namespace runtail::test
