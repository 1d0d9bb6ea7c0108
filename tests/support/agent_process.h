// The real agent on a directory of its own: configured, started, killed, asked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/scrape.h"

namespace runtail::test {

struct HttpAnswer {
  int status = 0;  // 0: no answer
  std::string body;
};
// GET on 127.0.0.1.
HttpAnswer http_get(int port, const std::string& path, std::chrono::seconds patience = std::chrono::seconds(10));
// A TCP port of 127.0.0.1 nobody listens on now.
int free_port();

// Rows of a verb's JSON output: member -> text as printed ("null" becomes "", strings lose their quotes).
using JsonRow = std::map<std::string, std::string>;
std::vector<JsonRow> parse_json_rows(const std::string& array);

struct AgentSource {
  std::string name;
  std::string include;    // glob; empty: none
  std::string more = {};  // further members, in YAML flow style: "job_id: orders, worker: {pid_file: /run/x.pid}"
};

struct AgentSetup {
  std::filesystem::path directory;   // config, log and buffer go here
  std::vector<AgentSource> sources;  // none: `more` may name some
  std::string postgres_url;          // empty: embedded
  std::string more;                  // further YAML, top-level keys
  std::map<std::string, std::string> environment;
  std::vector<std::string> arguments = {};  // beside --config
  std::filesystem::path input = {};         // its standard input; empty: /dev/null
  std::filesystem::path output = {};        // its stdout; empty: with its log
  std::vector<std::string> launcher = {};   // before its command line; must exec it: {"prlimit", "--nofile=64:64"}
};

class AgentProcess {
 public:
  explicit AgentProcess(AgentSetup setup);

  // Starts it (again) and returns at once. It must not be running.
  void start();
  // start(), and waits until /healthz answers. false: it ended or never answered; see log().
  bool start_healthy();
  bool running() { return process_ && process_->running(); }
  pid_t pid() const { return process_->pid(); }
  void signal(int number) const { process_->signal(number); }

  // Both ask first whether the ledgers close, if it answers at once: whatever a test is about, they must.
  void kill9();
  struct Ended {
    int exit_code = -1;  // -1: still running after the deadline
    std::chrono::milliseconds took{};
  };
  Ended terminate(Deadline deadline = kPatience);  // SIGTERM
  // Exit code once it ends by itself; -1: still running after the deadline.
  int wait_end(Deadline deadline = kPatience) { return process_->wait(deadline).value_or(-1); }

  int port() const { return port_; }  // of its pages
  HttpAnswer get(const std::string& path) const { return http_get(port_, path); }
  std::optional<Scrape> scrape() const;                                   // nothing while it does not answer
  double metric(std::string_view name, const Labels& labels = {}) const;  // -1 while it does not answer
  // Lines taken from all sources, by /metrics; -1 while it does not answer.
  double lines_read() const { return metric("runtail_lines_read_total"); }

  // Asks through the control socket, or opens the directory while the agent is down.
  Finished ask(std::vector<std::string> verb_and_arguments) const;
  std::vector<JsonRow> runs() const;

  std::string log() const { return read_file(log_path_); }
  const std::filesystem::path& buffer() const { return buffer_; }
  const std::filesystem::path& config_path() const { return config_path_; }
  std::uint64_t rss_kib() const;   // VmRSS now; 0 if not running
  std::uint64_t peak_kib() const;  // VmHWM

 private:
  void expect_ledgers_closed() const;
  std::uint64_t status_kib(std::string_view key) const;
  const AgentSetup setup_;
  const std::filesystem::path buffer_, config_path_, log_path_;
  const int port_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace runtail::test
