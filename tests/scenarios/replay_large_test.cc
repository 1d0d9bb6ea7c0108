// A set of archives larger than memory goes through in bounded memory.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

std::uint64_t peak_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib;
  }
  return 0;
}

TEST(ReplayLarge, ASetOfArchivesGoesThroughInBoundedMemory) {
  TempDir directory;
  AgentProcess agent(tailing(directory, "", {}));
  std::filesystem::create_directory(directory / "archive");
  // 10 GB in files of 100 MB with --long. Of each other only the first line differs: it is the work that counts.
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale(20'000, 240'000);
  Workload workload(options);
  const std::string text = workload_text(workload);
  const int files = by_scale(3, 100);
  for (int i = 0; i < files; ++i) {
    const auto path = directory / ("archive/etl.log." + std::to_string(i));
    write_file(path, "{\"level\":\"INFO\",\"msg\":\"file " + std::to_string(i) + "\"}\n" + text);
    if (i % 2 == 0) {
      run_command({"gzip", "-1", path});
    } else {
      run_command({"zstd", "-q", "-1", "--rm", path});
    }
  }
  Command command;
  command.argv = {RUNTAIL_BINARY, "replay", "--config", agent.config_path(), "--workers", "2", directory / "archive"};
  command.output = directory / "receipt";
  command.errors = directory / "errors";
  ChildProcess process(command);
  std::uint64_t peak = 0;
  while (process.running()) {
    peak = std::max(peak, peak_kib(process.pid()));
    if (process.wait(std::chrono::milliseconds(20))) break;
  }
  EXPECT_EQ(process.wait().value_or(-1), 0) << read_file(command.errors);
  const std::string receipt = read_file(command.output);
  const auto lines = static_cast<std::uint64_t>(files) * (options.lines + 1);
  EXPECT_NE(receipt.find("\"lines\":{\"read\":" + std::to_string(lines)), std::string::npos) << receipt;
  EXPECT_GT(peak, 0u);
  EXPECT_LT(peak, 150u << 10) << "KiB";
  std::printf("%llu lines, peak %llu KiB\n", static_cast<unsigned long long>(lines),
              static_cast<unsigned long long>(peak));
}

}  // namespace
}  // namespace runtail::test
