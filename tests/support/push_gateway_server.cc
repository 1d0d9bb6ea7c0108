#include "tests/support/push_gateway_server.h"

#include <signal.h>

#include <algorithm>
#include <fstream>

#include "tests/support/agent_process.h"

namespace runtail::test {

PushGatewayServer::PushGatewayServer() : port_(free_port()) {}

bool PushGatewayServer::start() {
  Command command;
  command.argv = {"prometheus-pushgateway", "--web.listen-address=127.0.0.1:" + std::to_string(port_)};
  command.output = directory_ / "out";
  command.errors = directory_ / "log";
  process_ = std::make_unique<ChildProcess>(command);
  return wait_until([this] { return http_get(port_, "/-/ready").status == 200; });
}

void PushGatewayServer::stop() {
  process_->signal(SIGKILL);
  process_->wait();
}

Scrape PushGatewayServer::page() const {
  const HttpAnswer answer = http_get(port_, "/metrics");
  return answer.status == 200 ? parse_metrics(answer.body) : Scrape{};
}

bool PushGatewayServer::has_group(const std::string& instance) const {
  const Scrape scrape = page();
  return std::any_of(scrape.samples.begin(), scrape.samples.end(), [&](const Sample& each) {
    const auto label = each.labels.find("instance");
    return label != each.labels.end() && label->second == instance && each.name == "push_time_seconds";
  });
}

int PushGatewayServer::push(const std::string& body) const {
  std::ofstream(directory_ / "body") << body;
  Command command;
  command.argv = {"curl",
                  "-s",
                  "-o",
                  (directory_ / "answer").string(),
                  "-w",
                  "%{http_code}",
                  "--data-binary",
                  "@" + (directory_ / "body").string(),
                  url() + "/metrics/job/other"};
  return std::stoi(run_to_end(command).output);
}

}  // namespace runtail::test
