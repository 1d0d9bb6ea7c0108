// Tools that name no run: the process that printed their lines is one, in a pod, under exec, and by its file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/container_lines.h"
#include "tests/support/exec_stage.h"
#include "tests/support/file_scene.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

constexpr char kRuns[] =
    "SELECT job_id, status, records_extracted, attempt_count FROM observability.job_runs ORDER BY records_extracted "
    "DESC";
constexpr char kTasks[] =
    "SELECT t.name, t.status, t.records_extracted, coalesce(t.error_category, '') FROM observability.task_runs t ORDER "
    "BY "
    "t.first_event_at, t.name";

std::vector<std::string> source_lines() {
  std::ifstream file(std::string(RUNTAIL_SOURCE_DIR) + "/tests/testdata/dialects/airbyte/source.log");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class PodRun : public testing::Test {
 protected:
  static AgentSetup pods() {
    AgentSetup setup;
    setup.sources = {{"pods", "pods/*/*/*.log", "type: kubernetes"}};
    return setup;
  }
  PodRun() : scene(pods()) {
    directory = scene.logs / "pods" / "etl_sync-7d9f_0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0" / "source";
    fs::create_directories(directory);
  }
  void append(LogFile& log, const std::vector<std::string>& lines, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      for (const std::string& piece : cri_pieces(lines[i])) {
        log.append(piece);
        ++written;
      }
    }
  }
  testing::AssertionResult is_read() {
    const bool all = wait_until([&] { return scene.agent.lines_read() == static_cast<double>(written); });
    return all ? testing::AssertionSuccess() : testing::AssertionFailure() << scene.agent.log();
  }
  FileScene scene;
  fs::path directory;
  std::size_t written = 0;
};

// The container's log is rotated while its process goes on; then the container starts again.
TEST_F(PodRun, IsTheContainersProcessOverARotationAndAnotherOneAfterARestart) {
  const std::vector<std::string> lines = source_lines();
  auto log = std::make_unique<LogFile>(directory / "0.log");
  append(*log, lines, 0, 6);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(is_read());
  fs::rename(log->path(), directory / "0.log.20261121-100000");
  log = std::make_unique<LogFile>(directory / "0.log");
  append(*log, lines, 6, lines.size());
  ASSERT_TRUE(is_read());
  LogFile again(directory / "1.log");
  append(again, lines, 0, 5);
  ASSERT_TRUE(is_read());
  // Nothing ends them: the kubelet is not asked.
  EXPECT_TRUE(wait_until([&] {
    return scene.sql.rows(kRuns) == std::vector<std::string>{"etl/source|running|4|1", "etl/source|running|1|1"};
  })) << testing::PrintToString(scene.sql.rows(kRuns));
  EXPECT_THAT(
      scene.sql.rows("SELECT name, status, records_extracted FROM observability.task_runs WHERE run_id = (SELECT "
                     "run_id FROM observability.job_runs WHERE records_extracted = 4) ORDER BY name"),
      ElementsAre("shop.orders|success|3", "shop.users|failed|1"));
}

TEST(ExecRun, IsTheWorkersAndItsExitEndsIt) {
  ExecStage stage("process_run_exec");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const std::string log = std::string(RUNTAIL_SOURCE_DIR) + "/tests/testdata/dialects/airbyte/source.log";
  EXPECT_EQ(stage.run_shell({"--job", "sync"}, "cat " + log + "; exit 1").exit_code, 1);
  EXPECT_THAT(stage.sql.rows(kRuns), ElementsAre("sync|failed|4|1"));
  EXPECT_THAT(stage.sql.rows(kTasks), ElementsAre("shop.orders|success|3|", "shop.users|failed|1|API"));
  EXPECT_EQ(stage.run_shell({"--job", "sync"}, "head -8 " + log).exit_code, 0);
  EXPECT_THAT(stage.sql.rows("SELECT status, records_extracted FROM observability.job_runs ORDER BY 1"),
              ElementsAre("failed|4", "success|3"));
}

// In a task of a scheduler it is a part of that run, and the exit ends the task.
TEST(ExecRun, OfATaskBelongsToTheSchedulersRun) {
  ExecStage stage("process_run_task");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const std::string log = std::string(RUNTAIL_SOURCE_DIR) + "/tests/testdata/dialects/airbyte/source.log";
  const auto done = stage.run_shell({}, "head -8 " + log,
                                    {{"AIRFLOW_CTX_DAG_ID", "shop"},
                                     {"AIRFLOW_CTX_TASK_ID", "sync"},
                                     {"AIRFLOW_CTX_DAG_RUN_ID", "manual-1"},
                                     {"AIRFLOW_CTX_TRY_NUMBER", "2"}});
  EXPECT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_THAT(stage.sql.rows(kRuns), ElementsAre("shop|running|3|1"));
  EXPECT_THAT(stage.sql.rows("SELECT name, status, attempt_no FROM observability.task_runs ORDER BY name"),
              ElementsAre("shop.orders|running|1", "sync|success|2"));
}

// Of a plain file nobody knows when its process changes: each file is one.
TEST(FileRun, IsTheFilesSoThatARotationBeginsAnother) {
  FileScene scene;
  const std::vector<std::string> lines = source_lines();
  auto log = std::make_unique<LogFile>(scene.logs / "sync.log");
  for (std::size_t i = 0; i < 5; ++i) log->append_line(lines[i]);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == 5; }));
  fs::rename(log->path(), scene.logs / "sync.log.1");
  log = std::make_unique<LogFile>(scene.logs / "sync.log");
  for (std::size_t i = 5; i < 8; ++i) log->append_line(lines[i]);
  EXPECT_TRUE(wait_until([&] { return scene.sql.number("SELECT count(*) FROM observability.job_runs") == 2; }))
      << scene.agent.log();
  EXPECT_THAT(scene.sql.rows("SELECT records_extracted FROM observability.job_runs ORDER BY 1"), ElementsAre("1", "2"));
}

}  // namespace
}  // namespace runtail::test
