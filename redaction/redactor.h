// The only way from a LogEvent to a RedactedEvent.
// Order, each step on decoded values (docs/redaction.md): allowlist -> key-name rules, which wipe what is below ->
// value detectors (literal gate, RE2 on candidates, validators, context), pairs and message templates, on the text and
// on what its encodings hide -> spans merged, one action each -> only then truncation -> serialisation. Fails closed,
// with redaction_state failed_closed and pii_safe false: a text that is too much work goes whole, and any error leaves
// the envelope only (ts, level, kind, typed fields; counts are empty).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "core/event.h"
#include "core/result.h"

namespace runtail {

// What the redactor did since it was made.
struct RedactionTotals {
  std::vector<std::uint64_t> masked_by_kind;  // index: kind, as in Redactor::kinds()
  std::uint64_t unlisted_fields = 0;          // members dropped because the allowlist does not name them
  std::uint64_t failed_closed = 0;            // events of which an error left the envelope
  std::uint64_t over_budget = 0;              // events with a text that went whole because it was too much work
};

// What redaction remembers from one line of a stream to the next: a private key written line by line.
struct StreamMemory {
  // Lines of the key that may still come; 0: none is open.
  std::uint32_t key_lines_left = 0;
  // Bytes before the key's first line: what a logger writes before each.
  std::uint32_t key_line_begin = 0;
};

// One span that was redacted. Holds nothing of the value.
struct Finding {
  std::string place;  // the field or member it stood in, its name redacted too
  std::string rule, kind, validator;
  std::string_view action;  // "masked", "dropped", "hashed", "kept_part"
  std::size_t bytes = 0;
};

// Runs the examples of the operator's rule files (config.rule_texts): each positive masked as it says, each near miss
// untouched. One message per failure: file, line, rule, example.
std::vector<std::string> failed_examples(const RedactionConfig& config);

// Threads: one Redactor per thread. Compiled rules are shared between copies made by clone().
class Redactor {
 public:
  // The rules built into the binary and the settings given. kInvalidInput names the rule and the place.
  static Result<Redactor> make(const RedactionConfig& config);
  Redactor(Redactor&&) noexcept;
  Redactor& operator=(Redactor&&) noexcept;
  ~Redactor();
  Redactor clone() const;

  // Valid until the next redact(); the caller may set the time of a line that states none. Never fails: see "fails
  // closed".
  RedactedEvent& redact(const LogEvent& event);
  // The same for a line of a stream whose lines come in order; `memory` is the stream's own.
  RedactedEvent& redact(const LogEvent& event, StreamMemory& memory);
  // The same; appends what was redacted to `findings`.
  RedactedEvent& explain(const LogEvent& event, StreamMemory& memory, std::vector<Finding>& findings);

  // Free text through every detector and template: error texts, our own messages. Redacting twice changes nothing.
  std::string redact_text(std::string_view text);

  // Names of the kinds RedactionCount::kind indexes: "email", "ssn", ... Stable within a ruleset.
  const std::vector<std::string>& kinds() const;
  // What is done to a kind, by the same index: "masked", "dropped", "hashed", "kept_part".
  std::string_view action_of(std::size_t kind) const;
  // Packs and files in force with the number of their rules: "secrets 71", "site.yaml 3".
  const std::vector<std::string>& packs() const;
  // Digest of the rules in force, 16 hex digits: stored with every row.
  const std::string& ruleset() const;
  const RedactionTotals& totals() const;

 private:
  struct State;
  explicit Redactor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace runtail
