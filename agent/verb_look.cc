// The looking verbs: runs, status, buffer. They ask the running agent, or open its directory when none runs.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>

#include "agent/config_file.h"
#include "agent/control_socket.h"
#include "agent/look.h"
#include "agent/state_directory.h"
#include "agent/verbs.h"
#include "config/quantity.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

// A probe's own limit; whoever asks often has a shorter one.
constexpr std::chrono::seconds kProbeDeadline{10};
constexpr std::chrono::seconds kWatchEvery{2};
constexpr std::chrono::milliseconds kDrainEvery{100};

struct LookOptions {
  std::string config, directory, output = "table", job, status, level, text, wait = "60s";
  std::size_t limit = 50;
  bool events = false, running = false, watch = false;
};

void add_where(CLI::App& verb, LookOptions& options) {
  add_config_option(verb, options.config);
  verb.add_option("--directory", options.directory, "Buffer directory of the agent. Default: the configured one")
      ->type_name("DIR");
}

int print(const LookOptions& options, const std::vector<std::string>& words) {
  std::filesystem::path directory = options.directory;
  RedactionConfig redaction;
  if (directory.empty() || !options.config.empty()) {
    const auto config = config_or_complain(options.config);
    if (!config) return kExitConfig;
    redaction = config->redaction;
    if (directory.empty()) directory = state_directory("", config->buffer.directory);
  }
  const auto answer = options.running ? ask(control_socket_path(directory), words, kProbeDeadline)
                                      : look_in(directory, words, redaction);
  if (!answer) {
    std::cerr << "runtail " << words.front() << ": " << answer.error().message << '\n';
    return answer.error().code == ErrorCode::kInvalidInput ? kExitUsage : kExitUnreachable;
  }
  std::cout << *answer << std::flush;
  return kExitOk;
}

int wait_drained(const LookOptions& options) {
  std::filesystem::path directory = options.directory;
  if (directory.empty()) {
    const auto config = config_or_complain(options.config);
    if (!config) return kExitConfig;
    directory = state_directory("", config->buffer.directory);
  }
  const auto until = std::chrono::steady_clock::now() + *parse_duration(options.wait);
  for (std::optional<Sequence> wanted;;) {
    const auto answer = ask(control_socket_path(directory), {"drain"}, kProbeDeadline);
    std::string lacking = answer ? "" : answer.error().message;
    if (answer) {
      std::istringstream words(*answer);
      Sequence last = 0, delivered = 0;
      words >> last >> delivered;
      std::getline(words >> std::ws, lacking);
      if (!wanted) wanted = last;
      if (delivered >= *wanted) return kExitOk;
    } else if (answer.error().code != ErrorCode::kUnavailable) {
      std::cerr << "runtail buffer drain: " << lacking << '\n';
      return kExitUnreachable;
    }
    if (std::chrono::steady_clock::now() >= until) {
      std::cerr << "runtail buffer drain: not in " << options.wait << ": " << lacking << '\n';
      return kExitIncomplete;
    }
    std::this_thread::sleep_for(kDrainEvery);
  }
}

}  // namespace

void add_runs_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("runs", "Show runs: job, run, status, end reason, duration, rows");
  auto options = std::make_shared<LookOptions>();
  add_where(*verb, *options);
  verb->add_option("--output", options->output, "table, csv or json (csv and json have every column)")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("WORD")
      ->capture_default_str();
  verb->add_option("--limit", options->limit, "Newest runs to show")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  verb->add_option("--job", options->job, "Only this job")->type_name("NAME");
  verb->add_option("--status", options->status, "Only queued, running, success, failed, cancelled or skipped")
      ->type_name("WORD");
  verb->footer(
      "Asks the agent that runs in the directory; where none runs the directory itself is read. A user who may not\n"
      "write /var/lib/runtail has the runs of `runtail exec` in ~/.local/state/runtail: that is looked into then.\n"
      "Exit code 4: no buffer there.\n"
      "\n"
      "Examples:\n"
      "  runtail runs --status failed --output json\n"
      "  runtail runs --directory /var/lib/runtail/buffer");
  verb->callback([options, &exit_code] {
    std::vector<std::string> words = {"runs", "output=" + options->output, "limit=" + std::to_string(options->limit)};
    if (!options->job.empty()) words.push_back("job=" + options->job);
    if (!options->status.empty()) words.push_back("status=" + options->status);
    exit_code = print(*options, words);
  });
}

