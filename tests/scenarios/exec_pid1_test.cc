// As PID 1 of a container: orphans are reaped, signals reach the worker, the exit code is the worker's.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "tests/support/exec_stage.h"

namespace runtail::test {
namespace {

class ExecPid1 : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) unshare_.insert(unshare_.begin() + 1, {"--user", "--map-root-user"});
    std::vector<std::string> probe = unshare_;
    probe.push_back("true");
    Command command;
    command.argv = probe;
    if (run_to_end(command).exit_code != 0) GTEST_SKIP() << "no PID namespace of one's own is allowed here";
    static int databases = 0;
    stage.emplace("exec_pid1_" + std::to_string(++databases));
    ASSERT_TRUE(stage->agent.start_healthy()) << stage->agent.log();
  }
  Command as_pid1(const std::string& script) const {
    Command command = stage->held({}, {"sh", "-c", script});
    command.argv.insert(command.argv.begin(), unshare_.begin(), unshare_.end());
    return command;
  }

  std::vector<std::string> unshare_ = {"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"};
  std::optional<ExecStage> stage;
};

// Each inner shell leaves a child that outlives it: an orphan whose parent is then PID 1.
TEST_F(ExecPid1, OrphansLeaveNoZombies) {
  const Finished done = run_to_end(as_pid1(R"sh(
    for i in 1 2 3 4 5 6 7 8; do sh -c '(exec sleep 0.05) & exec true'; done
    left() { grep -l "^PPid:[[:space:]]1$" /proc/[0-9]*/status 2>/dev/null | grep -vc "^/proc/$$/"; }
    for i in $(seq 1 400); do [ "$(left)" = 0 ] && break; sleep 0.05; done
    echo "pid of holder $(cut -d' ' -f4 /proc/$$/stat), orphans $(left)"; exit 5)sh"));
  EXPECT_EQ(done.output, "pid of holder 1, orphans 0\n") << done.errors;
  EXPECT_EQ(done.exit_code, 5);
}

TEST_F(ExecPid1, ASignalOfTheContainerRuntimeReachesTheWorker) {
  Command command = as_pid1("trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
  command.output = stage->directory / "output";
  ChildProcess child(command);
  ASSERT_TRUE(wait_until([&] { return read_file(command.output) == "ready\n"; }));
  // The runtime signals PID 1, which is unshare's only child here.
  const std::string children =
      "/proc/" + std::to_string(child.pid()) + "/task/" + std::to_string(child.pid()) + "/children";
  const int holder = std::atoi(read_file(children).c_str());
  ASSERT_GT(holder, 0);
  kill(holder, SIGTERM);
  EXPECT_EQ(child.wait(), 3);
  EXPECT_EQ(read_file(command.output), "ready\nasked\n");
}

}  // namespace
}  // namespace runtail::test
