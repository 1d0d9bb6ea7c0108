// Buffer -> Postgres by the real sink, beside a raw binary COPY of the same rows into the same table with the same
// indexes, alternately. Stock PostgreSQL settings.
#include "sinks/postgres.h"


#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

#include "agent/delivery.h"
#include "agent/file_source.h"
#include "agent/pipeline.h"
#include "schema/pg.h"
#include "tests/bench/bench.h"
#include "tests/bench/measure.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/process_facts.h"

namespace runtail::bench {
namespace {

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "runtail-bench pg: %s\n", message.c_str());
  std::exit(4);
}

// A buffer with the whole workload in it.
std::unique_ptr<DurableBuffer> fill_buffer(const BenchOptions& options, const std::filesystem::path& log) {
  Config config;
  config.buffer.directory = options.directory / "pg-buffer";
  std::filesystem::remove_all(config.buffer.directory);
  SystemClock clock;
  PublishedMetrics published;
  auto buffer = DurableBuffer::open(config.buffer);
  if (!buffer) give_up(buffer.error().message);
  Pipeline pipeline(**buffer, Parser(built_in_dialects()), std::move(*Redactor::make({})), Deriver(DeriverSettings{}),
                    clock, published, config.metrics.max_series, false);
  const auto read_buffer = std::make_shared<ReadBuffer>(config.line_bytes_max);
  FileSourceSettings settings;
  settings.source.name = "bench";
  settings.source.stream = "bench/pg";
  settings.source.include = {log.string()};
  FileSource source(settings, {}, read_buffer, pipeline.metrics());
  source.scan(clock.now());
  while (const auto block = source.read(clock.now())) {
    pipeline.add(*block);
    if (const auto committed = pipeline.commit(); !committed) give_up(committed.error().message);
  }
  return std::move(*buffer);
}

// Delivers all that is in the buffer, as the agent does.
void deliver_all(DurableBuffer& buffer, const std::string& database, const std::vector<std::string>& kinds) {
  SystemClock clock;
  PublishedMetrics published;
  PostgresConfig config;
  config.url = database;
  DeliverySettings settings;
  settings.batch_lines_max = config.batch_rows_max;
  PostgresSink sink(config, {}, kinds, clock);
  std::mutex mutex;
  std::condition_variable done;
  DeliveryLoop loop(buffer, sink, published, clock, settings, [&] {
    const std::lock_guard lock(mutex);
    done.notify_one();
  });
  const auto log = [](bool, const std::string& message) { give_up(message); };
  std::jthread thread([&](std::stop_token stop) { loop.run(stop, log); });
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return loop.delivered() == buffer.appended().sequence; });
}

template <typename Work>
Figure measure_with_server(const test::PostgresCluster& cluster, std::string name, double count, Work&& work) {
  const double before = test::cpu_seconds_with_children(cluster.pid());
  Figure figure = measure(std::move(name), count, 0, work);
  figure.server_cpu_s = test::cpu_seconds_with_children(cluster.pid()) - before;
  return figure;
}

void run_sql(PgConnection& connection, const std::string& sql) {
  if (const auto done = connection.exec(sql); !done) give_up(sql.substr(0, 80) + ": " + done.error().message);
}

void copy_rows(PgConnection& connection, const std::string& sql, std::string_view rows) {
  if (const auto begun = connection.copy_begin(sql); !begun) give_up(begun.error().message);
  for (std::size_t at = 0; at < rows.size(); at += 1 << 20) {
    if (const auto sent = connection.copy_write(rows.substr(at, 1 << 20)); !sent) give_up(sent.error().message);
  }
  if (const auto ended = connection.copy_end(); !ended) give_up(ended.error().message);
}

// What the sink does beside what PostgreSQL itself needs for the same rows of log_events.
class Comparison {
 public:
  Comparison(test::PostgresCluster& cluster, const BenchOptions& options, std::filesystem::path log)
      : cluster_(cluster), options_(options), log_(std::move(log)), count_(static_cast<double>(options.lines)) {}

