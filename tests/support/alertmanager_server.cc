#include "tests/support/alertmanager_server.h"

#include <simdjson.h>

#include <fstream>

#include "tests/support/agent_process.h"

namespace runtail::test {
namespace {

Labels labels_of(simdjson::dom::object object) {
  Labels labels;
  for (const auto& [name, value] : object) labels.emplace(name, std::string(std::string_view(value)));
  return labels;
}

std::string text_of(simdjson::dom::element value) { return std::string(std::string_view(value)); }

}  // namespace

AlertmanagerServer::AlertmanagerServer(const std::string& config) : port_(free_port()) {
  std::ofstream(directory_ / "alertmanager.yml") << config;
  Command command;
  command.argv = {"prometheus-alertmanager", "--config.file=" + (directory_ / "alertmanager.yml").string(),
                  "--storage.path=" + (directory_ / "data").string(),
                  "--web.listen-address=127.0.0.1:" + std::to_string(port_), "--cluster.listen-address="};
  command.output = directory_ / "out";
  command.errors = directory_ / "log";
  process_ = std::make_unique<ChildProcess>(command);
}

bool AlertmanagerServer::is_ready() const {
  return wait_until([this] { return http_get(port_, "/-/ready").status == 200; }, kPatience, Deadline(50));
}

std::vector<HeldAlert> AlertmanagerServer::alerts(const std::string& alertname) const {
  std::vector<HeldAlert> found;
  const HttpAnswer answer = http_get(port_, "/api/v2/alerts?active=true");
  if (answer.status != 200) return found;
  simdjson::dom::parser parser;
  const simdjson::dom::element document = parser.parse(answer.body);
  for (const simdjson::dom::element each : document.get_array()) {
    HeldAlert alert{labels_of(each["labels"].get_object()), labels_of(each["annotations"].get_object()),
                    text_of(each["startsAt"]), text_of(each["endsAt"]), text_of(each["status"]["state"])};
    if (alert.labels["alertname"] == alertname) found.push_back(std::move(alert));
  }
  return found;
}

}  // namespace runtail::test
