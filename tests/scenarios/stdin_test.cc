// A job's output piped into the agent: everything delivered when the pipe ends, or durable and said so.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <thread>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using namespace std::chrono_literals;

// The job's end of the pipe.
class JobOutput {
 public:
  JobOutput() {
    if (pipe2(ends_, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  }
  ~JobOutput() {
    close_reader();
    end();
  }
  // For the agent to open; call started() then, so that the pipe breaks when the agent ends.
  std::filesystem::path reader() const { return "/proc/self/fd/" + std::to_string(ends_[0]); }
  void close_reader() {
    if (ends_[0] >= 0) ::close(std::exchange(ends_[0], -1));
  }
  // False: nobody reads any more.
  bool write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t put = ::write(ends_[1], text.data(), text.size());
      if (put < 0) return false;
      text.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
  }
  void end() {
    if (ends_[1] >= 0) ::close(std::exchange(ends_[1], -1));
  }

 private:
  int ends_[2] = {-1, -1};
};

std::string lines_of(Workload& workload) {
  std::string text, line;
  while (workload.next(line)) text += line + '\n';
  return text;
}

WorkloadOptions options(std::uint64_t lines) {
  WorkloadOptions out;
  out.seed = seed();
  out.lines = lines;
  out.event_runs = 0.3;
  return out;
}

// An agent that reads a pipe, started when the stage is set.
struct Stage {
  explicit Stage(std::string postgres_url, std::vector<std::string> more = {}, std::vector<AgentSource> sources = {}) {
    std::signal(SIGPIPE, SIG_IGN);
    setup.directory = directory.path();
    setup.postgres_url = std::move(postgres_url);
    setup.sources = std::move(sources);
    setup.arguments = {"--stdin"};
    setup.arguments.insert(setup.arguments.end(), more.begin(), more.end());
  }
  AgentProcess& start() {
    setup.input = job.reader();
    agent = std::make_unique<AgentProcess>(setup);
    agent->start();
    job.close_reader();
    return *agent;
  }
  // With nothing to read: it delivers what is left and ends.
  int run_again() {
    setup.input.clear();
    agent = std::make_unique<AgentProcess>(setup);
    agent->start();
    return agent->wait_end();
  }
  TempDir directory;
  JobOutput job;
  AgentSetup setup;
  std::unique_ptr<AgentProcess> agent;
};

TEST(Stdin, EveryLineIsInPostgresOnceWhenTheAgentEndsWithThePipe) {
  Stage stage(PostgresCluster::shared().conninfo("stdin_all"));
  const Sql sql(PostgresCluster::shared().create_migrated_database("stdin_all"));
  Workload workload(options(by_scale<std::uint64_t>(20'000, 500'000)));
  const std::string text = lines_of(workload);
  AgentProcess& agent = stage.start();
  EXPECT_TRUE(stage.job.write(text)) << agent.log();
  stage.job.end();
  EXPECT_EQ(agent.wait_end(), 0) << agent.log();
  expect_every_line_once(sql, workload.expected().lines);
  expect_runs(sql, workload.expected());
}

TEST(Stdin, AJobOfOneLineIsThereWhenTheAgentHasEnded) {
  Stage stage(PostgresCluster::shared().conninfo("stdin_one"), {"--job", "nightly"});
  const Sql sql(PostgresCluster::shared().create_migrated_database("stdin_one"));
  AgentProcess& agent = stage.start();
  EXPECT_TRUE(
      stage.job.write(R"({"level":"INFO","msg":"done","run_id":"r1","event":"run.finished","status":"success"})"));
  stage.job.end();
  EXPECT_EQ(agent.wait_end(), 0) << agent.log();
  EXPECT_EQ(sql.rows("SELECT job_id, status FROM observability.job_runs"),
            (std::vector<std::string>{"nightly|success"}));
}

TEST(Stdin, WithPostgresAwayItSaysWhatIsLeftAndTheNextStartDeliversIt) {
  PostgresCluster cluster;
  const Sql sql(cluster.create_migrated_database("stdin_away"));
  Stage stage(cluster.conninfo("stdin_away"), {"--drain", "1s"});
  cluster.stop();
  Workload workload(options(2'000));
  const std::string text = lines_of(workload);
  AgentProcess& agent = stage.start();
  EXPECT_TRUE(stage.job.write(text)) << agent.log();
  stage.job.end();
  EXPECT_EQ(agent.wait_end(), 1) << agent.log();
  EXPECT_NE(agent.log().find("not delivered yet: "), std::string::npos) << agent.log();
  EXPECT_NE(agent.log().find(" records for postgres; it is durable in "), std::string::npos) << agent.log();
  cluster.start();
  stage.setup.arguments.back() = "30s";
  EXPECT_EQ(stage.run_again(), 0) << stage.agent->log();
  expect_every_line_once(sql, workload.expected().lines);
  expect_runs(sql, workload.expected());
}

TEST(Stdin, KilledItLosesOnlyWhatWasNotCommittedAndRepeatsNothing) {
  const Sql sql(PostgresCluster::shared().create_migrated_database("stdin_kill"));
  Stage stage(PostgresCluster::shared().conninfo("stdin_kill"));
  Workload workload(options(50'000));
  const std::string text = lines_of(workload);
  AgentProcess& agent = stage.start();
  std::thread job([&] { stage.job.write(text); });
  EXPECT_TRUE(wait_until([&] { return agent.lines_read() > 0; })) << agent.log();
  const double before = agent.lines_read();
  agent.kill9();
  job.join();  // the pipe broke, or it had all
  EXPECT_EQ(stage.run_again(), 0) << stage.agent->log();
  const std::int64_t lines = sql.log_events();
  EXPECT_GE(static_cast<double>(lines), before);
  // From the first line on without a hole.
  expect_every_line_once(sql, static_cast<std::uint64_t>(lines));
}

TEST(Stdin, BesideOtherSourcesTheAgentGoesOnAfterItsEnd) {
  const TempDir files;
  Stage stage("", {}, {{"etl", (files / "etl.log").string()}});
  AgentProcess& agent = stage.start();
  stage.job.write("from the pipe\n");
  stage.job.end();
  ASSERT_TRUE(wait_until([&] {
    return agent.metric("runtail_lines_read_total", {{"source", "stdin"}}) == 1;
  })) << agent.log();
  LogFile(files / "etl.log").append_line("from the file");
  EXPECT_TRUE(wait_until([&] {
    return agent.metric("runtail_lines_read_total", {{"source", "etl"}}) == 1;
  })) << agent.log();
  EXPECT_EQ(agent.terminate().exit_code, 0) << agent.log();
}

TEST(Stdin, OnATerminalItSaysThatItWaits) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_TRUE(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0) << std::strerror(errno);
  const int keep = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
  Stage stage("");
  stage.setup.input = ptsname(terminal);
  AgentProcess agent(stage.setup);
  agent.start();
  EXPECT_TRUE(wait_until([&] { return agent.log().find("waits for lines on the terminal") != std::string::npos; }));
  EXPECT_EQ(write(terminal, "typed\n\x04", 7), 7);
  EXPECT_EQ(agent.wait_end(), 0) << agent.log();
  close(keep);
  close(terminal);
}

TEST(Stdin, AFullDiskMakesTheJobWaitAndCostsNoLine) {
  const TempDir small;
  if (mount("tmpfs", small.path().c_str(), "tmpfs", 0, "size=96m") != 0)
    GTEST_SKIP() << "mount is refused here: " << std::strerror(errno);
  const std::shared_ptr<void> mounted(nullptr, [&](void*) { umount2(small.path().c_str(), MNT_DETACH); });
  Stage stage("");
  std::filesystem::create_directory(small / "buffer");
  std::filesystem::create_directory_symlink(small / "buffer", stage.directory / "buffer");
  Workload workload(options(by_scale(300'000, 500'000)));
  const std::string text = lines_of(workload);
  AgentProcess& agent = stage.start();
  const std::size_t first = text.find('\n', text.size() / 100) + 1;
  ASSERT_TRUE(stage.job.write(std::string_view(text).substr(0, first)));
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() > 0; })) << agent.log();
  {
    std::ofstream ballast(small / "ballast", std::ios::binary);
    const std::string block(1 << 16, 'b');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
  }
  std::atomic<bool> written{false};
  std::thread job([&] {
    stage.job.write(std::string_view(text).substr(first));
    written = true;
  });
  EXPECT_TRUE(wait_until([&] { return agent.metric("runtail_buffer_degraded") == 1; })) << agent.log();
  EXPECT_FALSE(written);
  std::filesystem::remove(small / "ballast");
  const double lines = static_cast<double>(workload.expected().lines);
  EXPECT_TRUE(wait_until([&] { return agent.lines_read() == lines; })) << agent.lines_read() << '\n' << agent.log();
  job.join();
  expect_counters(agent, workload.expected());
  stage.job.end();
  EXPECT_EQ(agent.wait_end(), 0) << agent.log();
}

}  // namespace
}  // namespace runtail::test
