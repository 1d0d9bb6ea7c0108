// Old files into the agent's own store, beside the live agent that reads the same files, and into PostgreSQL, beside
// what its server works for them: with one worker and with two, alternately. Each is a process of its own and begins
// with nothing.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measure.h"
#include "tests/support/agent_process.h"
#include "tests/support/postgres_cluster.h"
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

test::AgentSetup empty_place(const std::filesystem::path& directory, const std::filesystem::path& logs,
                             const std::string& postgres_url = "") {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  test::AgentSetup setup;
  setup.directory = directory;
  setup.sources = {{"etl", (logs / "*.log").string()}};
  setup.postgres_url = postgres_url;
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
              double bytes, const std::string& postgres_url = "") {
  test::AgentProcess place(empty_place(directory, logs, postgres_url));  // its configuration; it never runs
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

// Of figures taken one after the other, so that a slow moment of the machine falls on both: the median, and the ends.
std::string ratio_of(const std::vector<Figure>& figures, const std::vector<Figure>& bases,
                     double (*share)(const Figure& figure, const Figure& base), const char* what) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < figures.size(); ++i) ratios.push_back(share(figures[i], bases[i]));
  std::sort(ratios.begin(), ratios.end());
  char note[96];
  std::snprintf(note, sizeof note, "%.2f (%.2f to %.2f) %s", ratios[ratios.size() / 2], ratios.front(), ratios.back(),
                what);
  return note;
}

void write_logs(const std::filesystem::path& logs, const std::string& text) {
  std::filesystem::create_directories(logs);
  for (std::size_t i = 0, at = 0; i < kFiles; ++i) {
    const std::size_t end = i + 1 == kFiles ? text.size() : text.find('\n', text.size() * (i + 1) / kFiles) + 1;
    std::ofstream(logs / ("etl-" + std::to_string(i) + ".log"), std::ios::binary) << text.substr(at, end - at);
    at = end;
  }
}

double per_core(const Figure& figure, const Figure& base) { return base.cpu_per_million() / figure.cpu_per_million(); }
double rate(const Figure& figure, const Figure& base) { return figure.lines_per_s() / base.lines_per_s(); }

}  // namespace

void bench_replay(const BenchOptions& options) {
  const std::filesystem::path logs = options.directory / "replay-logs", place = options.directory / "replay-place";
  const std::string text = make_workload(options);
  const auto lines = static_cast<double>(options.lines), bytes = static_cast<double>(text.size());
  write_logs(logs, text);
  std::vector<Figure> agent, one, two;
  for (int round = 0; round < options.rounds; ++round) {
    agent.push_back(live(place, logs, lines, bytes));
    one.push_back(replay(place, logs, 1, lines, bytes));
    two.push_back(replay(place, logs, 2, lines, bytes));
  }
  double load = 0;
  getloadavg(&load, 1);
  std::printf("old files -> the agent's own store, load of the machine %.1f\n", load);
  print(median(agent));
  print(median(one), ratio_of(one, agent, per_core, "of the live agent per core"));
  print(median(two), ratio_of(two, one, rate, "of one worker"));
}

void bench_replay_postgres(const BenchOptions& options) {
  const std::filesystem::path logs = options.directory / "replay-logs", place = options.directory / "replay-place";
  const std::string text = make_workload(options);
  const auto lines = static_cast<double>(options.lines), bytes = static_cast<double>(text.size());
  write_logs(logs, text);
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  std::vector<Figure> figures[2];
  for (int round = 0; round < options.rounds; ++round) {
    for (const int workers : {1, 2}) {
      const std::string database = "replay_" + std::to_string(round) + "_" + std::to_string(workers);
      cluster.create_migrated_database(database);
      const double before = test::cpu_seconds_with_children(cluster.pid());
      Figure figure = replay(place, logs, workers, lines, bytes, cluster.conninfo(database));
      figure.server_cpu_s = test::cpu_seconds_with_children(cluster.pid()) - before;
      figures[workers - 1].push_back(figure);
    }
  }
  std::printf("old files -> PostgreSQL, stock settings\n");
  for (auto& each : figures) {
    const Figure middle = median(each);
    char note[160];
    std::snprintf(note, sizeof note, "server %.2f cpu-s/1M, %.1f times ours; %.0f %% of a core while it runs",
                  middle.server_cpu_s / middle.lines * 1e6, middle.server_cpu_s / middle.cpu_s,
                  middle.server_cpu_s / middle.wall_s * 100);
    print(middle, note);
  }
}

}  // namespace runtail::bench
