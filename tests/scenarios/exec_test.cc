// `runtail exec` in front of a worker: transparent to it and to whoever started it, and a run for each.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "tests/support/scene.h"

namespace runtail::test {
namespace {

class Exec : public testing::Test {
 protected:
  Exec()
      : agent([this] {
          AgentSetup setup;
          setup.directory = directory.path();
          return setup;
        }()) {}

  std::vector<std::string> command(const std::string& job, std::vector<std::string> worker) const {
    std::vector<std::string> argv = {RUNTAIL_BINARY, "exec", "--job", job, "--buffer-directory", agent.buffer(), "--"};
    argv.insert(argv.end(), worker.begin(), worker.end());
    return argv;
  }
  Finished exec(const std::string& job, std::vector<std::string> worker) const {
    Command wrapped;
    wrapped.argv = command(job, std::move(worker));
    return run_to_end(std::move(wrapped));
  }
  Finished shell(const std::string& job, const std::string& script) const { return exec(job, {"sh", "-c", script}); }

  // The runs of a job once there are `count` and the last has ended.
  std::vector<JsonRow> ended_runs(const std::string& job, std::size_t count = 1) {
    std::vector<JsonRow> found;
    EXPECT_TRUE(wait_until([&] {
      found.clear();
      for (JsonRow& row : agent.runs()) {
        if (row["job_id"] == job && !row["finished_at"].empty()) found.push_back(std::move(row));
      }
      return found.size() >= count;
    })) << agent.log();
    return found;
  }

  // Lines that are no JSON, of all jobs, in the order in which they were stored.
  std::vector<std::string> texts() const {
    const std::string events = agent.ask({"buffer", "ls", "--events", "--limit", "100000"}).output;
    std::vector<std::string> found;
    for (std::size_t at = 0; (at = events.find("\"text\":\"", at)) != std::string::npos;) {
      at += 8;
      found.push_back(events.substr(at, events.find('"', at) - at));
    }
    return found;
  }

  TempDir directory;
  AgentProcess agent;
};

TEST_F(Exec, PassesOutputAndExitCodeOnAndMakesASuccessfulRun) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  const Finished done = shell("fine", "echo out; echo err >&2; exit 0");
  EXPECT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_EQ(done.output, "out\n");
  EXPECT_EQ(done.errors, "err\n");
  const std::vector<JsonRow> runs = ended_runs("fine");
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].at("status"), "success");
}

TEST_F(Exec, AFailingWorkerGivesAFailedRunAndItsOwnExitCode) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_EQ(shell("bad", "echo trying; exit 7").exit_code, 7);
  const std::vector<JsonRow> runs = ended_runs("bad");
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].at("status"), "failed");
  EXPECT_EQ(runs[0].at("end_reason"), "exit_code");
}

TEST_F(Exec, NoOutputAtAllStillGivesARun) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_EQ(exec("silent", {"true"}).exit_code, 0);
  EXPECT_EQ(exec("silent_failure", {"false"}).exit_code, 1);
  EXPECT_EQ(ended_runs("silent").at(0).at("status"), "success");
  EXPECT_EQ(ended_runs("silent_failure").at(0).at("status"), "failed");
}

TEST_F(Exec, AKilledWorkerEndsItsRunAsKilled) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_EQ(shell("killed", "echo working; kill -9 $$").exit_code, 137);
  const std::vector<JsonRow> runs = ended_runs("killed");
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].at("status"), "failed");
  EXPECT_EQ(runs[0].at("end_reason"), "signal");
}

TEST_F(Exec, ACommandThatIsNotThereEndsWith127AndOneThatIsNoProgramWith126) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  const Finished missing = exec("missing", {"/no/such/worker"});
  EXPECT_EQ(missing.exit_code, 127);
  EXPECT_NE(missing.errors.find("/no/such/worker"), std::string::npos) << missing.errors;
  std::ofstream(directory / "no_program") << "text";
  EXPECT_EQ(exec("no_program", {directory / "no_program"}).exit_code, 126);
}

TEST_F(Exec, TheWorkersOwnRunIsEndedWhenItDiesInTheMiddle) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_EQ(
      shell("own",
            R"(echo '{"level":"INFO","msg":"go","event":"run.started","job_id":"own","run_id":"own-1"}'; kill -9 $$)")
          .exit_code,
      137);
  const std::vector<JsonRow> runs = ended_runs("own");
  ASSERT_EQ(runs.size(), 1u) << "not one of the wrapper's beside it";
  EXPECT_EQ(runs[0].at("external_run_id"), "own-1");
  EXPECT_EQ(runs[0].at("status"), "failed");
  EXPECT_EQ(runs[0].at("end_reason"), "signal");
}

