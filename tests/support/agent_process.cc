#include "tests/support/agent_process.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <simdjson.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <stdexcept>

namespace runtail::test {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

std::string config_text(const AgentSetup& setup, const std::filesystem::path& buffer, int port) {
  std::string text = "version: 1\nname: test\n";
  if (!setup.sources.empty()) text += "sources:\n";
  for (const AgentSource& source : setup.sources) {
    text += "  - {name: " + source.name;
    if (!source.include.empty()) text += ", include: [\"" + source.include + "\"]";
    text += (source.more.empty() ? "" : ", ") + source.more + "}\n";
  }
  text += "buffer: {directory: \"" + buffer.string() + "\"}\n";
  text += "http: {listen: \"127.0.0.1:" + std::to_string(port) + "\"}\n";
  if (!setup.postgres_url.empty()) text += "postgres: {url: \"" + setup.postgres_url + "\"}\n";
  return text + setup.more;
}

// A body sent in chunks: size in hex, line end, bytes, line end.
std::string joined(const std::string& body) {
  std::string out;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t line_end = body.find("\r\n", at);
    if (line_end == std::string::npos) break;
    const std::size_t size = std::stoul(body.substr(at, line_end - at), nullptr, 16);
    out += body.substr(line_end + 2, size);
    at = line_end + 2 + size + 2;
  }
  return out;
}

}  // namespace

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

HttpAnswer http_get(int port, const std::string& path, std::chrono::seconds patience_of_reads) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const timeval patience{patience_of_reads.count(), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char bytes[16384];
    ssize_t count = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    while (count > 0 && (count = ::recv(fd, bytes, sizeof bytes, 0)) > 0) {
      answer.append(bytes, static_cast<std::size_t>(count));
    }
  }
  ::close(fd);
  const std::size_t head_end = answer.find("\r\n\r\n");
  if (head_end == std::string::npos || answer.size() < 12) return {};
  HttpAnswer out{std::stoi(answer.substr(9, 3)), answer.substr(head_end + 4)};
  if (answer.find("Transfer-Encoding: chunked") < head_end) out.body = joined(out.body);
  const std::size_t length = answer.find("Content-Length: ");
  // An answer cut short (the agent was killed while writing it) is none.
  if (length < head_end && out.body.size() != std::stoul(answer.substr(length + 16))) return {};
  return out;
}

std::vector<JsonRow> parse_json_rows(const std::string& array) {
  simdjson::dom::parser parser;
  std::vector<JsonRow> rows;
  for (const simdjson::dom::object row : simdjson::dom::array(parser.parse(array))) {
    JsonRow& out = rows.emplace_back();
    for (const auto& [key, value] : row) {
      std::string_view text;
      if (value.get(text) == simdjson::SUCCESS) {
        out[std::string(key)] = text;
      } else {
        out[std::string(key)] = value.is_null() ? "" : simdjson::minify(value);
      }
    }
  }
  return rows;
}

AgentProcess::AgentProcess(AgentSetup setup)
    : setup_(std::move(setup)),
      buffer_(setup_.directory / "buffer"),
      config_path_(setup_.directory / "runtail.yaml"),
      log_path_(setup_.directory / "agent.log"),
      port_(free_port()) {
  std::ofstream(config_path_) << config_text(setup_, buffer_, port_);
}

void AgentProcess::start() {
  if (running()) throw std::logic_error("the agent is running");
  Command command;
  command.argv = setup_.launcher;
  command.argv.insert(command.argv.end(), {RUNTAIL_BINARY, "agent", "--config", config_path_});
  command.argv.insert(command.argv.end(), setup_.arguments.begin(), setup_.arguments.end());
  command.environment = setup_.environment;
  command.input = setup_.input;
  command.output = setup_.output.empty() ? log_path_ : setup_.output;
  command.errors = log_path_;
  process_ = std::make_unique<ChildProcess>(command);
}

bool AgentProcess::start_healthy() {
  start();
  wait_until([this] { return get("/healthz").status == 200 || !running(); });
  return running() && get("/healthz").status == 200;
}

void AgentProcess::kill9() {
  expect_ledgers_closed();
  process_->signal(SIGKILL);
  process_->wait();
}

AgentProcess::Ended AgentProcess::terminate(Deadline deadline) {
  expect_ledgers_closed();
  const auto begin = std::chrono::steady_clock::now();
  process_->signal(SIGTERM);
  const int exit_code = process_->wait(deadline).value_or(-1);
  return {exit_code, std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin)};
}

void AgentProcess::expect_ledgers_closed() const {
  const HttpAnswer answer = http_get(port_, "/metrics", std::chrono::seconds(1));
  if (answer.status != 200) return;
  EXPECT_EQ(parse_metrics(answer.body).sum("runtail_ledger_imbalance"), 0) << log();
}

std::optional<Scrape> AgentProcess::scrape() const {
  const HttpAnswer answer = get("/metrics");
  if (answer.status != 200) return std::nullopt;
  return parse_metrics(answer.body);
}

double AgentProcess::metric(std::string_view name, const Labels& labels) const {
  const std::optional<Scrape> page = scrape();
  return page ? page->sum(name, labels) : -1;
}

Finished AgentProcess::ask(std::vector<std::string> verb_and_arguments) const {
  Command command;
  command.argv = {RUNTAIL_BINARY};
  for (std::string& word : verb_and_arguments) command.argv.push_back(std::move(word));
  command.argv.push_back("--directory");
  command.argv.push_back(buffer_);
  return run_to_end(std::move(command));
}

std::vector<JsonRow> AgentProcess::runs() const {
  const Finished answer = ask({"runs", "--limit", "1000000", "--output", "json"});
  if (answer.exit_code != 0) throw std::runtime_error("runtail runs: " + answer.errors);
  return parse_json_rows(answer.output);
}

std::uint64_t AgentProcess::rss_kib() const { return status_kib("VmRSS:"); }
std::uint64_t AgentProcess::peak_kib() const { return status_kib("VmHWM:"); }

std::uint64_t AgentProcess::status_kib(std::string_view key) const {
  if (!process_) return 0;
  const std::string status = read_file("/proc/" + std::to_string(process_->pid()) + "/status");
  const std::size_t at = status.find(key);
  return at == std::string::npos ? 0 : std::stoull(status.substr(at + key.size()));
}

}  // namespace runtail::test
