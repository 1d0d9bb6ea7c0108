#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "agent/config_check.h"
#include "agent/database_look.h"
#include "agent/preflight.h"
#include "agent/service_sandbox.h"
#include "agent/verbs.h"
#include "config/quantity.h"
#include "core/exit_code.h"
#include "parsers/dialect_examples.h"

namespace runtail {
namespace {

struct CheckOptions {
  std::string config_path;
  bool print_effective = false, connect = false, as_service = false;
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

void print_line(const std::string& title, const std::string& text) {
  std::printf("%-15s %s\n", (title + ":").c_str(), text.c_str());
}

std::string origin_of(const SourceConfig& source) {
  if (source.type == "socket") return "socket " + source.socket.string();
  if (source.type == "journald") return "journal, " + (source.units.empty() ? "all units" : joined(source.units));
  return joined(source.include);
}

std::string buffer_limit(const BufferConfig& buffer) {
  return buffer.bytes_max != 0 ? print_bytes(buffer.bytes_max) : "2GiB or half of what is free";
}

void print_summary(const ConfigFile& file, const Redactor& redactor, const std::vector<DialectSpec>& dialects) {
  const Config& config = file.loaded.config;
  print_line("configuration", file.path.empty() ? "built-in defaults" : file.path);
  print_line("agent", config.name + ", environment " + (config.environment.empty() ? "-" : config.environment) +
                          ", service " + (config.service.empty() ? "-" : config.service));
  for (const SourceConfig& source : config.sources) {
    print_line("source", source.name + ": " + origin_of(source) + " -> stream " + source.stream);
  }
  print_line("buffer", config.buffer.directory.string() + ", at most " + buffer_limit(config.buffer));
  if (config.postgres.url.empty()) {
    print_line("sinks", "local history, kept " + print_duration(config.buffer.history_age_max) + " or " +
                            print_bytes(config.buffer.history_bytes_max));
  } else {
    print_line("sinks", "postgres, schema " + config.postgres.schema);
  }
  print_line("redaction", "ruleset " + redactor.ruleset() + ", free text: " + config.redaction.free_text + ", " +
                              std::to_string(config.redaction.allow.size()) + " members allowed beyond the contract");
  print_line("rules", joined(redactor.packs()));
  std::vector<std::string> actions;
  for (const auto& [kind, action] : config.redaction.actions) actions.push_back(kind + " " + action);
  print_line("actions", actions.empty() ? "mask" : "mask, " + joined(actions));
  std::vector<std::string> names;
  for (const DialectSpec& dialect : dialects) {
    const bool is_own = std::any_of(config.dialects.own.begin(), config.dialects.own.end(),
                                    [&](const DialectSpec& own) { return own.name == dialect.name; });
    names.push_back(dialect.name + (is_own ? " (" + dialect.file + ")" : ""));
  }
  print_line("dialects", joined(names));
  const std::string pages = config.metrics.enabled ? "/metrics and health on " : "health on ";
  print_line("http", config.http.listen.empty() ? "off" : pages + config.http.listen);
}

int connect(const PostgresConfig& postgres) {
  if (postgres.url.empty()) {
    print_line("database", "none configured");
    return kExitOk;
  }
  const auto look = look_at_database(postgres, false);
  if (!look) {
    std::fprintf(stderr, "%s\n", look.error().message.c_str());
    return kExitUnreachable;
  }
  for (const std::string& fact : look->facts) print_line("database", fact);
  for (const std::string& fault : look->faults) std::fprintf(stderr, "%s\n", fault.c_str());
  return look->faults.empty() ? kExitOk : kExitFindings;
}

int check(const CheckOptions& options) {
  const CheckedConfig checked = check_config(options.config_path, process_environment());
  const Config& config = checked.file.loaded.config;
  for (const std::string& problem : checked.problems) std::fprintf(stderr, "%s\n", problem.c_str());
  if (!checked.problems.empty()) return kExitConfig;
  std::vector<std::string> warnings = preflight(config);
  for (std::string& taken : taken_examples(checked.dialects, config.dialects.own)) warnings.push_back(std::move(taken));
  if (options.as_service) {
    for (std::string& refusal : sandbox_refusals(config)) warnings.push_back("as a service: " + refusal);
  }
  for (const std::string& warning : warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  if (options.print_effective) {
    std::fputs(print_effective(config).c_str(), stdout);
  } else {
    print_summary(checked.file, *checked.redactor, checked.dialects);
  }
  return options.connect ? connect(config.postgres) : kExitOk;
}

}  // namespace

void add_check_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("check", "Validate a configuration: all mistakes at once, with line and column");
  const auto options = std::make_shared<CheckOptions>();
  add_config_option(*verb, options->config_path);
  verb->add_flag("--print-effective", options->print_effective,
                 "Print the settings in force as YAML, passwords masked, instead of the summary");
  verb->add_flag("--connect", options->connect, "Connect to PostgreSQL: schema version, rights, partitions");
  verb->add_flag("--as-service", options->as_service,
                 "Warn of what the sandbox of runtail.service will forbid, with the drop-in that mends it");
  verb->footer(
      "Mistakes go to stderr, one a line, and the exit code is 3. What is valid but will not work on this\n"
      "machine (a directory that is missing, a file that cannot be read) is a warning. No connection is opened\n"
      "without --connect.\n"
      "Exit codes: 0 valid, 3 not; with --connect 4 the database does not answer, 5 an agent could not write there.\n"
      "\n"
      "Examples:\n"
      "  runtail check --config /etc/runtail/runtail.yaml\n"
      "  sudo runtail check --as-service --connect");
  verb->callback([options, &exit_code] { exit_code = check(*options); });
}

}  // namespace runtail
