// Line written -> row visible, through the real agent and a stock PostgreSQL.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <thread>

#include "core/time.h"
#include "schema/pg.h"
#include "tests/bench/bench.h"
#include "tests/bench/measure.h"
#include "tests/support/agent_process.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/workload.h"

namespace runtail::bench {

namespace {

constexpr int kProbes = 60, kWarmUp = 5;
constexpr std::chrono::milliseconds kProbeEvery{100};

// Writes whole lines, from one thread or two.
class ProbedLog {
 public:
  explicit ProbedLog(const std::filesystem::path& path) : out_(path, std::ios::app) {}
  void write(const std::string& line) {
    const std::lock_guard lock(mutex_);
    out_ << line << '\n' << std::flush;
  }

 private:
  std::mutex mutex_;
  std::ofstream out_;
};

// Each probe is looked for by an index, in its day's partition: looking must not be what takes the time.
void probe(const char* load, PgConnection& connection, ProbedLog& log) {
  SystemClock clock;
  std::vector<double> took_ms;
  for (int n = 0; n < kProbes + kWarmUp; ++n) {
    const auto start = std::chrono::steady_clock::now();
    const std::string time = to_rfc3339(clock.now()), marker = std::string(load) + '-' + std::to_string(n);
    std::string day = time.substr(0, 10);
    std::replace(day.begin(), day.end(), '-', '_');
    const std::string look =
        "SELECT 1 FROM observability.log_events_" + day + " WHERE correlation_id = '" + marker + "'";
    log.write(R"({"ts":")" + time + R"(","level":"INFO","msg":"probe","correlation_id":")" + marker + "\"}");
    for (;;) {
      const auto rows = connection.exec(look);
      if (rows && rows->rows() > 0) break;
      if (std::chrono::steady_clock::now() - start > std::chrono::seconds(20)) {
        std::fprintf(stderr, "runtail-bench latency: %s never arrived\n", marker.c_str());
        std::exit(4);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (n >= kWarmUp)
      took_ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    std::this_thread::sleep_until(start + kProbeEvery);
  }
  std::sort(took_ms.begin(), took_ms.end());
  std::printf("line written -> row visible, %d probes, %s: p50 %.1f ms  p95 %.1f ms  max %.1f ms\n", kProbes, load,
              took_ms[took_ms.size() / 2], took_ms[took_ms.size() * 95 / 100], took_ms.back());
}

}  // namespace

void bench_latency(const BenchOptions& options) {
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  const std::string database = cluster.create_migrated_database("latency");
  const std::filesystem::path directory = options.directory / "latency";
  std::filesystem::create_directories(directory);
  const std::filesystem::path path = directory / "probe.log";
  ProbedLog log(path);
  test::AgentProcess agent({directory, {{"probe", path.string()}}, database, "", {}});
  auto connection = PgConnection::connect(database, {});
  if (!agent.start_healthy() || !connection) {
    std::fprintf(stderr, "runtail-bench latency: the agent does not start\n%s\n", agent.log().c_str());
    std::exit(4);
  }
  probe("idle", *connection, log);
  {
    test::WorkloadOptions lines;
    lines.lines = 10'000'000;
    lines.seed = options.seed;
    std::jthread writer([&](const std::stop_token& stop) {
      test::Workload workload(lines);
      std::string line;
      for (auto at = std::chrono::steady_clock::now(); !stop.stop_requested() && workload.next(line);) {
        log.write(line);
        std::this_thread::sleep_until(at += std::chrono::milliseconds(1));
      }
    });
    probe("1,000 lines/s", *connection, log);
  }
  std::printf("agent memory: %.0f MB resident, %.0f MB peak\n", static_cast<double>(agent.rss_kib()) / 1024,
              static_cast<double>(agent.peak_kib()) / 1024);
}

}  // namespace runtail::bench
