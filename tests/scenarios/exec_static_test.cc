// runtail-exec needs nothing but itself: it runs in an empty root and in one with nothing but busybox.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/exec_stage.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::uintmax_t kBytesMax = 2 << 20;  // without symbols

class ExecStatic : public testing::Test {
 protected:
  static std::string next_database() {
    static int databases = 0;
    return "exec_static_" + std::to_string(++databases);
  }
  ExecStatic() : database(next_database()), stage(database), root(stage.directory / "root") {
    fs::create_directories(root / "buffer");
    fs::copy_file(RUNTAIL_EXEC_BINARY, root / "runtail-exec");
  }

  // In the root; the agent's buffer directory is /buffer there.
  Finished run(const std::vector<std::string>& words) const {
    Command command;
    command.argv = {"chroot", root};
    if (geteuid() != 0) command.argv.insert(command.argv.begin(), {"unshare", "--user", "--map-root-user"});
    command.argv.insert(command.argv.end(), {"/runtail-exec", "--buffer-directory", "/buffer"});
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    return run_to_end(command);
  }

  const std::string database;
  ExecStage stage;
  const fs::path root;
};

TEST_F(ExecStatic, ItIsSmallAndAsksForNoLibrary) {
  Command strip;
  strip.argv = {"strip", root / "runtail-exec"};
  ASSERT_EQ(run_to_end(strip).exit_code, 0);
  EXPECT_LE(fs::file_size(root / "runtail-exec"), kBytesMax);
  Command headers;
  headers.argv = {"readelf", "--program-headers", "--dynamic", root / "runtail-exec"};
  const std::string text = run_to_end(headers).output;
  EXPECT_THAT(text, HasSubstr("LOAD"));
  EXPECT_EQ(text.find("INTERP"), std::string::npos) << "it needs a loader of its root";
  EXPECT_EQ(text.find("NEEDED"), std::string::npos) << text;
}

TEST_F(ExecStatic, AnEmptyRootIsEnough) {
  const Finished done = run({"--drain", "0", "--", "/runtail-exec", "--version"});
  EXPECT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_THAT(done.output, HasSubstr("runtail-exec "));
  EXPECT_EQ(run({"--drain", "0", "--", "/no/such/worker"}).exit_code, 127);
}

TEST_F(ExecStatic, InABusyboxRootItsLinesReachTheAgentOutside) {
  const fs::path busybox = fs::exists("/bin/busybox") ? "/bin/busybox" : "/usr/bin/busybox";
  if (!fs::exists(busybox)) GTEST_SKIP() << "busybox-static is not installed";
  fs::create_directories(root / "bin");
  fs::copy_file(busybox, root / "bin/busybox");
  fs::create_symlink("busybox", root / "bin/sh");
  // The root's buffer directory is the agent's, as a volume that both containers mount.
  fs::remove(root / "buffer");
  AgentSetup setup;
  setup.directory = stage.directory.path();
  setup.postgres_url = PostgresCluster::shared().conninfo(database);
  setup.environment = {{"RUNTAIL_BUFFER_DIRECTORY", root / "buffer"}};
  AgentProcess agent(setup);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  const Finished done = run({"--job", "alpine", "--", "sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(done.exit_code, 3) << done.errors;
  EXPECT_EQ(done.output, "out\n");
  EXPECT_EQ(done.errors, "err\n");
  EXPECT_THAT(stage.sql.rows("SELECT job_id, status FROM observability.job_runs"),
              testing::ElementsAre("alpine|failed"));
  EXPECT_EQ(stage.sql.number("SELECT count(*) FROM observability.log_events WHERE raw_text IN ('out', 'err')"), 2);
}

}  // namespace
}  // namespace runtail::test
