#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <map>

#include "tests/bench/bench.h"
#include "tests/support/temp_dir.h"
#include "tests/support/workload.h"

namespace runtail::bench {

std::string make_workload(const BenchOptions& options) {
  test::WorkloadOptions workload;
  workload.seed = options.seed;
  workload.lines = options.lines;
  test::Workload lines(workload);
  std::string text, line;
  text.reserve(options.lines * 450);
  while (lines.next(line)) {
    text += line;
    text += '\n';
  }
  return text;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace runtail::bench

int main(int argc, char** argv) {
  using namespace runtail::bench;
  CLI::App app(
      "Measures runtail beside the raw limits of this machine, alternately, as medians.\n"
      "Example: runtail-bench stages buffer --lines 1000000 --rounds 5");
  BenchOptions options;
  std::vector<std::string> what = {"stages", "redact", "buffer", "pg", "latency", "files"};
  std::string directory;
  bool print_workload = false;
  const std::map<std::string, std::function<void(const BenchOptions&)>> benches = {
      {"stages", bench_stages},   {"redact", bench_redact},
      {"buffer", bench_buffer},   {"pg", bench_postgres},
      {"latency", bench_latency}, {"files", bench_files},
      {"store", bench_store},     {"indexes", bench_indexes},
      {"replay", bench_replay},   {"replay-pg", bench_replay_postgres},
      {"scrape", bench_scrape},   {"api", bench_api}};
  app.add_option(
         "what", what,
         "stages, redact, buffer, pg, latency, files (default: these), store, indexes, replay, replay-pg, scrape, api")
      ->check(CLI::IsMember({"stages", "redact", "buffer", "pg", "latency", "files", "store", "indexes", "replay",
                             "replay-pg", "scrape", "api"}));
  app.add_option("--lines", options.lines, "Lines of the workload")->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of the workload")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds; the median counts")->capture_default_str();
  app.add_option("--directory", directory, "Scratch folder (default: a temporary one)");
  app.add_flag("--print-workload", print_workload, "Write the workload to stdout and end");
  CLI11_PARSE(app, argc, argv);
  if (print_workload) {
    const std::string text = make_workload(options);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return 0;
  }
  runtail::test::TempDir scratch;
  options.directory = directory.empty() ? scratch.path() : std::filesystem::path(directory);
  for (const std::string& name : what) benches.at(name)(options);
  return 0;
}
