#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "agent/config_file.h"
#include "agent/exec_holder.h"
#include "agent/state_directory.h"
#include "agent/verbs.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

constexpr off_t kAgentLogBytesMax = 1 << 20;  // a longer one is begun anew

struct ExecOptions {
  std::string job, buffer_directory, config_path, run_id;
  std::string pass_output = "raw";
  bool fail_closed = false;
  std::vector<std::string> command;
};

// An agent for the directory, in a session of its own, so that keys on the terminal are not for it; it ends with us.
pid_t start_agent(const fs::path& directory, const std::string& config_path) {
  std::error_code ignored;
  fs::create_directories(directory, ignored);
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != self) _exit(kExitUnreachable);
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const fs::path log = directory / "agent.log";
  struct stat status {};
  const bool is_long = stat(log.c_str(), &status) == 0 && status.st_size > kAgentLogBytesMax;
  int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | (is_long ? O_TRUNC : 0), 0600);
  if (out < 0) out = open("/dev/null", O_WRONLY);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  if (const int null = open("/dev/null", O_RDONLY); null >= 0) dup2(null, STDIN_FILENO);
  setenv("RUNTAIL_BUFFER_DIRECTORY", directory.c_str(), 1);
  if (config_path.empty()) {
    execl("/proc/self/exe", "runtail", "agent", nullptr);
  } else {
    execl("/proc/self/exe", "runtail", "agent", "--config", config_path.c_str(), nullptr);
  }
  _exit(kExitUnreachable);
}

template <std::size_t N>
std::array<std::uint8_t, N> random_bytes() {
  std::array<std::uint8_t, N> bytes{};
  if (getrandom(bytes.data(), N, 0) != static_cast<ssize_t>(N)) std::perror("runtail exec: getrandom");
  return bytes;
}

Uuid random_uuid() {
  Uuid uuid{random_bytes<16>()};
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0F) | 0x40);  // RFC 9562: version 4
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3F) | 0x80);
  return uuid;
}

// Everything after the first "--", as the system gave it: CLI11 would split an argument like "[a,b]". Empty: no "--".
std::vector<std::string> raw_command() {
  std::ifstream file("/proc/self/cmdline");
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  const auto mark = std::find(words.begin(), words.end(), "--");
  return mark == words.end() ? std::vector<std::string>{} : std::vector<std::string>(mark + 1, words.end());
}

int exec(ExecOptions options) {
  options.command = raw_command();
  if (options.command.empty() || options.command.front().empty()) {
    std::fputs("runtail exec: put -- before the worker: runtail exec -- CMD...\n", stderr);
    return kExitUsage;
  }
  // A configuration that cannot be read keeps no worker from running; the agent will say the same.
  const ConfigFile file = load_config_file_of(options.config_path, process_environment());
  for (const ConfigProblem& problem : file.loaded.problems) {
    std::fprintf(stderr, "runtail exec: %s\n", to_string(problem).c_str());
  }
  const fs::path directory = state_directory(options.buffer_directory, file.loaded.config.buffer.directory);

  HolderSettings settings;
  settings.command = options.command;
  settings.socket = exec_socket_path(directory);
  if (const auto address = exec_socket_address(settings.socket); !address) {
    std::fprintf(stderr, "runtail exec: %s\n", address.error().message.c_str());
  }
  settings.hello.instance = random_bytes<16>();
  settings.hello.run = options.run_id.empty() ? random_uuid() : *parse_uuid(options.run_id);
  settings.hello.job = options.job;
  settings.hello.command = safe_name(fs::path(options.command.front()).filename().native());
  settings.pass_output = options.pass_output == "raw";
  settings.fail_closed = options.fail_closed;
  settings.start_agent = [directory, path = file.path] { return start_agent(directory, path); };
  prctl(PR_SET_DUMPABLE, 0);  // raw lines pass through our memory: no core of it, and no debugger
  return hold_worker(settings);
}

}  // namespace

void add_exec_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("exec", "Run a worker, pass its output through, and record its run");
  const auto options = std::make_shared<ExecOptions>();
  verb->add_option("--job", options->job, "Name of the job. Default: the name of the program")
      ->type_name("NAME")
      ->check([](const std::string& job) {
        return is_job_name(job) ? ""
                                : "1 to 128 letters, digits or any of _ . : / - make a job's name, not \"" + job + "\"";
      });
  verb->add_option("--buffer-directory", options->buffer_directory,
                   "Where the agent to use keeps its buffer. Default: the configured one; for a user who may not write "
                   "the default directory, $XDG_STATE_HOME/runtail or ~/.local/state/runtail")
      ->type_name("DIR");
  add_config_option(*verb, options->config_path);
  verb->add_option("--run-id", options->run_id, "Id of the run. Default: a random one")
      ->type_name("UUID")
      ->check([](const std::string& text) { return parse_uuid(text) ? "" : "not a UUID: \"" + text + "\""; });
  verb->add_option("--stdout", options->pass_output,
                   "raw: the worker's stdout and stderr go on unchanged to our own. none: they go to the agent only")
      ->check(CLI::IsMember({"raw", "none"}));
  verb->add_flag("--fail-closed", options->fail_closed, "Do not start the worker unless an agent answers within 10 s");
  verb->add_option("command", options->command, "The worker and its arguments, after --")->required()->type_name("CMD");
  verb->positionals_at_end();
  verb->footer(
      "The worker starts at once and never waits for runtail. Its lines go to the agent of the buffer directory; if "
      "none\n"
      "runs there, one is started and ended with the worker (its own log: agent.log in that directory). A worker that\n"
      "names no run of its own gets one, which succeeds or fails by its exit code; a run it leaves open is ended by "
      "it.\n"
      "The worker finds RUNTAIL_RUN_ID and RUNTAIL_JOB_ID in its environment. Its stdout is a pipe: a program that\n"
      "buffers more then, as Python does, shows its lines sooner with PYTHONUNBUFFERED=1.\n"
      "TERM, INT, HUP, QUIT, USR1 and USR2 are handed on to the worker. When it has ended, exec waits up to 8 s for\n"
      "the agent to have everything, and says on stderr what was lost.\n"
      "\n"
      "Exit code: the worker's own; 128+N if signal N ended it; 127 command not found; 126 not executable;\n"
      "125 no agent (only with --fail-closed).\n"
      "\n"
      "Examples:\n"
      "  runtail exec -- python3 worker.py\n"
      "  runtail exec --job nightly-orders -- /opt/etl/orders.sh --full\n"
      "  ENTRYPOINT [\"runtail\", \"exec\", \"--\", \"python3\", \"worker.py\"]");
  verb->callback([options, &exit_code] { exit_code = exec(*options); });
}

}  // namespace runtail
