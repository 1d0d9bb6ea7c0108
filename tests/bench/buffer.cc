// File -> parsed -> redacted -> derived -> synced buffer, in one thread, beside the raw limits of the same disk.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "agent/file_source.h"
#include "agent/pipeline.h"
#include "tests/bench/bench.h"
#include "tests/bench/measure.h"

namespace runtail::bench {
namespace {

std::uint64_t bytes_written() {
  std::ifstream io("/proc/self/io");
  for (std::string key; io >> key;) {
    std::uint64_t value = 0;
    io >> value;
    if (key == "write_bytes:") return value;
  }
  return 0;
}

// Memory from here on: the kernel forgets the peak so far (proc(5), clear_refs).
void forget_peak_rss() { std::ofstream("/proc/self/clear_refs") << "5"; }

double peak_rss_since_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib / 1024;
  }
  return 0;
}

void whole_way(const std::filesystem::path& log, const std::filesystem::path& directory) {
  Config config;
  config.buffer.directory = directory;
  config.buffer.bytes_max = 8ull << 30;
  SystemClock clock;
  PublishedMetrics published;
  auto buffer = DurableBuffer::open(config.buffer);
  if (!buffer) {
    std::fprintf(stderr, "%s\n", buffer.error().message.c_str());
    std::exit(4);
  }
  Pipeline pipeline(**buffer, Parser(built_in_dialects()), std::move(*Redactor::make({})), Deriver(DeriverSettings{}),
                    clock, published, config.metrics.max_series, true);
  const auto read_buffer = std::make_shared<ReadBuffer>(config.line_bytes_max);
  FileSourceSettings settings;
  settings.source.name = "bench";
  settings.source.stream = "bench/bench";
  settings.source.include = {log.string()};
  FileSource source(settings, {}, read_buffer, pipeline.metrics());
  source.scan(clock.now());
  while (const auto block = source.read(clock.now())) {
    pipeline.add(*block);
    if (const auto committed = pipeline.commit(); !committed) {
      std::fprintf(stderr, "%s\n", committed.error().message.c_str());
      std::exit(4);
    }
  }
}

}  // namespace

void bench_buffer(const BenchOptions& options) {
  const std::filesystem::path log = options.directory / "bench.log", raw = options.directory / "raw";
  std::ofstream(log, std::ios::binary) << make_workload(options);
  const auto count = static_cast<double>(options.lines), bytes = static_cast<double>(std::filesystem::file_size(log));
  std::printf("file -> synced buffer: %.0f lines, %.0f MB, one source, one thread, median of %d rounds\n", count,
              bytes / 1e6, options.rounds);
  std::vector<Figure> ours, append;
  double written = 0, peak_mb = 0;
  for (int round = 0; round < options.rounds; ++round) {
    append.push_back(measure("limit: read, append, fdatasync per MiB", count, bytes, [&] {
      const int in = open(log.c_str(), O_RDONLY), out = open(raw.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      std::string block(1 << 20, '\0');
      for (ssize_t got; (got = read(in, block.data(), block.size())) > 0;) {
        if (write(out, block.data(), static_cast<std::size_t>(got)) != got || fdatasync(out) != 0) std::exit(4);
      }
      close(in);
      close(out);
    }));
    std::filesystem::remove(raw);
    const std::filesystem::path directory = options.directory / ("buffer-" + std::to_string(round));
    const std::uint64_t before = bytes_written();
    forget_peak_rss();
    ours.push_back(measure("file -> synced buffer", count, bytes, [&] { whole_way(log, directory); }));
    written = static_cast<double>(bytes_written() - before);
    peak_mb = peak_rss_since_mb();
    std::filesystem::remove_all(directory);
  }
  print(median(std::move(append)));
  char note[96];
  std::snprintf(note, sizeof note, "written/input %.2f, peak RSS %.0f MB", written / bytes, peak_mb);
  print(median(std::move(ours)), note);
}

}  // namespace runtail::bench
