// runtail-exec: `runtail exec` alone, static, without configuration.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "agent/exec/agent_program.h"
#include "agent/exec/wrapper.h"
#include "agent/state_directory.h"
#include "config/config.h"
#include "core/build_info.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

int run(int argc, char** argv) {
  const std::span<const char* const> words(argv, static_cast<std::size_t>(argc));
  const auto line = parse_exec_command_line(ExecProgram::kStandalone, words.subspan(argc > 0 ? 1 : 0));
  if (!line) {
    std::fprintf(stderr, "runtail-exec: %s\n", line.error().message.c_str());
    return kExitUsage;
  }
  if (line->help) {
    std::fputs(exec_help(ExecProgram::kStandalone).c_str(), stdout);
    return kExitOk;
  }
  if (line->version) {
    std::printf("runtail-exec %s (%s)\n", std::string(build_version()).c_str(), std::string(build_git_sha()).c_str());
    return kExitOk;
  }
  AgentToUse agent;
  const char* configured = std::getenv("RUNTAIL_BUFFER_DIRECTORY");
  agent.directory =
      state_directory(line->buffer_directory, configured && *configured ? configured : BufferConfig{}.directory);
  agent.program = find_agent_program([](const char* name) { return std::getenv(name); });
  return wrap_worker(ExecProgram::kStandalone, *line, agent);
}

}  // namespace
}  // namespace runtail

int main(int argc, char** argv) {
  try {
    return runtail::run(argc, argv);
  } catch (const std::exception& unexpected) {
    std::fprintf(stderr, "runtail-exec: unexpected: %s\n", unexpected.what());
  }
  return runtail::kExitIncomplete;
}
