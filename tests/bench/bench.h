// What runtail-bench can measure. Each prints its figures with the raw limits taken in the same rounds, alternately.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace runtail::bench {

struct BenchOptions {
  std::uint64_t lines = 500'000;
  std::uint64_t seed = 1;
  int rounds = 3;
  std::filesystem::path directory;  // scratch; on the disk whose speed is of interest
};

// The workload as one text, lines ending in '\n'.
std::string make_workload(const BenchOptions& options);
std::vector<std::string_view> lines_of(std::string_view text);

void bench_stages(const BenchOptions& options);    // parse, redact, derive, encode, pack
void bench_redact(const BenchOptions& options);    // redaction by itself, beside RE2; a vendor's rules; slow lines
void bench_buffer(const BenchOptions& options);    // file -> synced buffer, beside raw limits
void bench_postgres(const BenchOptions& options);  // buffer -> Postgres, beside raw binary COPY
void bench_latency(const BenchOptions& options);   // line written -> row visible, the real agent
void bench_store(const BenchOptions& options);     // 90 days of history: sizes, times of its queries
void bench_indexes(const BenchOptions& options);   // what each index costs the writer
void bench_replay(const BenchOptions& options);    // old files -> the agent's own store, beside the live agent
void bench_replay_postgres(const BenchOptions& options);  // the same into PostgreSQL: its work and ours
void bench_scrape(const BenchOptions& options);           // GET /metrics of 10,000 series beside a loop that commits
void bench_api(const BenchOptions& options);              // the history API under load, by route
void bench_files(const BenchOptions& options);            // 2,000 files, few of them active: CPU, memory, descriptors

}  // namespace runtail::bench
