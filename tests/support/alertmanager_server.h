// A real Alertmanager of a test's own: takes alerts on a port of 127.0.0.1 and says which it holds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/scrape.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

struct HeldAlert {
  Labels labels, annotations;
  std::string starts_at, ends_at, state;  // RFC 3339; active, suppressed, unprocessed
};

// From the Debian package prometheus-alertmanager. It dies with the test.
class AlertmanagerServer {
 public:
  // `config`: as alertmanager.yml has it; by default it notifies nobody.
  explicit AlertmanagerServer(const std::string& config = "route: {receiver: none}\nreceivers: [{name: none}]\n");

  int port() const { return port_; }
  bool is_ready() const;
  // Those that are active, of this name.
  std::vector<HeldAlert> alerts(const std::string& alertname) const;
  std::string log() const { return read_file(directory_ / "log"); }

 private:
  const TempDir directory_;
  const int port_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace runtail::test
