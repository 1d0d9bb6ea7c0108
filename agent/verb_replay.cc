// `runtail replay`: old files into the store, a receipt on stdout, an exit code, and out.
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/config_file.h"
#include "agent/log.h"
#include "agent/replay.h"
#include "agent/replay_agent.h"
#include "agent/replay_display.h"
#include "agent/replay_embedded.h"
#include "agent/replay_metrics.h"
#include "agent/replay_rehearsal.h"
#include "agent/verbs.h"
#include "config/dialect_files.h"
#include "config/line_share.h"
#include "core/exit_code.h"
#include "schema/identity_key.h"

namespace runtail {
namespace {

constexpr char kFooter[] =
    "Reads plain, gzip and zstd files, with or without the envelopes of Docker, CRI, journald and Fluent Bit, in any\n"
    "order and any number of times: what the store has of a file by content, whatever its name is now, is passed "
    "over.\n"
    "By default audit-level lines become rows: run, attempt, task, dataset and data-quality events, warnings and\n"
    "errors; what the others say of runs is applied all the same. --full keeps every line that the settings `lines`\n"
    "keep, and stores those that an earlier replay left out.\n"
    "A receipt comes on stdout as JSON (docs/replay.md). SIGINT and SIGTERM end it soon; the same command goes on.\n"
    "Examples:\n"
    "  runtail replay /var/log/etl/archive\n"
    "  runtail replay --stream etl/worker --from 2026-03-01T00:00:00Z app.log app.log.1 app.log.2.gz\n"
    "  kubectl logs etl-0 | runtail replay --stream etl/etl-0 -\n"
    "Exit codes: 0 all of it is in the store; 1 something was left undone, the receipt says what; 2 usage; 3 the\n"
    "configuration, or a right or table that is missing; 4 the database did not answer; 5 --verify found\n"
    "differences.";

// How many of the machine's cores are used unless --workers says more.
constexpr unsigned kWorkers = 4, kWorkersMax = 64;

// One that holds the directory and does not answer yet.
constexpr std::chrono::seconds kAgentStartsWithin{5};

std::atomic<bool> stop_asked{false};

void ask_to_stop(int) { stop_asked = true; }

struct Options {
  ReplayWish wish;
  std::string config_path, from, to, level, progress = "auto";
  unsigned workers = std::clamp(std::thread::hardware_concurrency(), 1U, kWorkers);
};

int complain(const std::string& message, int exit_code) {
  std::fprintf(stderr, "runtail replay: %s\n", guarded(message).c_str());
  return exit_code;
}

int exit_code_of(const Error& error) { return error.code == ErrorCode::kUnavailable ? kExitUnreachable : kExitConfig; }

ReplayDisplay display_of(const std::string& word) {
  if (word == "json") return ReplayDisplay::kJson;
  const bool is_bar = word == "bar" || (word == "auto" && isatty(STDERR_FILENO) == 1);
  return is_bar ? ReplayDisplay::kBar : ReplayDisplay::kNone;
}

Result<ReplayStart> ask_postgres(const Config& config, const std::vector<ReplayInput>& inputs) {
  std::set<std::string> streams;
  for (const ReplayInput& input : inputs) {
    if (input.log) streams.insert(input.log->stream);
  }
  auto start = read_start(config.postgres, config.name, std::vector(streams.begin(), streams.end()));
  if (!start) return start.error();
  return ReplayStart{start->identity_key, std::move(start->positions)};
}

Result<ReplayStart> open_embedded(const Config& config, const std::string& ruleset,
                                  std::unique_ptr<EmbeddedReplay>& embedded) {
  auto opened = EmbeddedReplay::open(config);
  const auto until = std::chrono::steady_clock::now() + kAgentStartsWithin;
  while (!opened && opened.error().code == ErrorCode::kInUse) {
    auto start = ask_agent(config, ruleset);
    if (start || start.error().code == ErrorCode::kInvalidInput) return start;
    if (std::chrono::steady_clock::now() > until) {
      return Error{ErrorCode::kUnavailable,
                   opened.error().message + "; no agent answers there: " + start.error().message};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    opened = EmbeddedReplay::open(config);
  }
  if (!opened) return opened.error();
  embedded = std::move(*opened);
  return embedded->start();
}

Result<ReplayStart> open_metrics(const Config& config, const ReplayWish& wish,
                                 std::unique_ptr<ReplayMetrics>& metrics) {
  auto opened = ReplayMetrics::open(config, wish.openmetrics_path);
  if (!opened) return opened.error();
  metrics = std::move(*opened);
  // Files are told apart within this replay only.
  const auto key = new_identity_key();
  if (!key) return key.error();
  return ReplayStart{*key, {}};
}

Result<ReplayStart> open_rehearsal(const Config& config, const ReplayWish& wish,
                                   std::unique_ptr<ReplayRehearsal>& rehearsal) {
  auto opened = ReplayRehearsal::open(config, wish);
  if (!opened && opened.error().code == ErrorCode::kInUse) {
    return Error{ErrorCode::kUnavailable, opened.error().message + "; runs are made anew while no agent runs"};
  }
  if (!opened) return opened.error();
  rehearsal = std::move(*opened);
  return rehearsal->start();
}

int run(const Config& config, const Options& options) {
  auto redactor = Redactor::make(config.redaction);
  if (!redactor) return complain(redactor.error().message, kExitConfig);
  guard_log(redactor->clone());
  const std::vector<DialectSpec> dialects = dialects_of(config.dialects);
  Parser parser(dialects);
  ReadBuffer buffer(config.line_bytes_max);
  auto inputs = find_inputs(options.wish, config, parser, buffer);
  if (!inputs)
    return complain(inputs.error().message,
                    inputs.error().code == ErrorCode::kUnavailable ? kExitIncomplete : kExitUsage);
  const bool to_metrics = !options.wish.openmetrics_path.empty();
  const bool is_embedded = config.postgres.url.empty() && !to_metrics;
  std::unique_ptr<EmbeddedReplay> embedded;
  std::unique_ptr<ReplayMetrics> metrics;
  std::unique_ptr<ReplayRehearsal> rehearsal;
  auto start = to_metrics                              ? open_metrics(config, options.wish, metrics)
               : is_embedded && options.wish.is_verify ? open_rehearsal(config, options.wish, rehearsal)
               : is_embedded                           ? open_embedded(config, redactor->ruleset(), embedded)
                                                       : ask_postgres(config, *inputs);
  if (!start) return complain(start.error().message, exit_code_of(start.error()));
  // The rehearsal's tables are those of one connection, and metrics are counted in order of time.
  const bool is_one = to_metrics || options.wish.is_verify;
  const unsigned workers = is_one ? 1 : options.workers;

  // The first one ends the replay soon, the second one at once.
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);

  ReplayProgress progress;
  std::mutex told_mutex;
  std::set<std::string> told;
  const auto on_wait = [&](const std::string& reason) {
    const std::lock_guard lock(told_mutex);
    if (told.insert(reason).second) complain(reason + "; trying again", 0);
    return stop_asked.load();
  };
  ReplayPlan plan{config,  options.wish, dialects, *redactor, std::move(*inputs), std::move(*start),
                  workers, !is_embedded};
  ReplayReceipt receipt;
  {
    const ReplayShow show(display_of(options.progress), progress);
    receipt = replay(
        std::move(plan),
        [&](const DeriverSettings& settings, const std::vector<std::string>& kinds) {
          if (metrics) return metrics->store(settings);
          if (rehearsal) return rehearsal->store(settings);
          if (embedded) return embedded->store(settings);
          if (is_embedded) return make_agent_store(config, redactor->ruleset(), on_wait);
          return make_postgres_store(config, settings, kinds, options.wish, on_wait);
        },
        progress, stop_asked);
  }
  receipt.store = to_metrics ? "openmetrics" : is_embedded ? "embedded" : "postgres";
  if (metrics && receipt.fault.empty() && !receipt.is_interrupted) {
    if (const auto written = metrics->write(); !written) {
      receipt.fault = written.error().message;
      receipt.fault_code = written.error().code;
    }
  }
  for (ReplayFile& file : receipt.files) {
    file.fault = file.fault.empty() ? "" : guarded(file.fault);
    if (!file.fault.empty()) complain(file.fault, 0);
  }
  receipt.fault = guarded(receipt.fault);
  const std::string text = to_json(receipt);
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) return complain("write stdout: the receipt could not be written", kExitIncomplete);
  if (!receipt.fault.empty()) return complain(receipt.fault, exit_code_of({receipt.fault_code, ""}));
  if (!receipt.is_complete()) return kExitIncomplete;
  if (receipt.rebuild) return receipt.rebuild->left.empty() ? kExitOk : kExitFindings;
  return receipt.differences.empty() ? kExitOk : kExitFindings;
}

}  // namespace

