// The command line of `runtail exec` and of `runtail-exec`: one table of options, one help text.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/exec/holder.h"
#include "core/result.h"
#include "core/uuid.h"

namespace runtail {

struct ExecCommandLine {
  enum class Scope { kAuto, kRun, kTask };

  bool help = false, version = false;  // nothing else counts then
  std::string job;                     // is_job_name(), or "": not given
  std::string buffer_directory;        // "": not given
  std::string config_path;             // "": not given; `runtail exec` only
  std::optional<Uuid> run_id;
  PassOutput pass_output = PassOutput::kRaw;
  Scope scope = Scope::kAuto;
  std::chrono::milliseconds drain{8000};
  bool fail_closed = false;
  std::vector<std::string> command;  // never empty
};

// Who is asked: `runtail exec` reads a configuration, `runtail-exec` knows none.
enum class ExecProgram { kVerb, kStandalone };
const char* to_string(ExecProgram program);  // "runtail exec"

// `words`: without the program's own name (and the verb's). kInvalidInput: what is wrong and how it is said right.
Result<ExecCommandLine> parse_exec_command_line(ExecProgram program, std::span<const char* const> words);

std::string exec_help(ExecProgram program);

}  // namespace runtail
