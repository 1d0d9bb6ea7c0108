// A database filled with 90 days of history: what it weighs, and how long each question of history/ takes.
#include "tests/bench/bench.h"

#include <map>
#include <set>

#include "tests/support/filled_history.h"
#include "tests/support/history_samples.h"
#include "tests/support/postgres_cluster.h"

namespace runtail::bench {
namespace {

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "runtail-bench store: %s\n", message.c_str());
  std::exit(4);
}

PgResult ask(PgConnection& connection, const std::string& sql) {
  auto result = connection.exec(sql);
  if (!result) give_up(sql.substr(0, 80) + ": " + result.error().message);
  return std::move(*result);
}

void print_table(const PgResult& result, std::initializer_list<const char*> columns) {
  int at = 0;
  for (const char* column : columns) std::printf(at++ ? " %11s" : "%-44s", column);
  std::printf("\n");
  for (int row = 0; row < result.rows(); ++row) {
    std::printf("%-44s", std::string(result.text(row, 0)).c_str());
    for (int column = 1; column < result.columns(); ++column) {
      std::printf(" %11s", std::string(result.text(row, column)).c_str());
    }
    std::printf("\n");
  }
}

// "Limit > Incremental Sort > Append > Index Scan log_events", each name once.
std::string summary(const test::QueryPlan& plan) {
  std::string text;
  std::set<std::string> seen;
  for (const test::PlanNode& node : plan.nodes) {
    if (node.loops == 0) continue;
    const std::string name = node.type + (node.table.empty() ? "" : " " + node.table);
    if (seen.insert(name).second) text += (text.empty() ? "" : " > ") + name;
  }
  return text;
}

double milliseconds_of(const test::HistorySample& sample, History& history, std::size_t& rows) {
  const auto start = std::chrono::steady_clock::now();
  const auto answer = sample.ask(history);
  if (!answer) give_up(sample.name + ": " + answer.error().message);
  rows = *answer;
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void bench_store(const BenchOptions& options) {
  test::HistorySize size;
  size.log_events = static_cast<std::int64_t>(options.lines);
  size.runs_per_day = static_cast<int>(std::max<std::uint64_t>(20, options.lines / 10'000));
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  const std::string database = cluster.create_migrated_database("store");
  PgOptions patient;
  patient.answer_timeout = std::chrono::hours(1);
  auto connection = PgConnection::connect(database, patient);
  if (!connection) give_up(connection.error().message);
  const TimePoint now = SystemClock().now();
  std::printf("store: %d days of %d runs with %d tasks, %lld lines in the last 29 days; stock settings\n", size.days,
              size.runs_per_day, size.tasks_per_run, static_cast<long long>(size.log_events));
  const auto start = std::chrono::steady_clock::now();
  test::fill_history(database, size, now);
  std::printf("filled in %.0f s\n\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());

  ask(*connection, R"sql(CREATE TEMPORARY VIEW pieces AS
      SELECT coalesce(root.relname, c.relname) AS name, c.oid, c.reltuples, c.relpages
      FROM pg_class c LEFT JOIN pg_class root ON c.relispartition AND root.oid = pg_partition_root(c.oid)
      WHERE c.relnamespace = 'observability'::regnamespace AND c.relkind = 'r')sql");
  print_table(ask(*connection, R"sql(
      SELECT name, count(*), sum(reltuples)::bigint, round(sum(pg_table_size(oid)) / 1e6, 1),
        round(sum(pg_indexes_size(oid)) / 1e6, 1), (sum(pg_table_size(oid)) / sum(reltuples))::int,
        (sum(pg_indexes_size(oid)) / sum(reltuples))::int
      FROM pieces GROUP BY name HAVING sum(reltuples) > 0 ORDER BY sum(pg_total_relation_size(oid)) DESC)sql"),
              {"table", "partitions", "rows", "heap MB", "indexes MB", "B/row", "index B/row"});
  std::printf("\n");
  print_table(ask(*connection, R"sql(
      SELECT coalesce(root.relname, i.relname) AS name, round(sum(pg_relation_size(i.oid)) / 1e6, 1),
        round((sum(pg_relation_size(i.oid)) / sum(p.reltuples))::numeric, 1)
      FROM pieces p JOIN pg_index x ON x.indrelid = p.oid JOIN pg_class i ON i.oid = x.indexrelid
        LEFT JOIN pg_class root ON i.relispartition AND root.oid = pg_partition_root(i.oid)
      WHERE p.reltuples > 0 GROUP BY 1 HAVING sum(pg_relation_size(i.oid)) > 1e6
      ORDER BY sum(pg_relation_size(i.oid)) DESC)sql"),
              {"index", "MB", "B/row"});
  print_table(ask(*connection, "SELECT 'database', pg_size_pretty(pg_database_size(current_database()))"), {"", ""});

  std::printf("\n%-22s %-36s %8s %8s %8s %9s  plan\n", "query", "case", "rows", "first ms", "ms", "rows read");
  History history(*connection, "observability", std::chrono::minutes(5));
  for (const test::HistorySample& sample : test::history_samples(*connection, now)) {
    std::size_t rows = 0;
    const double first = milliseconds_of(sample, history, rows);
    std::vector<double> times;
    for (int round = 0; round < 9; ++round) times.push_back(milliseconds_of(sample, history, rows));
    std::sort(times.begin(), times.end());
    const test::QueryPlan plan = test::explain(*connection, sample.sql, sample.params);
    std::int64_t read = 0;
    for (const test::PlanNode& node : plan.nodes) read += node.relation.empty() ? 0 : node.rows + node.removed;
    std::printf("%-22s %-36s %8zu %8.1f %8.1f %9lld  %s\n", sample.name.c_str(), sample.what.c_str(), rows, first,
                times[times.size() / 2], static_cast<long long>(read), summary(plan).c_str());
    std::fflush(stdout);
  }
}

}  // namespace runtail::bench
