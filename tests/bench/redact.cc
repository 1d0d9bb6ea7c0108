// What redaction costs: on the workload, on free text, with a vendor's rules besides, on lines made to be slow.
#include <re2/re2.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <numeric>

#include "core/event_json.h"
#include "core/json_text.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "redaction/ruleset.h"
#include "tests/bench/bench.h"
#include "tests/bench/measure.h"
#include "tests/support/redaction_values.h"

namespace runtail::bench {
namespace {

using test::RedactionValues;

// Keeps the compiler from dropping what it sees nobody use.
volatile std::uint64_t sink = 0;

// Of CPU time: what one core does that has nothing else to do.
void print_cpu(std::vector<Figure> rounds, const std::string& note) {
  std::sort(rounds.begin(), rounds.end(), [](const Figure& a, const Figure& b) { return a.cpu_s < b.cpu_s; });
  const Figure& figure = rounds[rounds.size() / 2];
  std::printf("%-36s %6.0f klines/s %5.0f MB/s of CPU %7.3f cpu-s/1M lines  %s\n", figure.name.c_str(),
              figure.lines / figure.cpu_s / 1e3, figure.bytes / figure.cpu_s / 1e6, figure.cpu_per_million(),
              note.c_str());
  std::fflush(stdout);
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double resident_mb() {
  std::ifstream file("/proc/self/statm");
  double size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

// What `work` makes a process larger by: in one of its own, so that no memory of others is used again.
template <typename Work>
double memory_mb(Work&& work) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const double before = resident_mb();
    work();
    const double grown = resident_mb() - before;
    const bool told = write(ends[1], &grown, sizeof grown) == static_cast<ssize_t>(sizeof grown);
    _exit(told ? 0 : 1);
  }
  double grown = 0;
  close(ends[1]);
  if (child < 0 || read(ends[0], &grown, sizeof grown) != static_cast<ssize_t>(sizeof grown)) grown = 0;
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return grown;
}

// A sentence as ETL jobs write them, of about 140 bytes, with a secret in it or none.
std::string sentence(RedactionValues& values, bool with_secret) {
  static constexpr const char* kKinds[] = {"email",          "jwt",    "ssn",     "aws_key_id", "card",
                                           "connection_url", "opaque", "password"};
  static constexpr const char* kBefore[] = {"notify ", "session ", "ssn ",    "key ",
                                            "pan ",    "dsn ",     "Bearer ", "password="};
  std::string text = "task " + values.word("job") + ' ' + values.word("phrase") + ' ' + values.word("table") + ": ";
  if (with_secret) {
    const std::size_t kind = values.below(std::size(kKinds));
    text += kBefore[kind] + values.make(kKinds[kind]) + ' ';
  }
  while (text.size() < 125) {
    text += values.word("phrase") + ' ' + values.word("word") + ' ';
    if (values.below(4) == 0) text += values.make("int") + " rows ";
  }
  return text;
}

struct Lines {
  std::string text;
  std::vector<std::string_view> lines, messages;  // of `text`; messages stand in it as they are
  double bytes() const { return static_cast<double>(text.size()); }
  double count() const { return static_cast<double>(lines.size()); }
};

// Lines that are one message: JSON with nothing but it, or the message alone.
Lines free_text(std::size_t count, double secret_share, bool json, std::uint64_t seed) {
  RedactionValues values(seed);
  Lines out;
  std::vector<std::pair<std::size_t, std::size_t>> lines, messages;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string message = sentence(values, static_cast<double>(values.below(10'000)) < secret_share * 10'000);
    const std::size_t line = out.text.size();
    if (json) out.text += R"({"level":"INFO","msg":")";
    messages.emplace_back(out.text.size(), message.size());
    out.text += message;
    if (json) out.text += "\"}";
    lines.emplace_back(line, out.text.size() - line);
    out.text += '\n';
  }
  for (const auto& [at, size] : lines) out.lines.push_back(std::string_view(out.text).substr(at, size));
  for (const auto& [at, size] : messages) out.messages.push_back(std::string_view(out.text).substr(at, size));
  return out;
}

// From the bytes of a line to the bytes of what is left of it: decoding and encoding are in it.
void redact_all(Parser& parser, Redactor& redactor, const std::vector<std::string_view>& lines) {
  std::string out;
  for (const std::string_view line : lines) {
    out.clear();
    append_event_json(out, redactor.redact(parser.parse(line)), redactor.kinds());
    sink = sink + out.size();
  }
}

std::vector<std::unique_ptr<RE2>> patterns() {
  std::vector<std::unique_ptr<RE2>> out;
  const std::vector<RuleFile> files = built_in_rules().value();
  for (const RuleFile& file : files) {
    for (const RuleSpec& rule : file.rules) out.push_back(std::make_unique<RE2>(rule.pattern, RE2::Latin1));
  }
  return out;
}

Figure re2_one_by_one(const std::vector<std::unique_ptr<RE2>>& rules, const Lines& lines) {
  // Slow enough for a part of them to do.
  const std::size_t part = std::min<std::size_t>(lines.messages.size(), 5'000);
  double bytes = 0;
  for (std::size_t i = 0; i < part; ++i) bytes += static_cast<double>(lines.lines[i].size()) + 1;
  return measure("  beside: RE2, pattern by pattern", static_cast<double>(part), bytes, [&] {
    std::string text;
    for (std::size_t i = 0; i < part; ++i) {
      text = lines.messages[i];
      for (const auto& rule : rules)
        sink = sink + static_cast<std::uint64_t>(RE2::GlobalReplace(&text, *rule, "[REDACTED]"));
    }
  });
}

void bench_workload(const BenchOptions& options) {
  const std::string text = make_workload(options);
  const std::vector<std::string_view> lines = lines_of(text);
  const auto count = static_cast<double>(lines.size()), bytes = static_cast<double>(text.size());
  Parser parser(built_in_dialects());
  Redactor redactor = Redactor::make({}).value();
  std::vector<double> stage;
  std::vector<Figure> both;
  for (int round = 0; round < options.rounds; ++round) {
    const Figure parse = measure("parse", count, bytes, [&] {
      for (const std::string_view line : lines) sink = sink + parser.parse(line).fields.size();
    });
    both.push_back(measure("workload: parse + redact", count, bytes, [&] {
      for (const std::string_view line : lines) sink = sink + redactor.redact(parser.parse(line)).fields.size();
    }));
    stage.push_back(both.back().cpu_per_million() - parse.cpu_per_million());
  }
  print_cpu(std::move(both), "");
  std::printf("%-36s %44.3f cpu-s/1M lines  goal 0.8\n", "workload: redact stage", median_of(stage));
}

void bench_free_text(const BenchOptions& options) {
  struct Mix {
    const char* name;
    double share;
    bool json;
    const char* goal;
  };
  static constexpr Mix kMixes[] = {{"free text in JSON, no secret", 0, true, ""},
                                   {"free text in JSON, 2 % secrets", 0.02, true, "goal 100 MB/s"},
                                   {"free text in JSON, 100 % secrets", 1, true, "goal 35 MB/s"},
                                   {"plain text, 2 % secrets", 0.02, false, "goal 100 MB/s"},
                                   {"plain text, 100 % secrets", 1, false, "goal 35 MB/s"}};
  const std::vector<std::unique_ptr<RE2>> rules = patterns();
  for (const Mix& mix : kMixes) {
    const Lines lines = free_text(std::min<std::size_t>(options.lines, 200'000), mix.share, mix.json, options.seed);
    Parser parser(built_in_dialects());
    Redactor redactor = Redactor::make({}).value();
    std::vector<Figure> own, beside;
    for (int round = 0; round < options.rounds; ++round) {
      own.push_back(
          measure(mix.name, lines.count(), lines.bytes(), [&] { redact_all(parser, redactor, lines.lines); }));
      beside.push_back(re2_one_by_one(rules, lines));
    }
    print_cpu(std::move(own), mix.goal);
    print_cpu(std::move(beside), std::to_string(rules.size()) + " patterns");
  }
}

// As secret scanners publish them: most known by the head of a token, some by a name beside a token.
RuleText vendor_rules() {
  std::string yaml = "pack: vendor\nrules:\n";
  for (int i = 0; i < 200; ++i) {
    std::string name = "v";
    for (int left = i * 7919 + 104'729; left > 0; left /= 26) name += static_cast<char>('a' + left % 26);
    yaml += "  - id: " + name + "\n    kind: vendor_token\n    priority: secret\n";
    if (i % 4 != 0) {
      yaml += "    literals: [" + name + "_live_]\n    begins: true\n    reach: 128\n    pattern: '" + name +
              "_live_[A-Za-z0-9]{32,64}'\n    examples:\n      positive: [[\"" + name + "_live_" +
              std::string(32, 'a') + "\", \"[REDACTED:vendor_token]\"]]\n      near_miss: [\"" + name + "_live_x\"]\n";
    } else {
      yaml += "    literals: [" + name + "]\n    begins: true\n    reach: 128\n    pattern: '(?i)" + name +
              "[a-z0-9_ .-]{0,20}[=:]{1,3}[ ''\"]{0,3}([a-z0-9]{32})'\n    examples:\n      positive: [[\"" + name +
              "_pin=" + std::string(32, 'b') + "\", \"" + name +
              "_pin=[REDACTED:vendor_token]\"]]\n      near_miss: [\"" + name + "_pin=x\"]\n";
    }
  }
  return {"vendor.yaml", std::move(yaml)};
}

void bench_vendor_pack(const BenchOptions& options) {
  const Lines lines = free_text(std::min<std::size_t>(options.lines, 200'000), 0.02, true, options.seed);
  RedactionConfig more;
  more.rules = {"vendor.yaml"};
  more.rule_texts = {vendor_rules()};
  const auto made = [&](const RedactionConfig& config, double& ms) {
    const double start = cpu_seconds();
    Result<Redactor> redactor = Redactor::make(config);
    ms = (cpu_seconds() - start) * 1e3;
    if (!redactor) throw std::runtime_error(redactor.error().message);
    return std::move(*redactor);
  };
  Parser parser(built_in_dialects());
  double ms = 0, ms_more = 0;
  const auto work = [&](const RedactionConfig& config) {
    return [&] {
      Parser own_parser(built_in_dialects());
      Redactor own = made(config, ms);
      redact_all(own_parser, own, lines.lines);
    };
  };
  const double memory = memory_mb(work({})), memory_more = memory_mb(work(more));
  Redactor redactor = made({}, ms), redactor_more = made(more, ms_more);
  redact_all(parser, redactor, lines.lines);
  redact_all(parser, redactor_more, lines.lines);
  std::vector<double> slower;
  std::vector<Figure> figures;
  for (int round = 0; round < std::max(options.rounds, 5); ++round) {
    const Figure plain = measure("", lines.count(), lines.bytes(), [&] { redact_all(parser, redactor, lines.lines); });
    figures.push_back(measure("2 % secrets, 200 vendor rules more", lines.count(), lines.bytes(),
                              [&] { redact_all(parser, redactor_more, lines.lines); }));
    slower.push_back(figures.back().cpu_s / plain.cpu_s - 1);
  }
  print_cpu(std::move(figures), "");
  std::printf(
      "%-36s %+.1f %% CPU (goal 25), memory: default rules %.1f MB, the pack %+.1f MB (goal 10), rules ready in %.0f "
      "ms, with "
      "the pack %.0f ms (goal 50 more)\n",
      "  the vendor pack", 100 * median_of(slower), memory, memory_more - memory, ms, ms_more);
}

std::string repeated(std::string_view piece, std::size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += piece;
  out.resize(bytes);
  return out;
}

void bench_worst_line(const BenchOptions& options) {
  static constexpr std::string_view kPieces[] = {"4",
                                                 "1 ",
                                                 "1-",
                                                 "123-45-",
                                                 "12 34 ",
                                                 "4111 ",
                                                 "a",
                                                 "A1",
                                                 "eyJ",
                                                 "eyJhbGciOiJIUzI1NiJ9.",
                                                 "password=",
                                                 "password=\\\"",
                                                 "\"password\":\"",
                                                 "token ",
                                                 "Key (",
                                                 "Failing row contains (",
                                                 "COPY t, line 1: \"",
                                                 "Duplicate entry '",
                                                 "INSERT INTO t VALUES ('",
                                                 "'",
                                                 "\"",
                                                 "\\",
                                                 "\\\\\\\"",
                                                 "\\u0041",
                                                 "%25",
                                                 "%2525",
                                                 "%41",
                                                 "&#64;",
                                                 "&amp;",
                                                 "a@",
                                                 "@",
                                                 "a@b.",
                                                 "://",
                                                 "://a:b",
                                                 "http://",
                                                 ":",
                                                 "ab:",
                                                 "fe80::",
                                                 "1.2.3.",
                                                 "-----BEGIN PRIVATE KEY",
                                                 "-----BEGIN RSA PRIVATE KEY-----",
                                                 "{",
                                                 "{\"a\":",
                                                 "[",
                                                 "[REDACTED:",
                                                 "[REDACTED:email]",
                                                 "QUtJQQ",
                                                 "AKIA",
                                                 "PID|1||",
                                                 "|",
                                                 "^",
                                                 "Cookie: a=",
                                                 ";",
                                                 "a=b;",
                                                 "name: ",
                                                 "patient ",
                                                 "--password ",
                                                 "DE89",
                                                 "ssn 123-45-678",
                                                 "phone ",
                                                 "+1",
                                                 "\xD0\xB0",
                                                 "\xE2\x80\x8B",
                                                 "<password>",
                                                 "<",
                                                 "\n",
                                                 "dob 1971-02-0",
                                                 "0x41",
                                                 "ZXlKaGJHY2lPaUpJVXpJMU5pSjku",
                                                 "bearer ",
                                                 "authorization: ",
                                                 "curl -u a:",
                                                 " at ",
                                                 " dot "};
  Parser parser(built_in_dialects());
  Redactor redactor = Redactor::make({}).value();
  struct Cost {
    std::string name;
    double quarter = 0, half = 0, whole = 0;
  };
  std::vector<Cost> costs;
  const auto time_of = [&](const std::string& piece_text) {
    std::string line = R"({"level":"INFO","msg":)";
    append_json_string(line, piece_text);
    line += '}';
    std::vector<double> times;
    for (int round = 0; round < options.rounds; ++round) {
      const LogEvent& event = parser.parse(line);
      const double start = cpu_seconds();
      sink = sink + redactor.redact(event).fields.size();
      times.push_back((cpu_seconds() - start) * 1e3);
    }
    return median_of(times);
  };
  for (const std::string_view piece : kPieces) {
    Cost cost;
    append_json_string(cost.name, piece);
    constexpr std::size_t kMegabyte = 1'000'000;
    cost.quarter = time_of(repeated(piece, kMegabyte / 4));
    cost.half = time_of(repeated(piece, kMegabyte / 2));
    cost.whole = time_of(repeated(piece, kMegabyte));
    costs.push_back(cost);
  }
  std::sort(costs.begin(), costs.end(), [](const Cost& a, const Cost& b) { return a.whole > b.whole; });
  std::printf("1 MB of one piece repeated, the slowest of %zu pieces; goal 50 ms, linear is 4.0 times the quarter\n",
              costs.size());
  for (std::size_t i = 0; i < 8; ++i) {
    std::printf("  %-36s %7.1f ms   1/2 MB %6.1f ms   1/4 MB %6.1f ms   %4.1f times the quarter\n",
                costs[i].name.c_str(), costs[i].whole, costs[i].half, costs[i].quarter,
                costs[i].whole / costs[i].quarter);
  }
}

}  // namespace

void bench_redact(const BenchOptions& options) {
  std::printf("redact: %llu lines of the workload, median of %d rounds\n",
              static_cast<unsigned long long>(options.lines), options.rounds);
  bench_vendor_pack(options);
  bench_workload(options);
  bench_free_text(options);
  bench_worst_line(options);
}

}  // namespace runtail::bench
