// Any bytes as a line: what comes out is JSON, redacting it again changes nothing, the gate hides nothing from the
// rules, and a secret put anywhere between does not survive.
#include <simdjson.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/event_json.h"
#include "core/json_text.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "redaction/ruleset.h"
#include "redaction/text_scanner.h"

namespace {

using namespace runtail;

void demand(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

RedactionConfig all_members() {
  RedactionConfig config;
  config.allow_all = true;
  return config;
}

struct Parts {
  Parser parser{built_in_dialects()};
  Redactor redactor = Redactor::make(all_members()).value();
  std::shared_ptr<const Ruleset> ruleset = make_ruleset(all_members()).value();
  TextScanner gated{*ruleset->scan}, ungated{*ruleset->scan};
  simdjson::dom::parser json;

  // The line as `runtail redact` writes it.
  std::string redact(std::string_view line) {
    std::string out;
    append_event_json(out, redactor.redact(parser.parse(line)), redactor.kinds());
    return out;
  }

  void demand_the_gate_hides_nothing(std::string_view text) {
    const std::vector<Span>* with = gated.find(text, {}, GateUse::kOn);
    const std::vector<Span>* without = ungated.find(text, {}, GateUse::kOff);
    // Without the gate there is more work, so the budget may be over earlier: then the text goes whole.
    if (!without) return;
    demand(with != nullptr, "the gate causes no work");
    demand(with->size() == without->size(), "the gate hides no span");
    for (std::size_t i = 0; i < with->size(); ++i) {
      const Span &a = (*with)[i], &b = (*without)[i];
      demand(a.begin == b.begin && a.end == b.end && a.kind == b.kind, "the gate changes no span");
    }
  }

  // The members that came out of the line itself, as a line.
  std::string line_again(const simdjson::dom::object& out) {
    std::string line = "{";
    for (const auto& [key, value] : out) {
      if (key == "redacted" || key == "state" || key == "counts") continue;
      if (line.size() > 1) line += ',';
      append_json_string(line, key);
      line += ':' + simdjson::minify(value);
    }
    return line + '}';
  }

  void demand_json_that_stays(std::string_view line) {
    const std::string once = redact(line);
    simdjson::dom::object out;
    demand(json.parse(once).get(out) == simdjson::SUCCESS, "what comes out is JSON");
    std::string_view text;
    if (out["text"].get(text) == simdjson::SUCCESS) return;  // redact_text() below
    demand(redactor.redact(parser.parse(line_again(out))).redaction_state == RedactionState::kClean,
           "a second pass leaves the line");
  }
};

// Known by their own shape alone; put together here, so that no file holds one.
const std::string kSecrets[] = {
    std::string("AKIA") + "QX7ZB2M4TN6VJ3KD",
    std::string("ghp_") + "R4ILEOTvG1KyuvsCjTmoC3CSVGwlfMl7tV2O",
    std::string("eyJhbGciOiJIUzI1NiJ9.") + "eyJzdWIiOiI2NTA3OTA2MyJ9.C2xbRTdKPPCKpkUMcaqIDnuGS0JBSGKpJsyPFAbx",
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Parts parts;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  parts.demand_json_that_stays(bytes);
  parts.demand_the_gate_hides_nothing(bytes);
  const std::string once = parts.redactor.redact_text(bytes);
  demand(parts.redactor.redact_text(once) == once, "a second pass leaves the text");

  const std::string& secret = kSecrets[data[0] % std::size(kSecrets)];
  if (bytes.find(secret) != std::string_view::npos) return 0;  // the fuzzer learns it and glues letters to it
  const std::size_t at = bytes.empty() ? 0 : data[1] * bytes.size() / 256;
  const std::string planted = std::string(bytes.substr(0, at)) + '\n' + secret + '\n' + std::string(bytes.substr(at));
  demand(parts.redactor.redact_text(planted).find(secret) == std::string::npos, "no secret in the text");
  std::string line = R"({"level":"ERROR","error":{"message":)";
  append_json_string(line, planted);
  line += R"(},"extra":[)";
  append_json_string(line, planted);
  line += "]}";
  demand(parts.redact(line).find(secret) == std::string::npos, "no secret in the line");
  return 0;
}