void add_status_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("status", "Show sources, sinks, buffer and both ledgers of the running agent");
  auto options = std::make_shared<LookOptions>();
  add_where(*verb, *options);
  verb->add_flag("--running", options->running, "Ask only an agent that runs: exit code 4 if none answers, for probes");
  verb->footer(
      "Where no agent runs it says so, and which chunks the directory holds. Exit code 4: no buffer there.\n"
      "\n"
      "Examples:\n"
      "  runtail status --directory /var/lib/runtail/buffer\n"
      "  runtail status --running > /dev/null || echo no agent\n"
      "  runtail status --watch");
  verb->add_flag("--watch", options->watch, "Show it again every two seconds, until Ctrl-C");
  verb->callback([options, &exit_code] {
    do {
      // A screen of its own where a terminal is; else one report after the other.
      if (options->watch && isatty(STDOUT_FILENO) == 1) std::cout << "\033[H\033[2J";
      exit_code = print(*options, {"status"});
      if (options->watch) std::this_thread::sleep_for(kWatchEvery);
    } while (options->watch && std::cout);
  });
}

void add_buffer_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("buffer", "Look into the buffer");
  verb->require_subcommand(1);
  verb->footer("Example: runtail buffer ls --limit 10");
  auto options = std::make_shared<LookOptions>();
  CLI::App* ls = verb->add_subcommand("ls", "Chunks that are kept, oldest first; --events prints their redacted lines");
  add_where(*ls, *options);
  ls->add_option("--output", options->output, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("WORD")
      ->capture_default_str();
  ls->add_option("--limit", options->limit, "Chunks (or events) to show")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  ls->add_flag("--events", options->events, "Print every event as one JSON line, as it is stored");
  ls->footer("Example: runtail buffer ls --events --limit 1000 | jq .msg");
  ls->callback([options, &exit_code] {
    if (options->events) {
      exit_code = print(*options, {"buffer", "events", "limit=" + std::to_string(options->limit)});
    } else {
      exit_code =
          print(*options, {"buffer", "ls", "output=" + options->output, "limit=" + std::to_string(options->limit)});
    }
  });
  CLI::App* cat = verb->add_subcommand("cat", "Redacted lines that are kept, as JSON, oldest first");
  add_where(*cat, *options);
  cat->add_option("--job", options->job, "Only lines that name this job")->type_name("NAME");
  cat->add_option("--level", options->level, "Only this level and above")->type_name("WORD");
  cat->add_option("--grep", options->text, "Only lines whose JSON holds this text")->type_name("TEXT");
  cat->add_option("--limit", options->limit, "Lines to show")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  cat->footer("Example: runtail buffer cat --job orders --level WARN --limit 1000");
  cat->callback([options, &exit_code] {
    std::vector<std::string> words = {"buffer", "events", "limit=" + std::to_string(options->limit)};
    for (const auto& [name, value] :
         {std::pair("job=", options->job), {"level=", options->level}, {"text=", options->text}}) {
      if (!value.empty()) words.push_back(name + value);
    }
    exit_code = print(*options, words);
  });
  CLI::App* drain = verb->add_subcommand("drain", "Wait until every sink has what the buffer holds now");
  add_where(*drain, *options);
  drain->add_option("--wait", options->wait, "How long at most")
      ->type_name("DURATION")
      ->capture_default_str()
      ->check([](const std::string& text) { return parse_duration(text) ? "" : "write a duration, as in 30s or 2m"; });
  drain->footer(
      "Asks the agent that runs; lines that come meanwhile are not waited for. Before an older runtail takes the\n"
      "directory, stop what writes, drain, then stop the agent.\n"
      "Exit codes: 0 every sink has it, 1 not in time (stderr says what is lacking), 4 no agent runs.\n"
      "\n"
      "Example: runtail buffer drain --wait 10m && systemctl stop runtail");
  drain->callback([options, &exit_code] { exit_code = wait_drained(*options); });
  CLI::App* letters = verb->add_subcommand("dead-letters", "Lines set aside before the buffer, with the reason");
  add_where(*letters, *options);
  letters->add_option("--output", options->output, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("WORD")
      ->capture_default_str();
  letters->add_option("--limit", options->limit, "Letters to show")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  letters->footer(
      "Records that PostgreSQL refused are in its table dead_letters.\n"
      "\n"
      "Example: runtail buffer dead-letters --output json");
  letters->callback([options, &exit_code] {
    exit_code = print(
        *options, {"buffer", "dead-letters", "output=" + options->output, "limit=" + std::to_string(options->limit)});
  });
}

}  // namespace runtail
