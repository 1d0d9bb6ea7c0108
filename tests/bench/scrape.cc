// Scrapes by HTTP of a page with 10,000 series, while a loop goes on committing: what a scrape takes, and what it takes
// from the loop.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "agent/http_server.h"
#include "core/metric.h"
#include "sinks/openmetrics.h"
#include "sinks/prometheus.h"
#include "tests/bench/bench.h"
#include "tests/support/agent_process.h"

namespace runtail::bench {
namespace {

constexpr int kSeries = 10'000, kScrapes = 40, kChangedByACommit = 200;
constexpr std::chrono::microseconds kCommitEvery{500};

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void move_series(MetricTable& table, Metric metric, int number) {
  const std::string job = "job-" + std::to_string(number);
  if (metric == Metric::kJobDuration) {
    table.observe(metric, {job, "success"}, number % 4000);
  } else {
    table.add(metric, {job, "success"}, 1);
  }
}

// Publishes as the pipeline does after each write; the longest of its rounds, in ms.
class CommitLoop {
 public:
  CommitLoop(MetricTable& table, PublishedMetrics& published, Metric metric)
      : thread_([&table, &published, metric, this](const std::stop_token& stop) {
          for (int at = 0; !stop.stop_requested(); at = (at + kChangedByACommit) % kSeries) {
            const auto start = Clock::now();
            for (int i = 0; i < kChangedByACommit; ++i) move_series(table, metric, (at + i) % kSeries);
            published.publish(table.take_changed());
            rounds_ms_.push_back(ms_since(start));
            std::this_thread::sleep_until(start + kCommitEvery);
          }
        }) {}
  std::string end() {
    thread_.request_stop();
    thread_.join();
    std::sort(rounds_ms_.begin(), rounds_ms_.end());
    char text[120];
    std::snprintf(text, sizeof text, "%zu rounds, p50 %.2f ms, p99 %.2f ms, longest %.1f ms", rounds_ms_.size(),
                  rounds_ms_[rounds_ms_.size() / 2], rounds_ms_[rounds_ms_.size() * 99 / 100], rounds_ms_.back());
    return text;
  }

 private:
  std::vector<double> rounds_ms_;
  std::jthread thread_;
};

void scrape(const char* name, Metric metric) {
  MetricTable table(2 * kSeries);
  PublishedMetrics published;
  for (int i = 0; i < kSeries; ++i) move_series(table, metric, i);
  published.publish(table.take_changed());
  HttpServer server("127.0.0.1:0",
                    {{"/text",
                      [&](const HttpRequest&) {
                        return HttpResponse{200, std::string(kMetricsContentType), render(published)};
                      }},
                     {"/open", [&](const HttpRequest&) {
                        return HttpResponse{200, std::string(kOpenMetricsContentType), render_openmetrics(published)};
                      }}});
  if (!server.start()) {
    std::fprintf(stderr, "runtail-bench scrape: no port to listen on\n");
    std::exit(4);
  }
  {
    CommitLoop alone(table, published, metric);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    std::printf("10,000 %s, nobody scrapes: the loop's %s\n", name, alone.end().c_str());
  }
  for (const char* path : {"/text", "/open"}) {
    CommitLoop loop(table, published, metric);
    std::vector<double> took;
    std::size_t bytes = 0;
    for (int i = 0; i < kScrapes; ++i) {
      const auto start = Clock::now();
      bytes = test::http_get(server.port(), path).body.size();
      took.push_back(ms_since(start));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::sort(took.begin(), took.end());
    std::printf("10,000 %s, GET %s, %.1f MB: p50 %.1f ms, p95 %.1f ms; the loop's %s\n", name, path,
                static_cast<double>(bytes) / 1e6, took[took.size() / 2], took[took.size() * 95 / 100],
                loop.end().c_str());
  }
}

}  // namespace

void bench_scrape(const BenchOptions&) {
  scrape("counters", Metric::kJobsTotal);
  scrape("histograms", Metric::kJobDuration);
}

}  // namespace runtail::bench
