// A replay into the store of an agent that runs without PostgreSQL: the agent itself writes what it is given, so that
// its runs, its counters and how far its files are read stay of one piece.
#pragma once

#include <memory>
#include <string>

#include "agent/replay_store.h"
#include "config/config.h"

namespace runtail {

// Asks the agent that holds config.buffer.directory. kUnavailable: it does not answer. kInvalidInput: it refuses, as it
// keeps no history itself, or goes by other rules of redaction.
Result<ReplayStart> ask_agent(const Config& config, const std::string& ruleset);

// What the agent reads itself is left to it and waited for: it counts as duplicate.
// `config` outlives it.
std::unique_ptr<ReplayStore> make_agent_store(const Config& config, std::string ruleset, OnReplayWait on_wait);

}  // namespace runtail
