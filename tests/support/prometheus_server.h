// A real Prometheus of a test's own: scrapes one page of 127.0.0.1, keeps exemplars, answers queries.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/scrape.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

struct PrometheusExemplar {
  Labels series;  // of the sample it stands at, with "__name__"
  Labels labels;  // its own: run_id, trace_id
  double value = 0;
};

// Alert rules it evaluates every 200 ms, and the Alertmanager it tells.
struct PrometheusAlerting {
  std::vector<std::filesystem::path> rule_files;
  int alertmanager_port = 0;
};

// From the Debian package prometheus. It dies with the test.
class PrometheusServer {
 public:
  explicit PrometheusServer(int scraped_port, const PrometheusAlerting& alerting = {});  // every 200 ms, /metrics
  // Begins with the blocks in `data`, and scrapes itself only.
  explicit PrometheusServer(const std::filesystem::path& data);

  // Waits until it answers and has scraped once.
  bool is_ready() const;
  // Samples of an instant query, now. Empty as well if it does not answer.
  Scrape query(const std::string& expression) const;
  // Of the last day and the minute to come.
  std::vector<PrometheusExemplar> exemplars(const std::string& expression) const;
  std::string log() const { return read_file(directory_ / "log"); }

 private:
  PrometheusServer(int port, int scraped_port, const std::filesystem::path& data, const PrometheusAlerting& alerting);

  const TempDir directory_;
  const int port_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace runtail::test
