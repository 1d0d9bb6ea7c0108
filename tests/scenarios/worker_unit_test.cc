// `worker.unit`: the control group that systemd makes for a unit has no process left.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

// A slice with the group of one service, as systemd lays them out, in whichever hierarchy this machine has.
class ServiceGroup {
 public:
  explicit ServiceGroup(const std::string& unit) {
    const fs::path root = "/sys/fs/cgroup";
    const fs::path top = fs::exists(root / "cgroup.controllers") ? root : root / "systemd";
    slice_ = top / ("runtail-test-" + std::to_string(getpid()) + ".slice");
    group_ = slice_ / unit;
    is_there_ = mkdir(slice_.c_str(), 0755) == 0 && mkdir(group_.c_str(), 0755) == 0;
  }
  ~ServiceGroup() {
    rmdir(group_.c_str());
    rmdir(slice_.c_str());
  }
  ServiceGroup(const ServiceGroup&) = delete;
  ServiceGroup& operator=(const ServiceGroup&) = delete;

  bool is_there() const { return is_there_; }
  void take_in(pid_t pid) const { std::ofstream(group_ / "cgroup.procs") << pid << std::flush; }

 private:
  fs::path slice_, group_;
  bool is_there_ = false;
};

TEST(WorkerUnit, TheEndOfTheServicesLastProcessEndsItsRuns) {
  const std::string unit = "runtail-test-etl-" + std::to_string(getpid()) + ".service";
  const ServiceGroup group(unit);
  if (!group.is_there()) GTEST_SKIP() << "needs the right to make a control group";
  const TempDir directory;
  AgentSetup setup = tailing(directory, "");
  setup.sources[0].more = "worker: {unit: " + unit + "}";
  AgentProcess agent(setup);
  Command sleeper;
  sleeper.argv = {"sleep", "1000"};
  ChildProcess worker(sleeper), helper(sleeper);
  group.take_in(worker.pid());
  group.take_in(helper.pid());
  LogFile log(directory / "etl.log");
  log.append_line(R"({"ts":")" + to_rfc3339(SystemClock().now()) +
                  R"(","level":"INFO","msg":"go","job_id":"orders","run_id":"r","event":"run.started"})");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 1; })) << agent.log();
  const auto state = [&] {
    const auto runs = agent.runs();
    return runs.empty() ? ""
                        : runs[0].at("status") + "|" + runs[0].at("end_reason") + "|" + runs[0].at("verdict_source");
  };
  ASSERT_TRUE(wait_until([&] { return state() == "running||"; })) << state() << agent.log();
  worker.signal(SIGKILL);
  worker.wait();
  // A death would be told two looks after it was seen.
  const double since = agent.metric("trialsync_uptime_seconds");
  ASSERT_TRUE(wait_until([&] { return agent.metric("trialsync_uptime_seconds") >= since + 4; }));
  EXPECT_EQ(state(), "running||") << "a process of the service still runs";
  helper.signal(SIGKILL);
  helper.wait();
  ASSERT_TRUE(wait_until([&] { return state() == "failed|lost|inferred"; })) << state() << agent.log();
}

}  // namespace
}  // namespace runtail::test
