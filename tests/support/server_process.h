// The real `runtail server` on a directory of its own, asked as users ask it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/agent_process.h"
#include "tests/support/child_process.h"
#include "tests/support/curl.h"
#include "tests/support/scrape.h"

namespace runtail::test {

class ServerProcess {
 public:
  // `more`: further members of the section api, in YAML flow style: "requests_per_second: 5". `sections`: further YAML,
  // top-level keys. `environment`: beside the test's own.
  ServerProcess(std::filesystem::path directory, const std::string& name, const std::string& postgres_url,
                const std::string& more = "", const std::string& sections = "",
                std::map<std::string, std::string> environment = {});

  void start();          // and returns at once
  bool start_healthy();  // waits until /readyz is 200
  int terminate();       // exit code after SIGTERM; -1: still running after 10 s
  void kill9();          // and waits until it is gone

  // A token for `projects` (all where there are none), made by `runtail token`.
  std::string token(const std::vector<std::string>& projects = {}) const;
  CurlAnswer get(const std::string& path, const std::string& token, const std::vector<std::string>& more = {}) const;
  std::string api_url() const { return "http://127.0.0.1:" + std::to_string(api_port_); }
  int page_port() const { return page_port_; }
  CurlAnswer page(const std::string& path) const;  // /metrics, /readyz, ...
  Scrape scrape() const { return parse_metrics(page("/metrics").body); }
  std::string log() const { return read_file(log_path_); }
  const std::filesystem::path& config_path() const { return config_path_; }

 private:
  const std::filesystem::path config_path_, log_path_;
  const int api_port_, page_port_;
  const std::map<std::string, std::string> environment_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace runtail::test
