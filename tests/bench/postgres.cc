// Buffer -> Postgres by the real sink, beside a raw binary COPY of the same rows into the same table with the same
// indexes, alternately. Stock PostgreSQL settings.
#include "sinks/postgres.h"

#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "agent/delivery.h"
#include "agent/file_source.h"
#include "agent/pipeline.h"
#include "schema/pg.h"
#include "tests/bench/bench.h"
#include "tests/bench/measure.h"
#include "tests/support/postgres_cluster.h"

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

// Of the postmaster and all it started, those that ended too.
double server_cpu_seconds(pid_t postmaster) {
  const auto ticks_of = [](const std::string& pid, bool with_ended) {
    std::ifstream in("/proc/" + pid + "/stat");
    const std::string stat((std::istreambuf_iterator<char>(in)), {});
    // After the name in brackets: state is field 3; utime, stime, cutime, cstime are 14 to 17 (proc(5)).
    std::istringstream fields(stat.substr(std::min(stat.rfind(')') + 2, stat.size())));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    double user = 0, system = 0, ended_user = 0, ended_system = 0;
    fields >> user >> system >> ended_user >> ended_system;
    return user + system + (with_ended ? ended_user + ended_system : 0);
  };
  const std::string root = std::to_string(postmaster);
  double ticks = ticks_of(root, true);
  std::ifstream children("/proc/" + root + "/task/" + root + "/children");
  for (std::string child; children >> child;) ticks += ticks_of(child, false);
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

template <typename Work>
Figure measure_with_server(const test::PostgresCluster& cluster, std::string name, double count, Work&& work) {
  const double before = server_cpu_seconds(cluster.pid());
  Figure figure = measure(std::move(name), count, 0, work);
  figure.server_cpu_s = server_cpu_seconds(cluster.pid()) - before;
  return figure;
}

void run_sql(PgConnection& connection, const std::string& sql) {
  if (const auto done = connection.exec(sql); !done) give_up(sql.substr(0, 80) + ": " + done.error().message);
}

}  // namespace

void bench_postgres(const BenchOptions& options) {
  BenchOptions smaller = options;
  smaller.lines = std::min<std::uint64_t>(options.lines, 200'000);
  const std::filesystem::path log = options.directory / "pg.log";
  std::ofstream(log, std::ios::binary) << make_workload(smaller);
  const auto count = static_cast<double>(smaller.lines);
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  std::printf("buffer -> Postgres: %.0f lines, stock settings, median of %d rounds\n", count, options.rounds);

  const std::vector<std::string> kinds = Redactor::make({})->kinds();
  std::vector<Figure> ours, raw;
  double rows_bytes = 0;
  for (int round = 0; round < options.rounds; ++round) {
    const std::string database = cluster.create_migrated_database("bench_" + std::to_string(round));
    const std::unique_ptr<DurableBuffer> buffer = fill_buffer(smaller, log);
    auto connection = PgConnection::connect(database, {});
    if (!connection) give_up(connection.error().message);
    run_sql(*connection, "CHECKPOINT");
    ours.push_back(measure_with_server(cluster, "buffer -> Postgres (all tables)", count,
                                       [&] { deliver_all(*buffer, database, kinds); }));

    // The same rows, as PostgreSQL itself writes them, back into the same table.
    const std::filesystem::path file = cluster.socket_directory() / "rows.bin";
    run_sql(*connection, "COPY (SELECT * FROM observability.log_events) TO '" + file.string() + "' (FORMAT binary)");
    std::ifstream in(file, std::ios::binary);
    const std::string rows((std::istreambuf_iterator<char>(in)), {});
    rows_bytes = static_cast<double>(rows.size());
    run_sql(*connection, "TRUNCATE observability.log_events");
    run_sql(*connection, "CHECKPOINT");
    raw.push_back(measure_with_server(cluster, "limit: raw binary COPY log_events", count, [&] {
      if (const auto begun = connection->copy_begin("COPY observability.log_events FROM STDIN (FORMAT binary)"); !begun)
        give_up(begun.error().message);
      for (std::size_t at = 0; at < rows.size(); at += 1 << 20) {
        if (const auto sent = connection->copy_write(std::string_view(rows).substr(at, 1 << 20)); !sent)
          give_up(sent.error().message);
      }
      if (const auto ended = connection->copy_end(); !ended) give_up(ended.error().message);
    }));
    std::filesystem::remove(file);
  }
  for (std::vector<Figure>* figures : {&raw, &ours}) {
    for (Figure& figure : *figures) figure.bytes = rows_bytes;
  }
  const Figure limit = median(std::move(raw)), mine = median(std::move(ours));
  const auto note = [](const Figure& figure) {
    char text[96];
    std::snprintf(text, sizeof text, "server %.2f cpu-s/1M", figure.server_cpu_s / figure.lines * 1e6);
    return std::string(text);
  };
  print(limit, note(limit));
  char ratio[64];
  std::snprintf(ratio, sizeof ratio, ", %.2f x raw COPY", mine.lines_per_s() / limit.lines_per_s());
  print(mine, note(mine) + ratio);
}

}  // namespace runtail::bench
