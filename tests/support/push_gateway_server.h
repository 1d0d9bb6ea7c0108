// A real Pushgateway of a test's own.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/scrape.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

// From the Debian package prometheus-pushgateway. It dies with the test.
class PushGatewayServer {
 public:
  PushGatewayServer();
  // Starts it, with nothing pushed, and waits until it answers. It must not be running.
  bool start();
  void stop();
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // What it shows whoever scrapes it.
  Scrape page() const;
  // Is there a group job="runtail" of this agent?
  bool has_group(const std::string& instance = "test") const;
  // Pushes `body` as job="other"; the answer's status.
  int push(const std::string& body) const;
  std::string log() const { return read_file(directory_ / "log"); }

 private:
  const TempDir directory_;
  const int port_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace runtail::test
