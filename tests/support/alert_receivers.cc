#include "tests/support/alert_receivers.h"

#include <simdjson.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/support/agent_process.h"

namespace runtail::test {

AlertReceivers::AlertReceivers() : http_port_(free_port()), smtp_port_(free_port()) {
  Command make;
  make.argv = {"openssl",  "req",
               "-x509",    "-newkey",
               "rsa:2048", "-nodes",
               "-days",    "2",
               "-keyout",  directory_ / "tls.key",
               "-out",     directory_ / "tls.pem",
               "-subj",    "/CN=localhost",
               "-addext",  "subjectAltName=DNS:localhost"};
  if (const Finished made = run_to_end(make); made.exit_code != 0) throw std::runtime_error(made.errors);
  std::ofstream(directory_ / "password") << "mail-password\n";
  Command command;
  command.argv = {"/usr/bin/python3", RUNTAIL_SOURCE_DIR "/tests/support/alert_receivers.py",
                  directory_.path().string(), std::to_string(http_port_), std::to_string(smtp_port_)};
  command.output = command.errors = directory_ / "log";
  process_ = std::make_unique<ChildProcess>(command);
}

bool AlertReceivers::is_ready() const {
  return wait_until([this] { return std::filesystem::exists(directory_ / "ready"); });
}

std::vector<ReceivedMessage> AlertReceivers::messages(const std::string& channel) const {
  std::vector<ReceivedMessage> all;
  std::istringstream lines(read_file(directory_ / "messages"));
  simdjson::dom::parser parser;
  for (std::string line; std::getline(lines, line) && !lines.eof();) {
    const simdjson::dom::element each = parser.parse(line);
    const auto text = [&](const char* name) { return std::string(std::string_view(each[name])); };
    if (!channel.empty() && text("channel") != channel) continue;
    all.push_back({text("channel"), text("key"), text("subject"), text("text"), std::stod(text("at"))});
  }
  return all;
}

void AlertReceivers::refuse(bool refused) const {
  if (refused) {
    std::ofstream(directory_ / "refuse");
  } else {
    std::filesystem::remove(directory_ / "refuse");
  }
}

std::string AlertReceivers::smtp_settings() const {
  return "alerts: {smtp_url: \"" + smtp_url() + "\", smtp_user: runtail, smtp_password_file: " + password_file() +
         ", smtp_from: etl@example.org, ca_file: " + certificate();
}

}  // namespace runtail::test
