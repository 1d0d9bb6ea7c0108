// The rules built into the binary, read and compiled.
#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "core/result.h"
#include "redaction/allowlist.h"
#include "redaction/detectors.h"
#include "redaction/key_rules.h"

namespace runtail {

// Constant after make_ruleset(): shared between threads.
struct Ruleset {
  std::shared_ptr<const Kinds> kinds;
  std::shared_ptr<const Detectors> detectors;
  KeyRules key_rules;
  Allowlist allowlist;
  // Kinds no rule file names.
  std::uint8_t ip_kind = 0;       // an address that may not be kept
  std::uint8_t user_id_kind = 0;  // a user id that may not be kept
  std::uint8_t depth_kind = 0;    // nested too deep to look at
  std::string digest;             // first 16 hex digits of SHA-256 over the rule files and the settings
};

// All files of embedded::runtail_rules(). The examples in them are not run here; tests do that.
Result<RuleFile> built_in_rules();
Result<std::shared_ptr<const Ruleset>> make_ruleset(const RedactionConfig& config);

}  // namespace runtail
