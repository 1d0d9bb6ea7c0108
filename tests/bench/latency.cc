// Line written -> row visible, through the real agent and a stock PostgreSQL.
#include <cstdio>
#include <fstream>

#include "core/time.h"
#include "schema/pg.h"
#include "tests/bench/bench.h"
#include "tests/bench/measure.h"
#include "tests/support/agent_process.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/wait_until.h"

namespace runtail::bench {

void bench_latency(const BenchOptions& options) {
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  const std::string database = cluster.create_migrated_database("latency");
  const std::filesystem::path directory = options.directory / "latency";
  std::filesystem::create_directories(directory);
  const std::filesystem::path log = directory / "probe.log";
  std::ofstream out(log, std::ios::app);
  test::AgentProcess agent({directory, {{"probe", log.string()}}, database, "", {}});
  auto connection = PgConnection::connect(database, {});
  if (!agent.start_healthy() || !connection) {
    std::fprintf(stderr, "runtail-bench latency: the agent does not start\n%s\n", agent.log().c_str());
    std::exit(4);
  }
  constexpr int kProbes = 60, kWarmUp = 5;
  std::vector<double> took_ms;
  SystemClock clock;
  for (int probe = 0; probe < kProbes + kWarmUp; ++probe) {
    const std::string marker = "probe-" + std::to_string(probe);
    const auto start = std::chrono::steady_clock::now();
    out << R"({"ts":")" << to_rfc3339(clock.now()) << R"(","level":"INFO","msg":")" << marker << "\"}" << std::endl;
    const bool seen = test::wait_until([&] {
      const auto rows = connection->exec("SELECT 1 FROM observability.log_events WHERE message = '" + marker + "'");
      return rows && rows->rows() > 0;
    });
    if (!seen) {
      std::fprintf(stderr, "runtail-bench latency: %s never arrived\n", marker.c_str());
      std::exit(4);
    }
    if (probe >= kWarmUp)
      took_ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(took_ms.begin(), took_ms.end());
  std::printf(
      "line written -> row visible, %d probes, idle: p50 %.1f ms  p95 %.1f ms  max %.1f ms (the poll adds up to a few "
      "ms)\n",
      kProbes, took_ms[took_ms.size() / 2], took_ms[took_ms.size() * 95 / 100], took_ms.back());
  std::printf("agent memory: %.0f MB resident, %.0f MB peak\n", static_cast<double>(agent.rss_kib()) / 1024,
              static_cast<double>(agent.peak_kib()) / 1024);
}

}  // namespace runtail::bench
