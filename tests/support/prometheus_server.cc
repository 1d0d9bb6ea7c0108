#include "tests/support/prometheus_server.h"

#include <simdjson.h>

#include <cctype>
#include <chrono>
#include <fstream>

#include "tests/support/agent_process.h"

namespace runtail::test {
namespace {

std::string escaped(const std::string& text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const unsigned char c : text) {
    if (std::isalnum(c)) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
  }
  return out;
}

Labels labels_of(simdjson::dom::object object) {
  Labels labels;
  for (const auto& [name, value] : object) labels.emplace(name, std::string(std::string_view(value)));
  return labels;
}

double number(simdjson::dom::element text) { return std::stod(std::string(std::string_view(text))); }

}  // namespace

PrometheusServer::PrometheusServer(int scraped_port, const PrometheusAlerting& alerting)
    : PrometheusServer(free_port(), scraped_port, {}, alerting) {}

PrometheusServer::PrometheusServer(const std::filesystem::path& data) : PrometheusServer(free_port(), 0, data, {}) {}

PrometheusServer::PrometheusServer(int port, int scraped_port, const std::filesystem::path& data,
                                   const PrometheusAlerting& alerting)
    : port_(port) {
  std::ofstream config(directory_ / "prometheus.yml");
  config << "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  evaluation_interval: 200ms\n";
  if (!alerting.rule_files.empty()) config << "rule_files:\n";
  for (const auto& file : alerting.rule_files) config << "  - " << file.string() << "\n";
  if (alerting.alertmanager_port != 0)
    config << "alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: ['127.0.0.1:"
           << alerting.alertmanager_port << "']\n";
  config << "scrape_configs:\n  - job_name: runtail\n"
         << "    static_configs:\n      - targets: ['127.0.0.1:" << (scraped_port == 0 ? port : scraped_port) << "']\n"
         << std::flush;
  Command command;
  command.argv = {"prometheus",
                  "--config.file=" + (directory_ / "prometheus.yml").string(),
                  "--storage.tsdb.path=" + (data.empty() ? directory_ / "data" : data).string(),
                  "--storage.tsdb.retention.time=10d",
                  "--web.listen-address=127.0.0.1:" + std::to_string(port_),
                  "--enable-feature=exemplar-storage",
                  "--log.level=debug"};
  command.output = directory_ / "out";
  command.errors = directory_ / "log";
  process_ = std::make_unique<ChildProcess>(command);
}

bool PrometheusServer::is_ready() const {
  return wait_until([this] { return query("up").sum("up") == 1; }, kPatience, Deadline(50));
}

Scrape PrometheusServer::query(const std::string& expression) const {
  const HttpAnswer answer = http_get(port_, "/api/v1/query?query=" + escaped(expression));
  Scrape scrape;
  if (answer.status != 200) return scrape;
  simdjson::dom::parser parser;
  const simdjson::dom::element document = parser.parse(answer.body);
  for (const simdjson::dom::element series : document["data"]["result"].get_array()) {
    Sample& sample = scrape.samples.emplace_back();
    sample.labels = labels_of(series["metric"].get_object());
    sample.name = sample.labels["__name__"];
    sample.value = number(series["value"].at(1));
  }
  return scrape;
}

std::vector<PrometheusExemplar> PrometheusServer::exemplars(const std::string& expression) const {
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  const HttpAnswer answer = http_get(port_, "/api/v1/query_exemplars?query=" + escaped(expression) +
                                                "&start=" + std::to_string(now.count() - 86'400) +
                                                "&end=" + std::to_string(now.count() + 60));
  std::vector<PrometheusExemplar> found;
  if (answer.status != 200) return found;
  simdjson::dom::parser parser;
  const simdjson::dom::element document = parser.parse(answer.body);
  for (const simdjson::dom::element series : document["data"].get_array()) {
    for (const simdjson::dom::element each : series["exemplars"].get_array()) {
      found.push_back({labels_of(series["seriesLabels"].get_object()), labels_of(each["labels"].get_object()),
                       number(each["value"])});
    }
  }
  return found;
}

}  // namespace runtail::test
