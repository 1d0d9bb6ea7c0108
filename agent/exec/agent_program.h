// The agent that a wrapper starts for itself when none runs.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "agent/exec/scheduler.h"

namespace runtail {

// $RUNTAIL_AGENT, else `runtail` beside this program, else in PATH; empty: there is none.
std::filesystem::path find_agent_program(const EnvironmentLookup& environment);

// An agent for the buffer directory, in a session of its own, so that keys on the terminal are not for it. It is asked
// to end when this process dies. Its own log: agent.log in the directory. -1: it could not be started.
pid_t start_agent(const std::filesystem::path& program, const std::filesystem::path& directory,
                  const std::string& config_path);

}  // namespace runtail
