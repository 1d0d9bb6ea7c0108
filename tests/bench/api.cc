// The history API under load: 90 days of 2,000 runs each, h2load with 50 connections and 300 requests in a second, by
// route; and the pages of health and metrics meanwhile.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "schema/pg.h"
#include "tests/bench/bench.h"
#include "tests/support/child_process.h"
#include "tests/support/filled_history.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/server_process.h"
#include "tests/support/temp_dir.h"

namespace runtail::bench {
namespace {

constexpr int kConnections = 50, kPerSecond = 300, kSeconds = 10;

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "runtail-bench api: %s\n", message.c_str());
  std::exit(4);
}

// Times in ms of requests to any of the addresses, and how many were not 200.
struct Load {
  std::vector<double> times;
  std::size_t failed = 0;
  double at(double share) const {
    return times.empty() ? -1 : times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * share)];
  }
};

Load load(const std::filesystem::path& directory, const std::vector<std::string>& addresses, const std::string& token,
          int seconds) {
  const auto list = directory / "addresses", log = directory / "h2load.log";
  std::ofstream out(list);
  for (const std::string& address : addresses) out << address << "\n";
  out.close();
  std::filesystem::remove(log);
  test::Command command;
  command.argv = {"h2load",     "--h1",
                  "-c",         std::to_string(kConnections),
                  "--rps",      std::to_string(kPerSecond / kConnections),
                  "-n",         std::to_string(kPerSecond * seconds),
                  "-t",         "1",
                  "--log-file", log.string(),
                  "-i",         list.string()};
  if (!token.empty()) command.argv.insert(command.argv.end(), {"-H", "Authorization: Bearer " + token});
  const test::Finished finished = test::run_to_end(command, std::chrono::minutes(2));
  if (finished.exit_code != 0) give_up("h2load (Debian's nghttp2-client): " + finished.output + finished.errors);
  Load loaded;
  std::ifstream in(log);
  std::int64_t start = 0, status = 0, micros = 0;
  while (in >> start >> status >> micros) {
    loaded.times.push_back(static_cast<double>(micros) / 1000);
    loaded.failed += status != 200;
  }
  std::sort(loaded.times.begin(), loaded.times.end());
  return loaded;
}

void print(const std::string& what, const Load& loaded) {
  std::printf("%-52s %6zu %8.1f %8.1f %8.1f %7zu\n", what.c_str(), loaded.times.size(), loaded.at(0.5), loaded.at(0.95),
              loaded.at(0.99), loaded.failed);
  std::fflush(stdout);
}

std::vector<std::string> column(PgConnection& connection, const std::string& sql) {
  const auto rows = connection.exec("SET search_path = observability; " + sql);
  if (!rows) give_up(rows.error().message);
  std::vector<std::string> out;
  for (int row = 0; row < rows->rows(); ++row) out.emplace_back(rows->text(row, 0));
  return out;
}

}  // namespace

void bench_api(const BenchOptions& options) {
  test::HistorySize size;
  size.runs_per_day = 2000;
  size.tasks_per_run = 2;
  size.log_events = static_cast<std::int64_t>(options.lines);
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  const std::string database = cluster.create_migrated_database("api");
  const TimePoint now = SystemClock().now();
  test::fill_history(database, size, now);
  auto connection = PgConnection::connect(database);
  if (!connection) give_up(connection.error().message);
  const auto jobs = column(*connection, "SELECT job_id FROM etl_jobs ORDER BY 1");
  const auto runs = column(*connection,
                           "SELECT run_id FROM job_runs WHERE scheduled_at > now() - interval '20 days' "
                           "ORDER BY md5(run_id::text) LIMIT 500");

  test::ServerProcess server(options.directory, "bench", database, "requests_per_second: 100000");
  if (!server.start_healthy()) give_up(server.log());
  const std::string token = server.token(), sponsor = server.token({"sponsor_c"});
  const std::string quarter = "from=" + to_rfc3339(now - std::chrono::days(90)) + "&to=" + to_rfc3339(now);
  const auto each = [&](const std::string& before, const std::vector<std::string>& ids, const std::string& after) {
    std::vector<std::string> out;
    for (const std::string& id : ids) out.push_back(server.api_url() + before + id + after);
    return out;
  };
  const auto one = [&](const std::string& target) { return std::vector<std::string>{server.api_url() + target}; };
  std::printf("api: %d days of %d runs; %d connections, %d requests/s of one route at a time, %d s each; ms\n",
              size.days, size.runs_per_day, kConnections, kPerSecond, kSeconds);
  std::printf("%-52s %6s %8s %8s %8s %7s\n", "route", "asked", "p50", "p95", "p99", "failed");
  const std::vector<std::pair<std::string, std::vector<std::string>>> routes = {
      {"jobs list (goal 50)", one("/v1/obs/jobs")},
      {"jobs list, all 200", one("/v1/obs/jobs?page_size=500")},
      {"runs of a job (20)", each("/v1/obs/jobs/", jobs, "/runs")},
      {"runs of a job, 90 days, failed", each("/v1/obs/jobs/", jobs, "/runs?status=failed&" + quarter)},
      {"run (10)", each("/v1/obs/runs/", runs, "")},
      {"failed in 24 h by category (20)", one("/v1/obs/runs?status=failed&error_category=DB&by=end_at")},
      {"failed in 24 h by category, scheduled", one("/v1/obs/runs?status=failed&error_category=DB")},
      {"runs, 24 h", one("/v1/obs/runs")},
      {"runs, 90 days, failed", one("/v1/obs/runs?status=failed&" + quarter)},
      {"events of a run", each("/v1/obs/runs/", runs, "/events")},
      {"tasks of a run", each("/v1/obs/runs/", runs, "/tasks")},
      {"findings, 7 days", one("/v1/obs/dq")},
      {"alerts, 7 days", one("/v1/obs/alerts")},
      {"datasets", one("/v1/obs/datasets")},
      {"services", one("/v1/obs/services")},
      {"week by week of a job", each("/v1/obs/summary?job=", jobs, "")},
  };
  std::vector<std::string> mixed;
  for (const auto& [what, addresses] : routes) {
    print(what, load(options.directory, addresses, token, kSeconds));
    mixed.push_back(addresses.front());
  }
  print("jobs list of a sixth of the runs (a sponsor)",
        load(options.directory, one("/v1/obs/jobs"), sponsor, kSeconds));
  print("runs, 24 h, of a sponsor", load(options.directory, one("/v1/obs/runs"), sponsor, kSeconds));

  // One client asks for pages while all routes are asked in turn.
  Load health, metrics;
  {
    std::atomic<bool> is_over{false};
    std::thread pages([&] {
      while (!is_over) {
        for (const auto& [path, into] : {std::pair("/healthz", &health), {"/metrics", &metrics}}) {
          const auto start = std::chrono::steady_clock::now();
          into->failed += test::http_get(server.page_port(), path).status != 200;
          into->times.push_back(
              std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    });
    print("all of these in turn", load(options.directory, mixed, token, 2 * kSeconds));
    is_over = true;
    pages.join();
  }
  for (auto* pages : {&health, &metrics}) std::sort(pages->times.begin(), pages->times.end());
  print("/healthz meanwhile (10)", health);
  print("/metrics meanwhile (10)", metrics);
  // Not under load: what adds up every run of the window.
  const auto start = std::chrono::steady_clock::now();
  const int status = server.get("/v1/obs/summary", token).status;
  std::printf("week by week of all jobs, 56 days, once: %d in %.0f ms with curl's start\n", status,
              std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  if (server.terminate() != 0) give_up("the server did not end: " + server.log());
}

}  // namespace runtail::bench
