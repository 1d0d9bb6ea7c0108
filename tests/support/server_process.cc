#include "tests/support/server_process.h"

#include <signal.h>

#include <fstream>
#include <stdexcept>

namespace runtail::test {

ServerProcess::ServerProcess(std::filesystem::path directory, const std::string& name, const std::string& postgres_url,
                             const std::string& more, const std::string& sections,
                             std::map<std::string, std::string> environment)
    : config_path_(directory / (name + ".yaml")),
      log_path_(directory / (name + ".log")),
      api_port_(free_port()),
      page_port_(free_port()),
      environment_(std::move(environment)) {
  const std::filesystem::path key = directory / "api.key";
  std::ofstream(key) << "0123456789abcdef0123456789abcdef0123456789abcdef";
  std::ofstream out(config_path_);
  out << "name: " << name << "\npostgres:\n  url: \"" << postgres_url << "\"\nhttp:\n  listen: 127.0.0.1:" << page_port_
      << "\napi: {listen: \"127.0.0.1:" << api_port_ << "\", keys: [{id: main, algorithm: HS256, file: " << key.string()
      << "}]" << (more.empty() ? "" : ", ") << more << "}\n"
      << sections;
}

void ServerProcess::start() {
  Command command;
  command.argv = {RUNTAIL_BINARY, "server", "--config", config_path_.string()};
  command.output = command.errors = log_path_;
  command.environment = environment_;
  process_ = std::make_unique<ChildProcess>(command);
}

bool ServerProcess::start_healthy() {
  start();
  return wait_until([this] { return !process_->running() || page("/readyz").status == 200; }) && process_->running();
}

int ServerProcess::terminate() {
  process_->signal(SIGTERM);
  return process_->wait(std::chrono::seconds(10)).value_or(-1);
}

void ServerProcess::kill9() {
  process_->signal(SIGKILL);
  static_cast<void>(process_->wait());
}

std::string ServerProcess::token(const std::vector<std::string>& projects) const {
  Command command;
  command.argv = {RUNTAIL_BINARY, "token", "--config", config_path_.string()};
  for (const std::string& project : projects) command.argv.insert(command.argv.end(), {"--project", project});
  const Finished finished = run_to_end(command);
  if (finished.exit_code != 0) throw std::runtime_error(finished.errors);
  return finished.output.substr(0, finished.output.find('\n'));
}

CurlAnswer ServerProcess::get(const std::string& path, const std::string& token,
                              const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = more;
  if (!token.empty()) arguments.insert(arguments.begin(), {"-H", "Authorization: Bearer " + token});
  return curl(api_url() + path, arguments);
}

CurlAnswer ServerProcess::page(const std::string& path) const {
  return curl("http://127.0.0.1:" + std::to_string(page_port_) + path);
}

}  // namespace runtail::test
