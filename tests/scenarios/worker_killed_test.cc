// A worker is killed with SIGKILL and its log says nothing of it: its open runs fail, and only those.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

std::string line(const std::string& run, const std::string& members) {
  return R"({"ts":")" + to_rfc3339(SystemClock().now()) + R"(","level":"INFO","msg":"m","job_id":"orders","run_id":")" +
         run + "\"," + members + "}";
}

// A worker of which a pid file tells, beside an api of which none does.
class WorkerKilled : public testing::Test {
 protected:
  explicit WorkerKilled(const std::string& database = "worker_killed")
      : sql(PostgresCluster::shared().create_migrated_database(database)), agent(setup(database)) {
    std::ofstream(directory / "etl.pid") << worker.pid() << '\n';
  }
  AgentSetup setup(const std::string& database) {
    AgentSetup setup = tailing(directory, PostgresCluster::shared().conninfo(database));
    setup.sources[0].more = "worker: {pid_file: " + (directory / "etl.pid").string() + "}";
    setup.sources.push_back({"api", (directory / "api.log").string()});
    return setup;
  }
  static Command sleeper() {
    Command command;
    command.argv = {"sleep", "1000"};
    return command;
  }
  void kill_worker() {
    worker.signal(SIGKILL);
    worker.wait();
  }
  std::string state(const std::string& run) {
    const auto rows = sql.rows(
        "SELECT status, end_reason, verdict_source, error_category FROM observability.job_runs "
        "WHERE external_run_id = '" +
        run + "'");
    return rows.empty() ? "" : rows[0];
  }
  // `lost` or, where the kernel tells how the process ended, `signal`.
  bool has_failed(const std::string& run) {
    const std::string now = state(run);
    return now == "failed|lost|inferred|System" || now == "failed|signal|inferred|System";
  }

  TempDir directory;
  ChildProcess worker{sleeper()};
  Sql sql;
  AgentProcess agent;
  LogFile log{directory / "etl.log"}, api{directory / "api.log"};
};

TEST_F(WorkerKilled, OpenRunsFailAndALastWordCounts) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  log.append_line(line("open", R"("event":"run.started")"));
  log.append_line(line("last", R"("event":"run.started")"));
  api.append_line(line("other", R"("event":"run.started")"));
  ASSERT_TRUE(wait_until([&] { return sql.log_events() == 3; })) << agent.log();
  log.append_line(line("last", R"("event":"run.finished","status":"success")"));
  kill_worker();
  const auto died = std::chrono::steady_clock::now();
  ASSERT_TRUE(wait_until([&] { return has_failed("open"); })) << state("open") << agent.log();
  EXPECT_LT(std::chrono::steady_clock::now() - died, std::chrono::seconds(20));
  EXPECT_EQ(state("last"), "success|completed|log|");
  EXPECT_EQ(state("other"), "running||log|");
  EXPECT_EQ(
      sql.rows("SELECT a.status, a.verdict_source FROM observability.run_attempts a JOIN observability.job_runs r "
               "USING (run_id) WHERE r.external_run_id = 'open'"),
      std::vector<std::string>{"failed|inferred"});
  ASSERT_TRUE(wait_until([&] { return agent.metric("runtail_ledger_imbalance") == 0; }));
  EXPECT_EQ(agent.metric("trialsync_jobs_total", {{"status", "failed"}}), 1);
  EXPECT_EQ(agent.metric("runtail_verdict_corrections_total"), 0) << "the run whose end was logged failed meanwhile";
  EXPECT_EQ(agent.lines_read(), 4) << "a verdict of our own is no line read";

  // It is told once.
  ASSERT_EQ(agent.terminate().exit_code, 0);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  log.append_line(line("new", R"("event":"run.started")"));
  ASSERT_TRUE(wait_until([&] { return state("new") == "running||log|"; })) << agent.log();
  EXPECT_EQ(sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'worker is gone%'"), 1);
}

class WorkerKilledUnseen : public WorkerKilled {
 protected:
  WorkerKilledUnseen() : WorkerKilled("worker_killed_unseen") {}
};

TEST_F(WorkerKilledUnseen, WhileTheAgentIsDownIsToldWhenItIsBack) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  log.append_line(line("open", R"("event":"run.started")"));
  log.append_line(line("last", R"("event":"run.started")"));
  ASSERT_TRUE(wait_until([&] { return sql.log_events() == 2; })) << agent.log();
  // What lives is known within a second of its pid file's being there; only then is its death known for certain.
  ASSERT_TRUE(wait_until([&] { return agent.metric("runtail_source_open_files", {{"source", "etl/worker"}}) == 1; }));
  agent.kill9();
  log.append_line(line("last", R"("event":"run.finished","status":"success")"));
  kill_worker();
  std::filesystem::remove(directory / "etl.pid");
  // The next worker is at work before the agent is.
  const ChildProcess next(sleeper());
  std::ofstream(directory / "etl.pid") << next.pid() << '\n';
  log.append_line(line("next", R"("event":"run.started")"));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return state("open") == "failed|lost|inferred|System"; })) << state("open");
  EXPECT_EQ(state("last"), "success|completed|log|");
  EXPECT_EQ(state("next"), "running||log|");
  EXPECT_EQ(agent.metric("runtail_verdict_corrections_total"), 0);
}

}  // namespace
}  // namespace runtail::test
