// The small process between a worker and whoever started it.
//
//   worker ==stdout, stderr==> holder ==unchanged==> our own stdout, stderr     (whoever reads slowly slows the worker,
//                                |                                               as without a wrapper)
//                                +--frames--> agent --redacted lines--> our own stdout, stderr, if asked for
//                                       (neither is ever waited for)
//
// The worker starts at once, agent or not. What no agent takes is kept in a bounded queue, then dropped and counted.
// When the worker ended, what it wrote is read to the end of its pipes; a child it left behind that holds them open
// gets a second of silence, and ten in all.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "agent/exec/protocol.h"

namespace runtail {

// What goes to our own stdout and stderr.
enum class PassOutput : std::uint8_t {
  kRaw,       // the worker's, unchanged
  kRedacted,  // its lines as an agent has redacted them, one JSON object each; nothing while no agent answers
  kNone,
};

struct HolderSettings {
  std::string program;               // our own name, for messages: "runtail exec"
  std::vector<std::string> command;  // the worker: program, looked up in PATH, and arguments
  std::filesystem::path socket;      // where an agent listens
  ExecHello hello;                   // started_at and wants_redacted are filled in
  PassOutput pass_output = PassOutput::kRaw;
  bool fail_closed = false;  // no worker without an agent
  // Starts an agent when none answers; its process id, or -1. It is asked to end after the worker. Null: none is
  // started.
  std::function<pid_t()> start_agent;
  std::size_t queue_bytes_max = 8 << 20;              // memory for what no agent has taken yet
  std::chrono::milliseconds alive_after{2000};        // the worker is then reported as running
  std::chrono::milliseconds unanswered_after{2000};   // with no agent and none to start: say so
  std::chrono::milliseconds ack_wait{8000};           // at the end, for the agent to have everything
  std::chrono::milliseconds hopeless_wait{2000};      // the same when no agent is in sight
  std::chrono::milliseconds drain{8000};              // at the end, for the sinks to have everything; 0: not waited for
  std::chrono::milliseconds agent_end_wait{10000};    // for an agent we started
  std::chrono::milliseconds agent_reach_wait{10000};  // at the start, with fail_closed
};

// Runs the worker to its end and returns what this process has to exit with: the worker's code, 128 + N if signal N
// ended it, 126 or 127 if it could not be executed, 125 if fail_closed found no agent. Takes signals, stdin and
// children of the whole process for itself: nothing else may run in it afterwards.
int hold_worker(const HolderSettings& settings);

}  // namespace runtail
