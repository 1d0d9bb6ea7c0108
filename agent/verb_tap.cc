// `runtail tap`: what the running agent makes of lines, as it happens, redacted.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/config_file.h"
#include "agent/control_socket.h"
#include "agent/look.h"
#include "agent/state_directory.h"
#include "agent/verbs.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

constexpr std::chrono::milliseconds kAskEvery{200};
constexpr std::chrono::seconds kAgentAnswers{10};

struct TapOptions {
  std::string config, directory, job, level, text;
  std::uint64_t limit = 0;
};

int tap(const TapOptions& options) {
  std::filesystem::path directory = options.directory;
  if (directory.empty()) {
    const auto config = config_or_complain(options.config);
    if (!config) return kExitConfig;
    directory = state_directory("", config->buffer.directory);
  }
  std::vector<std::string> words = {"tap"};
  for (const auto& [name, value] :
       {std::pair("job=", options.job), {"level=", options.level}, {"text=", options.text}}) {
    if (!value.empty()) words.push_back(name + value);
  }
  std::string after;
  for (std::uint64_t shown = 0; options.limit == 0 || shown < options.limit;) {
    std::vector<std::string> question = words;
    if (!after.empty()) question.push_back("after=" + after);
    const auto answer = ask(control_socket_path(directory), question, kAgentAnswers);
    if (!answer) {
      // While it reloads its configuration it has no buffer for a moment.
      if (answer.error().code == ErrorCode::kUnavailable && !after.empty()) {
        std::this_thread::sleep_for(kAskEvery);
        continue;
      }
      std::fprintf(stderr, "runtail tap: %s\n", answer.error().message.c_str());
      return answer.error().code == ErrorCode::kInvalidInput ? kExitUsage : kExitUnreachable;
    }
    const std::size_t head_end = answer->find('\n'), space = answer->find(' ');
    const std::string next = answer->substr(0, space), missed = answer->substr(space + 1, head_end - space - 1);
    if (missed != "0")
      std::fprintf(stderr, "runtail tap: %s chunks were delivered and gone before they were seen\n", missed.c_str());
    std::string_view lines = std::string_view(*answer).substr(head_end + 1);
    while (!lines.empty() && (options.limit == 0 || shown < options.limit)) {
      const std::size_t size = lines.find('\n') + 1;
      if (std::fwrite(lines.data(), 1, size, stdout) != size) return kExitOk;  // nobody reads on
      lines.remove_prefix(size);
      ++shown;
    }
    if (std::fflush(stdout) != 0) return kExitOk;
    if (next == after || after.empty()) std::this_thread::sleep_for(kAskEvery);
    after = next;
  }
  return kExitOk;
}

}  // namespace

void add_tap_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("tap", "Show redacted lines of the running agent as they come, as JSON");
  const auto options = std::make_shared<TapOptions>();
  add_config_option(*verb, options->config);
  verb->add_option("--directory", options->directory, "Buffer directory of the agent. Default: the configured one")
      ->type_name("DIR");
  verb->add_option("--job", options->job, "Only lines that name this job")->type_name("NAME");
  verb->add_option("--level", options->level, "Only this level and above: TRACE, DEBUG, INFO, WARN, ERROR, FATAL")
      ->type_name("WORD");
  verb->add_option("--grep", options->text, "Only lines whose JSON holds this text")->type_name("TEXT");
  verb->add_option("--limit", options->limit, "End after so many lines. Default: go on")
      ->check(CLI::Range(1, 1'000'000'000))
      ->type_name("N");
  verb->footer(
      "Begins with the next line. Where a database takes lines faster than they are shown, it says how many chunks it\n"
      "missed. Exit codes: 0 enough lines, 2 usage, 4 no agent runs there.\n"
      "\n"
      "Examples:\n"
      "  runtail tap --level WARN\n"
      "  runtail tap --job orders --limit 10");
  verb->callback([options, &exit_code] { exit_code = tap(*options); });
}

}  // namespace runtail
