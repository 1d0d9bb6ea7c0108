// The only way from a LogEvent to a RedactedEvent.
// Order (each step on decoded values): allowlist -> key-name rules -> value detectors (literal gate, RE2 on candidates,
// validators, context) -> message templates -> spans merged, one action each -> only then truncation -> serialisation.
// Fails closed: any error leaves the envelope (ts, level, kind, typed fields) and redaction_state failed_closed.
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

// What the redactor did since it was made; counted here, exported by the agent.
struct RedactionTotals {
  std::vector<std::uint64_t> masked_by_kind;  // index: kind, as in Redactor::kinds()
  std::uint64_t unlisted_fields = 0;          // members dropped because the allowlist does not name them
  std::uint64_t failed_closed = 0;
};

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

  // Free text through every detector and template: error texts, our own messages. Redacting twice changes nothing.
  std::string redact_text(std::string_view text);

  // Names of the kinds RedactionCount::kind indexes: "email", "ssn", ... Stable within a ruleset.
  const std::vector<std::string>& kinds() const;
  // Digest of the rules in force, 16 hex digits: stored with every row.
  const std::string& ruleset() const;
  const RedactionTotals& totals() const;

 private:
  struct State;
  explicit Redactor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace runtail
