// Redaction rules as data: what redaction/rules/*.yaml say, unjudged. Patterns are compiled in redaction/detectors.h.
//
//   rules:                         # value detectors
//     - id: url_password           # unique over all files
//       kind: password             # name in the marker: [REDACTED:password]; lower case, digits, '_'
//       priority: secret           # secret | pii: whose kind names a span that two rules share
//       literals: ["://"]          # gate: at least one occurs in any text the pattern matches (3 bytes or more each)
//       at: true                   # gate: any such text holds an '@'
//       digit_run: 9               # gate: any such text holds so many digits, parted by single separators at most
//       pattern: '...(...)@'       # RE2 on bytes; the first group that matched something is masked, else the whole
//       match boundary: none             # none | digit | alnum: what may not stand beside the masked span validator:
//       none            # a name of redaction/validators.h keywords: [pan, card]      # one of them must stand as a
//       word near the span, or in the member's key window: 40                 # "near": bytes before and after
//       examples:
//         positive: [[input, output]]
//         near_miss: [input that stays as it is]
//   keys:                          # key-name rules
//     - kind: password
//       names: [password, api_key] # words of a key; see redaction/key_rules.h
//       examples: {positive: [dbPassword], near_miss: [password_count]}
//   key_exceptions: [count, type]  # a key that ends in one of these words says something about a secret, and is none
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace runtail {

enum class RulePriority : std::uint8_t { kPii, kSecret };
enum class RuleBoundary : std::uint8_t { kNone, kDigit, kAlnum };

struct RuleSpec {
  std::string id;
  std::string kind;
  RulePriority priority = RulePriority::kPii;
  std::vector<std::string> literals;
  bool at = false;
  std::uint32_t digit_run = 0;
  std::string pattern;
  RuleBoundary boundary = RuleBoundary::kNone;
  std::string validator = "none";
  std::vector<std::string> keywords;
  std::uint32_t window = 40;
  std::vector<std::pair<std::string, std::string>> positive;
  std::vector<std::string> near_miss;
  std::string place;  // "pii.yaml:12:5", for messages
};

struct KeyRuleSpec {
  std::string kind;
  std::vector<std::string> names;
  std::vector<std::string> positive;
  std::vector<std::string> near_miss;
};

struct RuleFile {
  std::vector<RuleSpec> rules;
  std::vector<KeyRuleSpec> keys;
  std::vector<std::string> key_exceptions;
};

// kInvalidInput: "pii.yaml:12:5: rule ssn: unknown member \"patern\"".
Result<RuleFile> load_rules(std::string_view yaml, std::string_view file_name);

}  // namespace runtail
