// `runtail exec`: agent/exec/ with the buffer directory of the configuration, and this program as the agent to start.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <string>

#include "agent/config_file.h"
#include "agent/exec/wrapper.h"
#include "agent/state_directory.h"
#include "agent/verbs.h"
#include "core/build_info.h"
#include "core/exit_code.h"

namespace runtail {

void add_exec_verb(CLI::App& app) {
  app.add_subcommand("exec", "Run a worker, pass its output through, and record its run");
}

int exec_verb(std::span<const char* const> words) {
  const auto line = parse_exec_command_line(ExecProgram::kVerb, words);
  if (!line) {
    std::fprintf(stderr, "runtail exec: %s\n", line.error().message.c_str());
    return kExitUsage;
  }
  if (line->help) {
    std::fputs(exec_help(ExecProgram::kVerb).c_str(), stdout);
    return kExitOk;
  }
  if (line->version) {
    std::printf("runtail %s (%s)\n", std::string(build_version()).c_str(), std::string(build_git_sha()).c_str());
    return kExitOk;
  }
  // A configuration that cannot be read keeps no worker from running; the agent will say the same.
  const ConfigFile file = load_config_file_of(line->config_path, process_environment());
  for (const ConfigProblem& problem : file.loaded.problems) {
    std::fprintf(stderr, "runtail exec: %s\n", to_string(problem).c_str());
  }
  AgentToUse agent;
  agent.directory = state_directory(line->buffer_directory, file.loaded.config.buffer.directory);
  agent.program = "/proc/self/exe";
  agent.config_path = file.path;
  return wrap_worker(ExecProgram::kVerb, *line, agent);
}

}  // namespace runtail
