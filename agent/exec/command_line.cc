#include "agent/exec/command_line.h"

#include <charconv>
#include <string_view>

namespace runtail {
namespace {

using std::chrono::milliseconds;

struct Option {
  std::string_view name, value;  // value "": a flag
  std::string_view help;
  bool verb_only;  // `runtail exec` only
};

constexpr Option kOptions[] = {
    {"--job", "NAME", "Name of the job. Default: the scheduler's, else the name of the program", false},
    {"--buffer-directory", "DIR",
     "Where the agent to use keeps its buffer. Default: $RUNTAIL_BUFFER_DIRECTORY, the configured one, or\n"
     "/var/lib/runtail/buffer; for a user who may not write that, $XDG_STATE_HOME/runtail or ~/.local/state/runtail",
     false},
    {"--config", "FILE", "Configuration. Default: $RUNTAIL_CONFIG, else /etc/runtail/runtail.yaml if there is one",
     true},
    {"--run-id", "UUID", "Id of the run. Default: the scheduler's, else a random one", false},
    {"--scope", "auto|run|task",
     "What the worker's exit ends: the run, or the task it is of a scheduler's run. auto: task if AIRFLOW_CTX_TASK_ID\n"
     "or RUNTAIL_TASK_RUN_ID is set, else run",
     false},
    {"--stdout", "raw|redacted|none",
     "What goes to our own stdout and stderr. raw: the worker's, unchanged. redacted: each line as the agent has\n"
     "redacted it, as a JSON object; nothing while no agent answers. none: nothing",
     false},
    {"--drain", "TIME",
     "After the worker's end wait so long at most for its lines to be in the database: 8s, 500ms, 1m; 0: do not wait.\n"
     "Default: 8s",
     false},
    {"--fail-closed", "", "Do not start the worker unless an agent answers within 10 s", false},
    {"--help", "", "Print this", false},
    {"--version", "", "Print the version", false},
};

constexpr std::string_view kFooter =
    "The worker starts at once and never waits for runtail. Its lines go to the agent of the buffer directory; if "
    "none\n"
    "runs there, one is started and ended with the worker (its own log: agent.log in that directory). A worker that\n"
    "names no run of its own gets one, which succeeds or fails by its exit code; a run it leaves open is ended by it.\n"
    "Inside a task of a scheduler the exit ends that task instead, never the run; AIRFLOW_CTX_* and TRACEPARENT give\n"
    "ids to lines that state none. The worker finds RUNTAIL_RUN_ID and RUNTAIL_JOB_ID in its environment. Its stdout\n"
    "is a pipe: a program that buffers more then, as Python does, shows its lines sooner with PYTHONUNBUFFERED=1.\n"
    "TERM, INT, HUP, QUIT, USR1 and USR2 are handed on to the worker. When it has ended, exec waits up to 8 s for the\n"
    "agent to have everything, and up to --drain for the database; it says on stderr what was lost.\n";

constexpr std::string_view kStandalone =
    "runtail-exec is `runtail exec` alone: no libraries, no configuration. It starts an agent only if it finds\n"
    "$RUNTAIL_AGENT, or a program `runtail` beside itself or in PATH.\n";

constexpr std::string_view kExitCodes =
    "Exit code: the worker's own; 128+N if signal N ended it; 127 command not found; 126 not executable;\n"
    "125 no agent (only with --fail-closed); 2 the command line is wrong.\n";

Error wrong(const std::string& what) { return {ErrorCode::kInvalidInput, what}; }

std::optional<milliseconds> parse_time(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  constexpr std::int64_t kMax = 24 * 60 * 60 * 1000;
  if (error != std::errc() || number < 0 || number > kMax) return std::nullopt;
  const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
  if ((factor == 0 && !(unit.empty() && number == 0)) || number * factor > kMax) return std::nullopt;
  return milliseconds(number * factor);
}

// std::nullopt: taken.
std::optional<Error> take(std::string_view name, const std::string& value, ExecCommandLine& line) {
  if (name == "--job") {
    if (!is_job_name(value)) {
      return wrong("1 to 128 letters, digits or any of _ . : / - make a job's name, not \"" + value + "\"");
    }
    line.job = value;
  } else if (name == "--buffer-directory") {
    if (value.empty()) return wrong("--buffer-directory is empty: name a directory");
    line.buffer_directory = value;
  } else if (name == "--config") {
    line.config_path = value;
  } else if (name == "--run-id") {
    line.run_id = parse_uuid(value);
    if (!line.run_id) return wrong("not a UUID: \"" + value + "\"");
  } else if (name == "--scope") {
    using Scope = ExecCommandLine::Scope;
    if (value != "auto" && value != "run" && value != "task") {
      return wrong("--scope is auto, run or task, not \"" + value + "\"");
    }
    line.scope = value == "auto" ? Scope::kAuto : value == "run" ? Scope::kRun : Scope::kTask;
  } else if (name == "--stdout") {
    if (value != "raw" && value != "redacted" && value != "none") {
      return wrong("--stdout is raw, redacted or none, not \"" + value + "\"");
    }
    line.pass_output = value == "raw"        ? PassOutput::kRaw
                       : value == "redacted" ? PassOutput::kRedacted
                                             : PassOutput::kNone;
  } else if (name == "--drain") {
    const auto time = parse_time(value);
    if (!time) return wrong("--drain is a time up to 24 h, such as 8s, 500ms, 1m or 0, not \"" + value + "\"");
    line.drain = *time;
  } else if (name == "--fail-closed") {
    line.fail_closed = true;
  } else if (name == "--help") {
    line.help = true;
  } else {
    line.version = true;
  }
  return std::nullopt;
}

}  // namespace

const char* to_string(ExecProgram program) { return program == ExecProgram::kVerb ? "runtail exec" : "runtail-exec"; }

Result<ExecCommandLine> parse_exec_command_line(ExecProgram program, std::span<const char* const> words) {
  const std::string usage = std::string(to_string(program)) + " [OPTIONS] -- CMD...";
  ExecCommandLine line;
  std::size_t at = 0;
  for (; at < words.size() && std::string_view(words[at]) != "--"; ++at) {
    const std::string_view word = words[at] == std::string_view("-h") ? "--help" : words[at];
    if (!word.starts_with("--")) return wrong("put -- before the worker: " + usage);
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const Option* option = nullptr;
    for (const Option& each : kOptions) {
      if (each.name == name && (!each.verb_only || program == ExecProgram::kVerb)) option = &each;
    }
    if (!option) {
      const bool is_config = name == "--config";
      return wrong("no option " + std::string(name) +
                   (is_config ? ": runtail-exec reads no configuration; --buffer-directory names the agent's directory"
                              : "; --help lists them, and the worker stands after --: " + usage));
    }
    std::string value;
    if (option->value.empty()) {
      if (equals != std::string_view::npos) return wrong(std::string(name) + " takes no value");
    } else if (equals != std::string_view::npos) {
      value = word.substr(equals + 1);
    } else if (at + 1 < words.size() && std::string_view(words[at + 1]) != "--") {
      value = words[++at];
    } else {
      return wrong(std::string(name) + " needs a value: " + std::string(name) + " " + std::string(option->value));
    }
    if (auto error = take(name, value, line)) return *error;
    if (line.help || line.version) return line;
  }
  for (++at; at < words.size(); ++at) line.command.emplace_back(words[at]);
  if (line.command.empty() || line.command.front().empty()) {
    return wrong("put -- before the worker: " + usage);
  }
  return line;
}

std::string exec_help(ExecProgram program) {
  const std::string name = to_string(program);
  std::string out = "Run a worker, pass its output through, and record its run\nUsage: " + name +
                    " [OPTIONS] -- CMD...\n\nOptions:\n";
  for (const Option& option : kOptions) {
    if (option.verb_only && program != ExecProgram::kVerb) continue;
    out += "  ";
    out += option.name;
    if (!option.value.empty()) {
      out += ' ';
      out += option.value;
    }
    out += "\n      ";
    for (const char c : option.help) {
      out += c;
      if (c == '\n') out += "      ";
    }
    out += '\n';
  }
  out += '\n';
  out += kFooter;
  if (program == ExecProgram::kStandalone) out += kStandalone;
  out += '\n';
  out += kExitCodes;
  out += "\nExamples:\n";
  for (const std::string_view example :
       {" -- python3 worker.py\n", " --job nightly-orders -- /opt/etl/orders.sh --full\n"}) {
    out += "  " + name + std::string(example);
  }
  out += program == ExecProgram::kVerb ? "  ENTRYPOINT [\"runtail\", \"exec\", \"--\", \"python3\", \"worker.py\"]\n"
                                       : "  ENTRYPOINT [\"/runtail-exec\", \"--\", \"python3\", \"worker.py\"]\n";
  return out;
}

}  // namespace runtail
