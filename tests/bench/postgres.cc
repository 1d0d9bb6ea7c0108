// Buffer -> Postgres by the real sink, beside a raw binary COPY of the same rows into the same table with the same
// indexes, alternately. Stock PostgreSQL settings.
#include "sinks/postgres.h"

#include <fstream>

#include "agent/file_source.h"
#include "agent/pipeline.h"
#include "schema/pg.h"
#include "tests/bench/bench.h"
#include "tests/bench/measure.h"
#include "tests/support/postgres_cluster.h"

namespace runtail::bench {
namespace {

constexpr std::uint64_t kBatchLines = 5000;

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "runtail-bench pg: %s\n", message.c_str());
  std::exit(4);
}

std::vector<SequencedChunk> make_chunks(const BenchOptions& options) {
  const std::filesystem::path log = options.directory / "pg.log";
  std::ofstream(log, std::ios::binary) << make_workload(options);
  Config config;
  config.buffer.directory = options.directory / "pg-buffer";
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
  auto chunks = (*buffer)->read_after(0, ~std::uint64_t{0});
  if (!chunks) give_up(chunks.error().message);
  return std::move(*chunks);
}

void run_sql(PgConnection& connection, const std::string& sql) {
  if (const auto done = connection.exec(sql); !done) give_up(sql.substr(0, 80) + ": " + done.error().message);
}

}  // namespace

void bench_postgres(const BenchOptions& options) {
  BenchOptions smaller = options;
  smaller.lines = std::min<std::uint64_t>(options.lines, 200'000);
  const std::vector<SequencedChunk> chunks = make_chunks(smaller);
  const auto count = static_cast<double>(smaller.lines);
  test::ClusterOptions stock;
  stock.fsync = true;
  test::PostgresCluster cluster(stock);
  std::printf("buffer -> Postgres: %.0f lines, stock settings, median of %d rounds; CPU is the client's\n", count,
              options.rounds);

  std::vector<Figure> ours, raw;
  double rows_bytes = 0;
  for (int round = 0; round < options.rounds; ++round) {
    const std::string database = cluster.create_migrated_database("bench_" + std::to_string(round));
    SystemClock clock;
    PostgresConfig config;
    config.url = database;
    PostgresSink sink(config, DeriverSettings{}, Redactor::make({})->kinds(), clock);
    ours.push_back(measure("buffer -> Postgres (all tables)", count, 0, [&] {
      for (std::size_t at = 0; at < chunks.size();) {
        std::size_t end = at;
        std::uint64_t lines = 0;
        while (end < chunks.size() && (end == at || lines + chunks[end].chunk.lines <= kBatchLines))
          lines += chunks[end++].chunk.lines;
        const auto delivery = sink.deliver(std::span(chunks).subspan(at, end - at), false);
        if (delivery.status != Delivery::Status::kDelivered) give_up(delivery.reason);
        at = end;
      }
    }));

    // The same rows, as PostgreSQL itself writes them, back into the same table.
    auto connection = PgConnection::connect(database, {});
    if (!connection) give_up(connection.error().message);
    const std::filesystem::path file = cluster.socket_directory() / "rows.bin";
    run_sql(*connection, "COPY (SELECT * FROM observability.log_events) TO '" + file.string() + "' (FORMAT binary)");
    std::ifstream in(file, std::ios::binary);
    const std::string rows((std::istreambuf_iterator<char>(in)), {});
    rows_bytes = static_cast<double>(rows.size());
    run_sql(*connection, "TRUNCATE observability.log_events");
    run_sql(*connection, "CHECKPOINT");
    raw.push_back(measure("limit: raw binary COPY log_events", count, rows_bytes, [&] {
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
  for (Figure& figure : ours) figure.bytes = rows_bytes;
  const Figure limit = median(std::move(raw)), mine = median(std::move(ours));
  print(limit);
  char note[64];
  std::snprintf(note, sizeof note, "%.2f x raw COPY", mine.lines_per_s() / limit.lines_per_s());
  print(mine, note);
}

}  // namespace runtail::bench
