// Inside a scheduler's task the worker's exit ends that task, never the run; the scheduler's ids reach every line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/exec_stage.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;

const std::map<std::string, std::string> kAirflow = {
    {"AIRFLOW_CTX_DAG_ID", "orders"},
    {"AIRFLOW_CTX_TASK_ID", "load"},
    {"AIRFLOW_CTX_DAG_RUN_ID", "scheduled__2026-03-01T00:00:00+00:00"},
    {"AIRFLOW_CTX_TRY_NUMBER", "2"},
    {"TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
};
constexpr char kRuns[] = "SELECT job_id, external_run_id, status FROM observability.job_runs ORDER BY 1, 2";
constexpr char kTasks[] =
    "SELECT name, attempt_no, t.status, t.verdict_source, t.end_reason, r.external_run_id FROM "
    "observability.task_runs t JOIN observability.job_runs r USING (run_id) ORDER BY 1";

class ExecTaskScope : public testing::Test {
 protected:
  void begin(const std::string& database) {
    stage.emplace(database);
    ASSERT_TRUE(stage->agent.start_healthy()) << stage->agent.log();
  }
  std::optional<ExecStage> stage;
};

TEST_F(ExecTaskScope, AFailedTaskLeavesItsRunRunning) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_task_failed"));
  EXPECT_EQ(stage->run_shell({}, "echo working; exit 7", kAirflow).exit_code, 7);
  EXPECT_THAT(stage->sql.rows(kRuns), ElementsAre("orders|scheduled__2026-03-01T00:00:00+00:00|running"));
  EXPECT_THAT(stage->sql.rows(kTasks),
              ElementsAre("load|2|failed|exit|exit_code|scheduled__2026-03-01T00:00:00+00:00"));
}

// The second try of a task is no second attempt of the run: Airflow's own line, which knows of none, ends it.
TEST_F(ExecTaskScope, ARunWhoseTaskWasRepeatedEndsByTheSchedulersLine) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_task_repeated"));
  auto first = kAirflow;
  first["AIRFLOW_CTX_TRY_NUMBER"] = "1";
  EXPECT_EQ(stage->run_shell({}, "exit 3", first).exit_code, 3);
  EXPECT_EQ(stage->run_shell({}, "exit 0", kAirflow).exit_code, 0);
  const std::string line =
      R"([2026-01-02T03:04:05.000+0000] {dagrun.py:1} INFO - DagRun Finished: dag_id=orders, execution_date=2026-03-01 00:00:00+00:00, run_id=scheduled__2026-03-01T00:00:00+00:00, run_start_date=2026-03-02 00:00:00+00:00, run_end_date=2026-03-02 00:01:00+00:00, run_duration=60.5, state=success, external_trigger=False)";
  EXPECT_EQ(stage->run_shell({"--job", "scheduler"}, "echo '" + line + "'", {}).exit_code, 0);
  EXPECT_THAT(stage->sql.rows("SELECT status, verdict_source, attempt_count, exit_code FROM observability.job_runs "
                              "WHERE job_id = 'orders'"),
              ElementsAre("success|log|1|"));
  EXPECT_THAT(stage->sql.rows("SELECT a.attempt_no, a.exit_code FROM observability.run_attempts a JOIN "
                              "observability.job_runs r USING (run_id) WHERE job_id = 'orders'"),
              ElementsAre("1|"));
  EXPECT_THAT(stage->sql.rows(kTasks),
              ElementsAre("load|2|success|exit|completed|scheduled__2026-03-01T00:00:00+00:00"));
}

TEST_F(ExecTaskScope, TwoTasksOfOneRunAreOneRun) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_task_two"));
  EXPECT_EQ(stage
                ->run_shell({}, "echo extracting",
                            {{"AIRFLOW_CTX_DAG_ID", "orders"},
                             {"AIRFLOW_CTX_TASK_ID", "extract"},
                             {"AIRFLOW_CTX_DAG_RUN_ID", "manual-1"},
                             {"AIRFLOW_CTX_TRY_NUMBER", "1"}})
                .exit_code,
            0);
  EXPECT_EQ(stage
                ->run_shell({}, "kill -9 $$",
                            {{"AIRFLOW_CTX_DAG_ID", "orders"},
                             {"AIRFLOW_CTX_TASK_ID", "load"},
                             {"AIRFLOW_CTX_DAG_RUN_ID", "manual-1"},
                             {"AIRFLOW_CTX_TRY_NUMBER", "1"}})
                .exit_code,
            137);
  EXPECT_THAT(stage->sql.rows(kRuns), ElementsAre("orders|manual-1|running"));
  EXPECT_THAT(stage->sql.rows(kTasks),
              ElementsAre("extract|1|success|exit|completed|manual-1", "load|1|failed|exit|signal|manual-1"));
}

TEST_F(ExecTaskScope, LinesThatStateNoIdsGetTheSchedulersAndThoseThatDoKeepTheirOwn) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_task_ids"));
  EXPECT_EQ(stage
                ->run_shell({},
                            R"(echo plain
echo '{"level":"INFO","msg":"foreign","job_id":"other","run_id":"other-1","trace_id":"t-1"}')",
                            kAirflow)
                .exit_code,
            0);
  EXPECT_THAT(
      stage->sql.rows("SELECT coalesce(message, raw_text), e.run_id = r.run_id, e.trace_id, e.span_id, "
                      "e.task_run_id IS NOT NULL FROM observability.log_events e, observability.job_runs r "
                      "WHERE r.job_id = 'orders' AND (e.raw_text = 'plain' OR e.message = 'foreign') ORDER BY 1"),
      ElementsAre("foreign|f|t-1||f", "plain|t|4bf92f3577b34da6a3ce929d0e0e4736|00f067aa0ba902b7|t"));
}

TEST_F(ExecTaskScope, ATaskRunIdOfAnyWrapperIsATaskToo) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_task_own"));
  EXPECT_EQ(stage
                ->run_shell({}, "echo step",
                            {{"RUNTAIL_TASK_RUN_ID", "0190aaaa-0000-7000-8000-000000000001"},
                             {"RUNTAIL_RUN_ID", "nightly-1"},
                             {"RUNTAIL_JOB_ID", "nightly"}})
                .exit_code,
            0);
  EXPECT_THAT(stage->sql.rows(kRuns), ElementsAre("nightly|nightly-1|running"));
  EXPECT_THAT(stage->sql.rows("SELECT task_run_id, status FROM observability.task_runs"),
              ElementsAre("0190aaaa-0000-7000-8000-000000000001|success"));
}

TEST_F(ExecTaskScope, ScopeRunEndsTheRunThatTheSchedulerNames) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_task_as_run"));
  EXPECT_EQ(stage->run_shell({"--scope", "run"}, "exit 1", kAirflow).exit_code, 1);
  EXPECT_THAT(stage->sql.rows(kRuns), ElementsAre("orders|scheduled__2026-03-01T00:00:00+00:00|failed"));
}

TEST_F(ExecTaskScope, OutsideOfASchedulerTheExitEndsTheRunWithItsTrace) {
  ASSERT_NO_FATAL_FAILURE(begin("exec_task_none"));
  EXPECT_EQ(stage->run_shell({"--job", "plain"}, "exit 0", {{"TRACEPARENT", kAirflow.at("TRACEPARENT")}}).exit_code, 0);
  EXPECT_THAT(stage->sql.rows("SELECT job_id, status, trace_id FROM observability.job_runs"),
              ElementsAre("plain|success|4bf92f3577b34da6a3ce929d0e0e4736"));
}

}  // namespace
}  // namespace runtail::test
