// The rules in force, read and compiled: the packs that are on, and the operator's own files.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "core/result.h"
#include "redaction/actions.h"
#include "redaction/allowlist.h"
#include "redaction/text_scanner.h"

namespace runtail {

// Constant after make_ruleset(): shared between threads.
struct Ruleset {
  Kinds kinds;  // of all packs, on or off, so that a kind keeps its number
  std::unique_ptr<ScanRules> scan;
  Allowlist allowlist;
  Actions actions;
  // Kinds no rule file names.
  std::uint8_t ip_kind = 0;        // an address that may not be kept
  std::uint8_t user_id_kind = 0;   // a user id that may not be kept
  std::uint8_t depth_kind = 0;     // nested too deep to look at
  std::uint8_t budget_kind = 0;    // more work than a text may cause
  std::uint8_t key_kind = 0;       // lines of a private key
  std::vector<std::string> packs;  // in force, with the number of their rules
  std::string digest;              // first 16 hex digits of SHA-256 over the rule files and the settings
};

// Files of embedded::runtail_rules(), in order.
Result<std::vector<RuleFile>> built_in_rules();
// What `config` puts in force: packs that are on, then own files.
Result<std::vector<RuleFile>> rules_of(const RedactionConfig& config);
Result<std::shared_ptr<const Ruleset>> make_ruleset(const RedactionConfig& config);

}  // namespace runtail