void add_replay_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("replay", "Backfill from old log files; may be repeated, and ends");
  verb->footer(kFooter);
  const auto options = std::make_shared<Options>();
  add_config_option(*verb, options->config_path);
  verb->add_option("PATHS", options->wish.paths, "Files, directories, or - for standard input")->required();
  const auto is_time = [](const std::string& text) {
    return parse_rfc3339(text) ? "" : "write a time, as in 2026-03-01T00:00:00Z, not \"" + text + "\"";
  };
  verb->add_option("--from", options->from, "Lines from this time on; what is before stays open for another replay")
      ->type_name("TIME")
      ->check(is_time);
  verb->add_option("--to", options->to, "Lines before this time")->type_name("TIME")->check(is_time);
  verb->add_option("--stream", options->wish.stream,
                   "The log these files are of. Default: that of the source whose patterns match, or the only one")
      ->type_name("NAME");
  verb->add_option("--level", options->level, "Lines without an event of their own from this level on. Default: WARN")
      ->type_name("LEVEL")
      ->check([](const std::string& text) {
        return parse_level(text) ? "" : "TRACE, DEBUG, INFO, WARN, ERROR or FATAL, not \"" + text + "\"";
      });
  verb->add_flag("--full", options->wish.is_full, "Keep all lines, also those of ranges that are in the store");
  CLI::Option* dry = verb->add_flag("--dry-run", options->wish.is_dry,
                                    "Read everything, write nothing: the receipt says what would be");
  CLI::Option* verify =
      verb->add_flag("--verify", options->wish.is_verify,
                     "Write nothing: say which rows are missing, changed or extra; with --full each line counts")
          ->excludes(dry);
  CLI::Option* rebuild = verb->add_flag(
      "--rebuild", options->wish.is_rebuild,
      "Verify, then make runs anew that differ: facts of older rules are withdrawn. The files must be in the store");
  rebuild->excludes(dry);
  verb->add_option("--openmetrics-out", options->wish.openmetrics_path,
                   "Write the metrics of these lines, at their times, into FILE and nothing into the store: for\n"
                   "promtool tsdb create-blocks-from openmetrics FILE DIRECTORY")
      ->type_name("FILE")
      ->excludes(dry)
      ->excludes(verify);
  verb->add_option(
          "--workers", options->workers,
          "Files that are read at a time, each with a database connection of its own. Default: the cores there "
          "are, 4 at most")
      ->type_name("N")
      ->check(CLI::Range(1U, kWorkersMax));
  verb->add_option("--progress", options->progress, "auto (a bar on a terminal), bar, json (a line a second), none")
      ->type_name("KIND")
      ->check(CLI::IsMember({"auto", "bar", "json", "none"}));
  verb->callback([options, &exit_code] {
    if (!options->from.empty()) options->wish.from = parse_rfc3339(options->from);
    if (!options->to.empty()) options->wish.to = parse_rfc3339(options->to);
    options->wish.is_verify |= options->wish.is_rebuild;
    if (!options->level.empty()) options->wish.level = options->level;
    auto config = config_or_complain(options->config_path);
    if (config) init_log(config->log);
    exit_code = config ? run(*config, *options) : kExitConfig;
  });
}

}  // namespace runtail
