// A worker takes more memory than its control group may have, and the kernel kills it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

// A group of this machine's memory controller with a limit, v2 or v1; "" if none may be made.
fs::path limited_group() {
  const fs::path root = "/sys/fs/cgroup";
  const bool is_v2 = fs::exists(root / "cgroup.controllers");
  const fs::path group = (is_v2 ? root : root / "memory") / ("runtail-test-" + std::to_string(getpid()));
  if (mkdir(group.c_str(), 0755) != 0) return {};
  for (const char* limit : {"memory.swap.max", "memory.max", "memory.limit_in_bytes"}) {
    if (!fs::exists(group / limit)) continue;
    std::ofstream(group / limit) << (std::string(limit) == "memory.swap.max" ? 0 : 20'000'000);
  }
  if (fs::exists(group / "memory.max") || fs::exists(group / "memory.limit_in_bytes")) return group;
  rmdir(group.c_str());
  return {};
}

TEST(WorkerOom, TheGroupsOwnWordNamesTheReason) {
  const fs::path group = limited_group();
  if (group.empty()) GTEST_SKIP() << "needs the right to make a control group with a memory limit";
  {
    const TempDir directory;
    AgentSetup setup = tailing(directory, "");
    setup.sources[0].more = "worker: {cgroup: " + group.string() + "}";
    AgentProcess agent(setup);
    ASSERT_TRUE(agent.start_healthy()) << agent.log();
    // It logs that it began, waits for the word, and then asks for more than there is.
    const fs::path log = directory / "etl.log", word = directory / "go";
    Command eater;
    eater.argv = {"sh", "-c",
                  "echo $$ > " + (group / "cgroup.procs").string() + "; echo '" +
                      R"({"level":"INFO","msg":"go","job_id":"orders","run_id":"r","event":"run.started"})" + "' >> " +
                      log.string() + "; until [ -e " + word.string() + " ]; do sleep 0.05; done; exec tail /dev/zero"};
    ChildProcess worker(eater);
    ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 1; })) << agent.log();
    // The group was seen with the worker in it.
    ASSERT_TRUE(wait_until([&] { return agent.ask({"buffer", "ls"}).output.find("etl/worker") != std::string::npos; }));
    std::ofstream{word};
    ASSERT_EQ(worker.wait(), 128 + 9) << "the kernel did not kill it";
    const auto failed = [&] {
      const auto runs = agent.runs();
      return runs.size() == 1 && runs[0].at("status") == "failed";
    };
    ASSERT_TRUE(wait_until(failed)) << agent.log();
    const JsonRow run = agent.runs()[0];
    EXPECT_EQ(run.at("end_reason"), "oom");
    EXPECT_EQ(run.at("verdict_source"), "inferred");
    EXPECT_EQ(run.at("error_category"), "System");
  }
  rmdir(group.c_str());
}

}  // namespace
}  // namespace runtail::test
