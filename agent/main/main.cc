// The command line: one verb each, all of them in agent/verbs.h.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "agent/verbs.h"
#include "config/near_word.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

constexpr const char* kAbout =
    "runtail turns the stdout of ETL workers into run history, metrics and data-quality findings:\n"
    "it tails JSON lines, redacts them, derives runs, keeps all that durably and delivers it to PostgreSQL.";

constexpr const char* kFooter =
    "Examples:\n"
    "  RUNTAIL_SOURCE_INCLUDE='/var/log/etl/*.log' runtail agent\n"
    "  runtail exec -- python3 worker.py\n"
    "  runtail VERB --help\n"
    "\n"
    "Exit codes:\n"
    "  0 ok             1 incomplete               2 usage\n"
    "  3 configuration  4 dependency unreachable   5 findings\n"
    "  exec: the worker's own code, 128+N if signal N ended it, 127 command not found, 126 not executable,\n"
    "        125 runtail's own failure (only with --fail-closed)";

int run(int argc, char** argv) {
  // Its worker's words are nobody else's to read: CLI11 would split an argument like "[a,b]".
  if (argc > 1 && std::string_view(argv[1]) == "exec") return exec_verb({argv + 2, argv + argc});
  CLI::App app(kAbout, "runtail");
  app.footer(kFooter);
  app.require_subcommand(1);
  int exit_code = kExitOk;
  add_agent_verb(app, exit_code);
  add_exec_verb(app);
  add_journal_reader_verb(app, exit_code);
  add_describe_verb(app, exit_code);
  add_migrate_verb(app, exit_code);
  add_check_verb(app, exit_code);
  add_redact_verb(app, exit_code);
  add_replay_verb(app, exit_code);
  add_server_verb(app, exit_code);
  add_explain_verb(app, exit_code);
  add_doctor_verb(app, exit_code);
  add_tap_verb(app, exit_code);
  add_runs_verb(app, exit_code);
  add_status_verb(app, exit_code);
  add_buffer_verb(app, exit_code);
  add_alerts_verb(app, exit_code);
  add_token_verb(app, exit_code);
  add_version_verb(app, exit_code);
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands({})) verbs.push_back(verb->get_name());
  if (argc > 1 && argv[1][0] != '-' && std::find(verbs.begin(), verbs.end(), argv[1]) == verbs.end()) {
    std::fprintf(stderr, "no verb \"%s\"%s; runtail --help lists them\n", argv[1],
                 did_you_mean(argv[1], verbs).c_str());
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {
    // Also how --help and --version end, with code 0.
    return app.exit(stop) == 0 ? kExitOk : kExitUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace runtail

int main(int argc, char** argv) {
  try {
    return runtail::run(argc, argv);
  } catch (const std::exception& unexpected) {
    std::fprintf(stderr, "runtail: unexpected: %s\n", unexpected.what());
  } catch (...) {
    std::fputs("runtail: unexpected failure\n", stderr);
  }
  return runtail::kExitIncomplete;
}
