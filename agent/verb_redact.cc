// runtail redact: lines on stdin, one JSON line each on stdout.
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/config_file.h"
#include "agent/verbs.h"
#include "config/dialect_files.h"
#include "core/event_json.h"
#include "core/exit_code.h"
#include "core/json_text.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"

namespace runtail {
namespace {

constexpr char kFooter[] =
    "Writes exactly one JSON line per input line, in order, whenever the input pauses and at its end:\n"
    "  redacted  true if anything was masked\n"
    "  state     clean, masked, pseudonymised (a keyed hash stands for something), partial (a part of something was\n"
    "            kept), failed_closed (the line, or a text in it, could not be redacted and is left out: after an "
    "error\n"
    "            only typed fields are shown; a text that is too much work is [REDACTED:budget])\n"
    "  counts    redacted spans by kind\n"
    "  ts, level, event, status, msg, ...  the fields of the log contract, by their names; level INFO if not stated\n"
    "  context   members outside the contract that redaction.allow lists; others are dropped\n"
    "  text      a line that is no JSON object\n"
    "  explain   with --explain: field, rule, kind, validator, action and length of each span, never the value\n"
    "Of a line that holds data (a record, a state, SQL) only counts and ids are shown; how many lines were such, and "
    "by\n"
    "which rule, is said on stderr at the end.\n"
    "A line longer than line_bytes_max gives state failed_closed and no content.\n"
    "This format is stable. Example:\n"
    "  $ echo '{\"level\":\"INFO\",\"msg\":\"mail anna@example.com\"}' | runtail redact\n"
    "  {\"redacted\":true,\"state\":\"masked\",\"counts\":{\"email\":1},\"level\":\"INFO\",\"msg\":\"mail "
    "[REDACTED:email]\"}\n"
    "Exit codes: 0 all lines done, 1 stdin or stdout failed, 3 config.";

class StdoutLines {
 public:
  std::string& next() { return pending_; }
  // false, with a message, if stdout takes no more.
  bool flush() {
    std::size_t done = 0;
    while (done < pending_.size()) {
      const ssize_t written = ::write(STDOUT_FILENO, pending_.data() + done, pending_.size() - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        std::fprintf(stderr, "runtail redact: write stdout: %s\n", std::strerror(errno));
        return false;
      }
      done += static_cast<std::size_t>(written);
    }
    pending_.clear();
    return true;
  }

 private:
  std::string pending_;
};

struct RedactOptions {
  std::string config_path;
  std::string fields = "listed";
  std::string output = "json";
  bool explain = false;
};

// Lines whose bodies are never kept, by rule: of these stdout shows what they count and nothing else.
class DroppedLines {
 public:
  void count(std::string_view rule) {
    if (!rule.empty()) ++by_rule_[std::string(rule)];
  }
  void report() const {
    std::uint64_t all = 0;
    std::string rules;
    for (const auto& [rule, lines] : by_rule_) {
      all += lines;
      rules += (rules.empty() ? "" : ", ") + rule + " " + std::to_string(lines);
    }
    if (all == 0) return;
    std::fprintf(stderr, "runtail redact: %llu line%s dropped, only counts and ids of %s are kept: %s\n",
                 static_cast<unsigned long long>(all), all == 1 ? "" : "s", all == 1 ? "it" : "them", rules.c_str());
  }

