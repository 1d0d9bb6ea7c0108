// What each index costs whoever writes its table: the same rows with it and without it, alternately, in transactions
// that are rolled back. CPU is that of the server process, which a busy machine disturbs less than the time on the
// clock.
#include <algorithm>
#include <map>

#include "schema/pg.h"
#include "tests/bench/bench.h"
#include "tests/support/filled_history.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/process_facts.h"

namespace runtail::bench {
namespace {

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "runtail-bench indexes: %s\n", message.c_str());
  std::exit(4);
}

PgResult ask(PgConnection& connection, const std::string& sql) {
  auto result = connection.exec(sql);
  if (!result) give_up(sql.substr(0, 80) + ": " + result.error().message);
  return std::move(*result);
}

struct Load {
  const char *what, *table;
  std::string before, statement;  // in the transaction; the statement is measured
  double rows = 0;
};

// Microseconds of the server's CPU a row.
double cost_of(PgConnection& connection, const Load& load, const std::string& without) {
  static const auto pid = static_cast<pid_t>(ask(connection, "SELECT pg_backend_pid()").integer(0, 0));
  ask(connection, "VACUUM " + std::string(load.table));
  ask(connection, "CHECKPOINT");
  ask(connection, "BEGIN; " + load.before);
  if (!without.empty()) ask(connection, "DROP INDEX " + without);
  const double start = test::cpu_seconds(pid);
  ask(connection, load.statement);
  const double used = test::cpu_seconds(pid) - start;
  ask(connection, "ROLLBACK");
  return used * 1e6 / load.rows;
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(PgConnection& connection, const Load& load, int rounds) {
  std::vector<std::string> indexes = {""};
  const PgResult droppable = ask(connection,
                                 "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
                                 "WHERE x.indrelid = '" +
                                     std::string(load.table) + "'::regclass AND NOT x.indisunique ORDER BY 1");
  for (int row = 0; row < droppable.rows(); ++row) indexes.emplace_back(droppable.text(row, 0));
  std::map<std::string, std::vector<double>> costs;
  for (int round = 0; round < rounds; ++round) {
    for (const std::string& index : indexes) costs[index].push_back(cost_of(connection, load, index));
  }
  const double with_all = median_of(costs[""]);
  std::printf("%s: %.1f microseconds of CPU a row with all indexes\n", load.what, with_all);
  for (const std::string& index : indexes) {
    if (index.empty()) continue;
    const double saved = with_all - median_of(costs[index]);
    std::printf("  %-44s %6.2f  %4.0f %%\n", index.c_str(), saved, 100 * saved / with_all);
  }
  std::fflush(stdout);
}

}  // namespace

void bench_indexes(const BenchOptions& options) {
  test::HistorySize size;
  size.runs_per_day = 100;
  size.tasks_per_run = 4;
  size.log_events = static_cast<std::int64_t>(std::min<std::uint64_t>(options.lines, 200'000));
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  const std::string database = cluster.create_migrated_database("indexes");
  test::fill_history(database, size, SystemClock().now());
  PgOptions patient;
  patient.answer_timeout = std::chrono::hours(1);
  auto connected = PgConnection::connect(database, patient);
  if (!connected) give_up(connected.error().message);
  PgConnection& connection = *connected;
  ask(connection, "SET search_path = observability");
  const auto count = [&](const std::string& table) {
    return static_cast<double>(ask(connection, "SELECT count(*) FROM " + table).integer(0, 0));
  };
  const std::string lines = cluster.socket_directory() / "lines.bin",
                    results = cluster.socket_directory() / "results.bin";
  ask(connection, "COPY (SELECT * FROM log_events ORDER BY ts) TO '" + lines + "' (FORMAT binary)");
  ask(connection, "COPY (SELECT * FROM dq_check_results ORDER BY created_at) TO '" + results + "' (FORMAT binary)");
  std::printf("what an index costs the writer: CPU of the server saved without it, median of %d rounds\n",
              options.rounds);
  measure(connection,
          {"COPY into log_events", "log_events", "TRUNCATE log_events",
           "COPY log_events FROM '" + lines + "' (FORMAT binary)", count("log_events")},
          options.rounds);
  measure(connection,
          {"progress of a run, UPDATE job_runs", "job_runs", "",
           "UPDATE job_runs SET last_event_at = last_event_at + interval '1 second', records_loaded_sum = 700",
           count("job_runs")},
          options.rounds);
  measure(connection,
          {"COPY into dq_check_results", "dq_check_results",
           "ALTER TABLE alert_events DROP CONSTRAINT "
           "alert_events_dq_result_fkey; TRUNCATE dq_check_results",
           "COPY dq_check_results FROM '" + results + "' (FORMAT binary)", count("dq_check_results")},
          options.rounds);
}

}  // namespace runtail::bench
