// What many files cost: the agent's CPU, memory and descriptors while 50 of 2,000 files grow, and while none does.
#include <cstdio>
#include <memory>
#include <vector>

#include "core/time.h"
#include "tests/bench/bench.h"
#include "tests/support/agent_process.h"
#include "tests/support/log_writer.h"
#include "tests/support/process_facts.h"
#include "tests/support/wait_until.h"

namespace runtail::bench {
namespace {

constexpr int kFiles = 2000, kActive = 50, kLinesPerSecond = 10;
constexpr std::chrono::seconds kMeasured{30};

std::string line() {
  SystemClock clock;
  return R"({"ts":")" + to_rfc3339(clock.now()) +
         R"(","level":"INFO","msg":"batch loaded","records_loaded":100})"
         "\n";
}

// One stretch, with `active` of the files growing by 10 lines a second each.
void measure_files(test::AgentProcess& agent, std::vector<std::unique_ptr<test::LogFile>>& files, int active) {
  const double cpu = test::cpu_seconds(agent.pid()), read = agent.lines_read();
  const auto begin = std::chrono::steady_clock::now();
  double written = 0;
  std::size_t turn = 0;
  while (std::chrono::steady_clock::now() - begin < kMeasured) {
    for (int i = 0; i < active; ++i, ++written) files[turn++ % static_cast<std::size_t>(active)]->append(line());
    test::let_pass(std::chrono::microseconds(1'000'000 / kLinesPerSecond));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double used = test::cpu_seconds(agent.pid()) - cpu;
  const bool all = test::wait_until([&] { return agent.lines_read() == read + written; });
  std::printf("%d files, %2d active (%4.0f lines/s): CPU %5.2f %% of one core, %4.0f MB resident, %zu descriptors%s\n",
              kFiles, active, written / seconds, used / seconds * 100, static_cast<double>(agent.rss_kib()) / 1024,
              test::open_paths(agent.pid()).size(), all ? "" : "; NOT ALL LINES WERE READ");
}

}  // namespace

void bench_files(const BenchOptions& options) {
  const std::filesystem::path directory = options.directory / "files";
  std::filesystem::create_directories(directory / "logs");
  test::AgentSetup setup;
  setup.directory = directory;
  setup.sources = {{"tasks", (directory / "logs" / "*.log").string()}};
  test::AgentProcess agent(setup);
  std::vector<std::unique_ptr<test::LogFile>> files;
  for (int i = 0; i < kFiles; ++i) {
    test::LogFile file(directory / "logs" / ("task-" + std::to_string(i) + ".log"));
    for (int n = 0; n < 10; ++n) file.append(line());
  }
  for (int i = 0; i < kActive; ++i) {
    files.push_back(std::make_unique<test::LogFile>(directory / "logs" / ("task-" + std::to_string(40 * i) + ".log")));
  }
  if (!agent.start_healthy() || !test::wait_until([&] { return agent.lines_read() == 10.0 * kFiles; })) {
    std::fprintf(stderr, "runtail-bench files: the agent does not start or does not read\n%s\n", agent.log().c_str());
    std::exit(4);
  }
  measure_files(agent, files, kActive);
  measure_files(agent, files, 0);
}

}  // namespace runtail::bench