 private:
  std::map<std::string, std::uint64_t> by_rule_;
};

// Puts "explain":[...] into the JSON object that ends `out`.
void append_findings(std::string& out, const std::vector<Finding>& findings) {
  out.back() = ',';
  out += "\"explain\":[";
  for (const Finding& finding : findings) {
    out += out.back() == '[' ? "{" : ",{";
    const auto member = [&](std::string_view name, std::string_view text) {
      append_json_string(out, name);
      out += ':';
      append_json_string(out, text);
      out += ',';
    };
    member("field", finding.place);
    member("rule", finding.rule);
    member("kind", finding.kind);
    member("validator", finding.validator);
    member("action", finding.action);
    out += "\"bytes\":" + std::to_string(finding.bytes) + "}";
  }
  out += "]}";
}

int redact_stdin(const Config& config, const RedactOptions& options) {
  Result<Redactor> redactor = Redactor::make(config.redaction);
  if (!redactor) {
    std::fprintf(stderr, "runtail redact: %s\n", redactor.error().message.c_str());
    return kExitConfig;
  }
  Parser parser(dialects_of(config.dialects));
  StdoutLines out;
  StreamMemory memory;
  DroppedLines dropped;
  std::vector<Finding> findings;
  const auto redact_line = [&](std::string_view line) {
    const LogEvent& event = parser.parse(line);
    dropped.count(event.drop);
    findings.clear();
    const RedactedEvent& safe =
        options.explain ? redactor->explain(event, memory, findings) : redactor->redact(event, memory);
    if (options.output == "text" && event.shape != LineShape::kJson) {
      out.next() += safe.raw_text;
    } else {
      append_event_json(out.next(), safe, redactor->kinds());
      if (options.explain) append_findings(out.next(), findings);
    }
    out.next() += '\n';
  };
  const auto refuse_line = [&] { out.next() += "{\"redacted\":true,\"state\":\"failed_closed\",\"counts\":{}}\n"; };

  constexpr std::size_t kReadBytes = 64 << 10;
  constexpr std::size_t kPendingBytesMax = 1 << 20;
  std::vector<char> chunk(kReadBytes);
  std::string line;       // the head of a line whose end has not been read
  bool too_long = false;  // the line being read is: skip to its end
  while (true) {
    const ssize_t size = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      std::fprintf(stderr, "runtail redact: read stdin: %s\n", std::strerror(errno));
      out.flush();
      dropped.report();
      return kExitIncomplete;
    }
    if (size == 0) break;
    std::string_view rest(chunk.data(), static_cast<std::size_t>(size));
    for (std::size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      if (too_long || line.size() + end > config.line_bytes_max) {
        refuse_line();
      } else if (line.empty()) {
        redact_line(rest.substr(0, end));
      } else {
        redact_line(line.append(rest.substr(0, end)));
      }
      line.clear();
      too_long = false;
      if (out.next().size() > kPendingBytesMax && !out.flush()) return kExitIncomplete;
    }
    too_long = too_long || line.size() + rest.size() > config.line_bytes_max;
    if (too_long) {
      line.clear();
    } else {
      line.append(rest);
    }
    // The next read() may wait: what is done must be seen by then.
    if (!out.flush()) return kExitIncomplete;
  }
  if (too_long) {
    refuse_line();
  } else if (!line.empty()) {
    redact_line(line);
  }
  const bool is_written = out.flush();
  dropped.report();
  return is_written ? kExitOk : kExitIncomplete;
}

}  // namespace

void add_redact_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("redact", "Redact lines from stdin to stdout, one JSON line each");
  verb->footer(kFooter);
  const auto options = std::make_shared<RedactOptions>();
  add_config_option(*verb, options->config_path);
  verb->add_option("--fields", options->fields,
                   "listed: members outside the log contract only if redaction.allow lists them; all: every member")
      ->check(CLI::IsMember({"listed", "all"}))
      ->type_name("WHICH");
  verb->add_option("--output", options->output, "json; text: a line that is no JSON object stays text")
      ->check(CLI::IsMember({"json", "text"}))
      ->type_name("FORMAT");
  verb->add_flag("--explain", options->explain, "Add what was redacted by which rule to each line");
  verb->callback([options, &exit_code] {
    std::optional<Config> config = config_or_complain(options->config_path);
    if (config) config->redaction.allow_all = options->fields == "all";
    exit_code = config ? redact_stdin(*config, *options) : kExitConfig;
  });
}

}  // namespace runtail
