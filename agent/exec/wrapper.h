// From the command line and the environment to a held worker: what `runtail exec` and `runtail-exec` share.
#pragma once

#include <filesystem>
#include <string>

#include "agent/exec/command_line.h"
#include "agent/exec/scheduler.h"

namespace runtail {

struct AgentToUse {
  std::filesystem::path directory;  // its buffer
  std::filesystem::path program;    // started if none answers; empty: none is started
  std::string config_path;          // for that one; "": its own choice
};

HolderSettings holder_settings(ExecProgram program, const ExecCommandLine& line, const EnvironmentLookup& environment,
                               const AgentToUse& agent);

// What this process has to exit with. As hold_worker(), nothing else may run in the process afterwards.
int wrap_worker(ExecProgram program, const ExecCommandLine& line, const AgentToUse& agent);

}  // namespace runtail