TEST_F(Exec, WhatTheLogSaidOfTheOutcomeStandsAgainstTheExitCode) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_EQ(
      shell(
          "said",
          R"(echo '{"level":"INFO","msg":"done","event":"run.finished","status":"success","job_id":"said","run_id":"said-1"}'; exit 3)")
          .exit_code,
      3);
  EXPECT_EQ(ended_runs("said").at(0).at("status"), "success");
}

TEST_F(Exec, SignalsReachTheWorker) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  Command wrapped;
  wrapped.argv =
      command("signalled", {"sh", "-c", "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done"});
  wrapped.output = directory / "output";
  ChildProcess child(wrapped);
  ASSERT_TRUE(wait_until([&] { return read_file(directory / "output").find("ready") != std::string::npos; }));
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), 3);
  EXPECT_EQ(read_file(directory / "output"), "ready\nasked\n");
}

TEST_F(Exec, WithoutAnAgentTheWorkerRunsAndTheAgentLearnsOfItLater) {
  // runtail-exec, with no runtail to start.
  Command wrapped;
  const std::filesystem::path go = directory / "go";
  wrapped.argv = {RUNTAIL_EXEC_BINARY,
                  "--job",
                  "alone",
                  "--buffer-directory",
                  agent.buffer(),
                  "--",
                  "sh",
                  "-c",
                  "echo first; until [ -e " + go.string() + " ]; do sleep 0.05; done; echo last; exit 4"};
  wrapped.environment = {{"RUNTAIL_AGENT", "/nonexistent"}};
  wrapped.output = directory / "output";
  wrapped.errors = directory / "errors";
  ChildProcess child(wrapped);
  ASSERT_TRUE(wait_until([&] { return read_file(wrapped.output) == "first\n"; })) << read_file(wrapped.errors);
  ASSERT_TRUE(wait_until([&] { return read_file(wrapped.errors).find("without one") != std::string::npos; }));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  std::ofstream{go};
  EXPECT_EQ(child.wait(), 4);
  EXPECT_EQ(read_file(wrapped.output), "first\nlast\n");
  const std::vector<JsonRow> runs = ended_runs("alone");
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].at("status"), "failed");
  EXPECT_EQ(runs[0].at("exit_code"), "4");
  EXPECT_EQ(texts(), (std::vector<std::string>{"first", "last"}));
}

TEST_F(Exec, WithoutAnAgentItStartsOneAndTheNextFindsTheRun) {
  const Finished done = shell("own_agent", "echo out; exit 4");
  EXPECT_EQ(done.exit_code, 4);
  EXPECT_EQ(done.output, "out\n");
  EXPECT_EQ(done.errors, "");
  EXPECT_EQ(texts(), std::vector<std::string>{"out"}) << read_file(agent.buffer() / "agent.log");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_EQ(ended_runs("own_agent").at(0).at("end_reason"), "exit_code");
  EXPECT_EQ(texts(), std::vector<std::string>{"out"});
}

TEST_F(Exec, TheAgentsDeathDoesNotHarmTheWorker) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  Command wrapped;
  wrapped.argv = command(
      "survivor",
      {"sh", "-c", "echo first; read -r line; i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done; exit 5"});
  const std::filesystem::path fifo = directory / "go";
  ASSERT_EQ(std::system(("mkfifo " + fifo.string()).c_str()), 0);
  wrapped.argv.back().insert(0, "exec < " + fifo.string() + "; ");
  wrapped.output = directory / "output";
  ChildProcess child(wrapped);
  std::ofstream(fifo) << "go\n";  // opens once the worker does
  agent.kill9();
  EXPECT_EQ(child.wait(), 5);
  const std::string output = read_file(directory / "output");
  EXPECT_EQ(output.substr(output.size() - 6), "19999\n");
  // What the next agent finds: the wrapper took the place of the dead one, or kept what it had.
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  const std::vector<JsonRow> runs = ended_runs("survivor");
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].at("end_reason"), "exit_code");
  std::vector<std::string> want = {"first"};
  for (int i = 0; i < 20'000; ++i) want.push_back(std::to_string(i));
  EXPECT_EQ(texts(), want);
}

TEST_F(Exec, ABigOutputComesThroughUnchanged) {
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  const Finished done = shell("big", "seq 1 200000");
  EXPECT_EQ(done.exit_code, 0);
  std::string want;
  for (int i = 1; i <= 200'000; ++i) want += std::to_string(i) + '\n';
  EXPECT_EQ(done.output, want);
  EXPECT_EQ(ended_runs("big").at(0).at("status"), "success");
}

}  // namespace
}  // namespace runtail::test
