// Old files into the agent's own store: with one worker and with two, beside the live agent that reads the same files,
// alternately. Each is a process of its own and begins with nothing.
#include <sys/resource.h>

#include <cstdio>
#include <fstream>

#include "tests/bench/bench.h"
#include "tests/bench/measure.h"
#include "tests/support/agent_process.h"
#include "tests/support/process_facts.h"
#include "tests/support/wait_until.h"

namespace runtail::bench {
namespace {

constexpr std::size_t kFiles = 8;

double children_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

test::AgentSetup empty_place(const std::filesystem::path& directory, const std::filesystem::path& logs) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  test::AgentSetup setup;
  setup.directory = directory;
  setup.sources = {{"etl", (logs / "*.log").string()}};
  return setup;
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "runtail-bench replay: %s\n", why.c_str());
  std::exit(4);
}

Figure live(const std::filesystem::path& directory, const std::filesystem::path& logs, double lines, double bytes) {
  test::AgentProcess agent(empty_place(directory, logs));
  const auto start = std::chrono::steady_clock::now();
  if (!agent.start_healthy()) give_up("the agent does not start\n" + agent.log());
  if (!test::wait_until([&] { return agent.lines_read() == lines; }))
    give_up("the agent does not read\n" + agent.log());
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Figure figure{"live agent", lines, bytes, wall, test::cpu_seconds(agent.pid())};
  agent.terminate();
  return figure;
}

Figure replay(const std::filesystem::path& directory, const std::filesystem::path& logs, int workers, double lines,
              double bytes) {
  test::AgentProcess place(empty_place(directory, logs));  // its configuration; it never runs
  test::Command command;
  command.argv = {RUNTAIL_BINARY,          "replay", "--full", "--config", place.config_path(), "--workers",
                  std::to_string(workers), logs};
  const double cpu = children_cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  const test::Finished done = test::run_to_end(std::move(command), std::chrono::hours(1));
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (done.exit_code != 0) give_up("replay ended with " + std::to_string(done.exit_code) + "\n" + done.errors);
  return {"replay, " + std::to_string(workers) + (workers == 1 ? " worker" : " workers"), lines, bytes, wall,
          children_cpu_seconds() - cpu};
}

}  // namespace

void bench_replay(const BenchOptions& options) {
  const std::filesystem::path logs = options.directory / "replay-logs", place = options.directory / "replay-place";
  std::filesystem::create_directories(logs);
  const std::string text = make_workload(options);
  for (std::size_t i = 0, at = 0; i < kFiles; ++i) {
    const std::size_t end = i + 1 == kFiles ? text.size() : text.find('\n', text.size() * (i + 1) / kFiles) + 1;
    std::ofstream(logs / ("etl-" + std::to_string(i) + ".log"), std::ios::binary) << text.substr(at, end - at);
    at = end;
  }
  const auto lines = static_cast<double>(options.lines), bytes = static_cast<double>(text.size());
  std::vector<Figure> agent, one, two;
  for (int round = 0; round < options.rounds; ++round) {
    agent.push_back(live(place, logs, lines, bytes));
    one.push_back(replay(place, logs, 1, lines, bytes));
    two.push_back(replay(place, logs, 2, lines, bytes));
  }
  const Figure base = median(agent), single = median(one), both = median(two);
  print(base);
  char note[96];
  std::snprintf(note, sizeof note, "%.2f of the live agent per core",
                base.cpu_per_million() / single.cpu_per_million());
  print(single, note);
  std::snprintf(note, sizeof note, "%.2f of one worker", both.lines_per_s() / single.lines_per_s());
  print(both, note);
}

}  // namespace runtail::bench
