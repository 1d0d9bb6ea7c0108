// `runtail doctor`: everything a ticket needs, in one report that holds no secret.
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "agent/config_check.h"
#include "agent/control_socket.h"
#include "agent/database_look.h"
#include "agent/look.h"
#include "agent/preflight.h"
#include "agent/state_directory.h"
#include "agent/verbs.h"
#include "core/build_info.h"
#include "core/digest.h"
#include "core/exit_code.h"
#include "core/time.h"

namespace runtail {
namespace {

constexpr std::chrono::seconds kAgentAnswers{10};
constexpr const char* kLettersShown = "limit=5";

// Prints through the redactor: a host, a path or a server's message may hold what nobody should paste into a ticket.
class Report {
 public:
  explicit Report(std::optional<Redactor> redactor) : redactor_(std::move(redactor)) {}

  void section(const char* title) { std::printf("\n== %s\n", title); }
  void say(const std::string& text) {
    for (std::size_t from = 0; from < text.size();) {
      const std::size_t end = std::min(text.find('\n', from), text.size());
      const std::string line = text.substr(from, end - from);
      std::printf("%s\n",
                  redactor_ ? redactor_->redact_text(line).c_str() : "(not shown: the redactor's rules are wrong)");
      from = end + 1;
    }
  }
  void fault(const std::string& text) {
    ++faults_;
    say("! " + text);
  }
  int faults() const { return faults_; }

 private:
  std::optional<Redactor> redactor_;
  int faults_ = 0;
};

std::string system_name() {
  std::ifstream release("/etc/os-release");
  for (std::string line; std::getline(release, line);) {
    if (line.starts_with("PRETTY_NAME=")) return line.substr(12);
  }
  return "unknown system";
}

// Where the tool's own rules are wrong the built-in ones still redact this report.
std::optional<Redactor> some_redactor(std::optional<Redactor> configured) {
  if (configured) return configured;
  auto built_in = Redactor::make({});
  if (!built_in) return std::nullopt;
  return std::move(*built_in);
}

int doctor(const std::string& config_path, bool connects) {
  CheckedConfig checked = check_config(config_path, process_environment());
  const Config& config = checked.file.loaded.config;
  const bool is_valid = checked.problems.empty();
  Report report(some_redactor(std::move(checked.redactor)));

  report.say("runtail " + std::string(build_version()) + " (" + std::string(build_git_sha()) + ") at " +
             to_rfc3339(SystemClock().now()));
  utsname machine{};
  uname(&machine);
  report.say(system_name() + ", Linux " + machine.release + ", " + machine.machine + ", user id " +
             std::to_string(geteuid()));

  report.section("configuration");
  report.say(checked.file.path.empty() ? "built-in defaults" : checked.file.path);
  for (const std::string& problem : checked.problems) report.fault(problem);
  if (is_valid) {
    for (const std::string& warning : preflight(config)) report.fault(warning);
    const std::string effective = print_effective(config);
    const Bytes32 digest = sha256(effective);
    report.say("digest " + to_hex(std::span(digest).first(16)));
    report.say(effective);
  }

  const auto directory = state_directory("", config.buffer.directory);
  report.section("agent");
  const auto status = ask(control_socket_path(directory), {"status"}, kAgentAnswers);
  if (status) {
    report.say(*status);
    // Both are 0 in a healthy agent; what else is wrong stands in the lines above.
    if (status->find("ledger imbalance: 0\n") == std::string::npos) report.fault("the ledgers do not close");
    if (status->find("degraded") != std::string::npos) report.fault("a sink is degraded");
    if (status->find("configuration: refused") != std::string::npos) report.fault("a reload was refused");
  } else {
    report.fault(status.error().message);
  }

  report.section("buffer");
  report.say(directory.string());
  const auto letters = look_in(directory, {"buffer", "dead-letters", "output=csv", kLettersShown}, config.redaction);
  if (!letters) {
    report.fault(letters.error().message);
  } else if (std::count(letters->begin(), letters->end(), '\n') > 1) {
    report.fault("lines were set aside; the first of them:");
    report.say(*letters);
  } else {
    report.say("no line was set aside");
  }

  report.section("database");
  if (config.postgres.url.empty()) {
    report.say("none: the history is in the buffer");
  } else if (!connects) {
    report.say("not asked (--no-connect)");
  } else if (const auto look = look_at_database(config.postgres, true); !look) {
    report.fault(look.error().message);
  } else {
    for (const std::string& fact : look->facts) report.say(fact);
    for (const std::string& fault : look->faults) report.fault(fault);
  }
  std::printf("\n%d found\n", report.faults());
  return !is_valid ? kExitConfig : report.faults() > 0 ? kExitFindings : kExitOk;
}

}  // namespace

void add_doctor_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb =
      app.add_subcommand("doctor", "One report for a ticket: configuration, agent, buffer, database; no secret");
  struct Options {
    std::string config_path;
    bool no_connect = false;
  };
  const auto options = std::make_shared<Options>();
  add_config_option(*verb, options->config_path);
  verb->add_flag("--no-connect", options->no_connect, "Do not connect to PostgreSQL");
  verb->footer(
      "Every line goes through the redactor, secrets of the configuration are masked. What is wrong begins with "
      "\"!\".\n"
      "Exit codes: 0 nothing found, 3 the configuration is wrong, 5 something was found.\n"
      "\n"
      "Example: runtail doctor > ticket.txt");
  verb->callback([options, &exit_code] { exit_code = doctor(options->config_path, !options->no_connect); });
}

}  // namespace runtail