  void round(const std::string& name) {
    const std::string database = cluster_.create_migrated_database(name);
    auto connection = PgConnection::connect(database, {});
    if (!connection) give_up(connection.error().message);
    ours_.push_back(deliver(*connection, database));

    // The same rows, as PostgreSQL itself writes them, back into the same table.
    const std::filesystem::path file = cluster_.socket_directory() / "rows.bin";
    run_sql(*connection, "COPY (SELECT * FROM observability.log_events) TO '" + file.string() + "' (FORMAT binary)");
    std::ifstream in(file, std::ios::binary);
    const std::string rows((std::istreambuf_iterator<char>(in)), {});
    rows_bytes_ = static_cast<double>(rows.size());

    run_sql(*connection, "DELETE FROM observability.source_files; DELETE FROM observability.source_facts");
    ours_again_.push_back(deliver(*connection, database));
    run_sql(*connection, "CHECKPOINT");
    raw_again_.push_back(measure_with_server(cluster_, "", count_, [&] {
      run_sql(*connection, "BEGIN; CREATE TEMP TABLE stage (LIKE observability.log_events) ON COMMIT DROP");
      copy_rows(*connection, "COPY stage FROM STDIN (FORMAT binary)", rows);
      run_sql(*connection, "INSERT INTO observability.log_events SELECT * FROM stage ON CONFLICT DO NOTHING; COMMIT");
    }));

    run_sql(*connection, "TRUNCATE observability.log_events");
    run_sql(*connection, "CHECKPOINT");
    raw_.push_back(measure_with_server(cluster_, "", count_, [&] {
      copy_rows(*connection, "COPY observability.log_events FROM STDIN (FORMAT binary)", rows);
    }));
    std::filesystem::remove(file);
  }

  void report(const std::string& what, const char* goal, const char* goal_again) {
    std::printf("%s\n", what.c_str());
    report("  buffer -> Postgres, all tables", ours_, "  limit: raw binary COPY", raw_, goal);
    report("  again, its position lost", ours_again_, "  limit: raw stage + ON CONFLICT", raw_again_, goal_again);
  }

 private:
  Figure deliver(PgConnection& connection, const std::string& database) {
    const std::unique_ptr<DurableBuffer> buffer = fill_buffer(options_, log_);
    run_sql(connection, "CHECKPOINT");
    return measure_with_server(cluster_, "", count_, [&] { deliver_all(*buffer, database, kinds_); });
  }

  void report(const char* name, std::vector<Figure>& ours, const char* limit_name, std::vector<Figure>& raw,
              const char* goal) const {
    Figure limit = median(std::move(raw)), mine = median(std::move(ours));
    limit.name = limit_name;
    mine.name = name;
    limit.bytes = mine.bytes = rows_bytes_;
    const auto server = [](const Figure& figure) {
      char text[64];
      std::snprintf(text, sizeof text, "server %.2f cpu-s/1M", figure.server_cpu_s / figure.lines * 1e6);
      return std::string(text);
    };
    print(limit, server(limit));
    char ratio[64];
    std::snprintf(ratio, sizeof ratio, ", %.2f x (goal %s)", mine.lines_per_s() / limit.lines_per_s(), goal);
    print(mine, server(mine) + ratio);
  }

  test::PostgresCluster& cluster_;
  const BenchOptions& options_;
  const std::filesystem::path log_;
  const double count_;
  const std::vector<std::string> kinds_ = Redactor::make({})->kinds();
  double rows_bytes_ = 0;
  std::vector<Figure> ours_, raw_, ours_again_, raw_again_;
};

}  // namespace

void bench_postgres(const BenchOptions& options) {
  BenchOptions smaller = options;
  smaller.lines = std::min<std::uint64_t>(options.lines, 200'000);
  const std::filesystem::path with_runs = options.directory / "pg.log", without = options.directory / "pg-plain.log";
  std::string text = make_workload(smaller);
  std::ofstream(with_runs, std::ios::binary) << text;
  // The same lines, none of which says anything about a run.
  for (std::size_t at = 0; (at = text.find("run_id\"", at)) != std::string::npos; ++at) text[at + 1] = 'a';
  std::ofstream(without, std::ios::binary) << text;
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  std::printf("buffer -> Postgres: %llu lines, stock settings, median of %d rounds\n",
              static_cast<unsigned long long>(smaller.lines), options.rounds);
  Comparison lines_and_runs(cluster, smaller, with_runs), lines_alone(cluster, smaller, without);
  for (int round = 0; round < options.rounds; ++round) {
    lines_and_runs.round("bench_" + std::to_string(round));
    lines_alone.round("bench_plain_" + std::to_string(round));
  }
  lines_and_runs.report("workload: lines and what they say of runs", "0.9", "0.85");
  lines_alone.report("the same lines without ids of runs", "0.9", "0.85");
}

}  // namespace runtail::bench
