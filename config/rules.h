// Redaction rules as data: what redaction/rules/*.yaml and the files of redaction.rules say, unjudged. Patterns are
// compiled in redaction/detectors.h. docs/redaction.md says how to write a rule.
//
//   pack: pii                      # which pack the file belongs to; files of redaction.rules are always on
//   rules:                         # value detectors
//     - id: url_password           # unique over all files
//       kind: password             # name in the marker: [REDACTED:password]; lower case, digits, '_'
//       priority: secret           # secret | pii: whose kind names a span that two rules share
//       # Where to look at all, at least one of:
//       literals: ["://"]          # one occurs in any text the pattern matches (3 bytes or more each, case ignored)
//       words: true                # literals count only where no letter goes on before or behind
//       begins: true               # every match begins with one of the literals: looked for there only
//       contains: "@"              # with begins: a byte that every match holds behind its literal
//       reach: 4096                # looked so far for a match, and farther for one that goes on; without begins: to
//                                  # both sides
//       digit_run: 9               # every match lies in a run of so many digits, parted by separators
//       feature: at                # at, letters_digits, colons: every match lies around one (redaction/features.h);
//                                  # dotted, plus: with digit_run, the run has three dots or begins with a plus
//       keywords: [pan, card]      # one must stand as a word near the span, or in the member's key
//       window: 40                 # "near": bytes before and after
//       unless: [bytes, cache]     # not the next word, nor in the clause before (24 bytes), nor in the key
//       # What it is:
//       pattern: '...(...)@'       # RE2 on bytes; the first group that matched something is masked, else the match
//       scope: '(?i)insert .*'     # the pattern is looked for only inside matches of this one
//       boundary: none             # none | digit | alnum: what may not stand beside the masked span
//       validator: none            # a name of redaction/validators.h
//       examples:
//         positive: [[input, output]]
//         near_miss: [input that stays as it is]
//   keys:                          # key-name rules: the value goes, whatever it looks like
//     - id: passwords              # default: the kind
//       kind: password
//       priority: secret           # default pii
//       names: [password, api_key] # words of a key; see redaction/key_rules.h
//       exact: [address]           # keys that are just this
//       needs: resourceType        # only where this member stands on the line too
//       validator: age             # default value; of a text or number
//       phrase: true               # inside text an unquoted value may have several words (names, addresses)
//       text: false                # members only, not `key: value` inside text
//       containers: true           # objects and arrays only
//       scalars: true              # no objects and arrays
//       digits_min: 1              # inside text an unquoted number of fewer digits is a count; default 5, of secrets 0
//       examples: {positive: [dbPassword], near_miss: [password_count]}
//   key_exceptions: [count, type]  # a key that ends in one of these words says something about a secret, and is none
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace runtail {

enum class RulePriority : std::uint8_t { kPii, kSecret };
enum class RuleBoundary : std::uint8_t { kNone, kDigit, kAlnum };
enum class RuleFeature : std::uint8_t { kNone, kAt, kLettersDigits, kColons, kDotted, kPlus };

struct RuleSpec {
  std::string id;
  std::string kind;
  RulePriority priority = RulePriority::kPii;
  std::vector<std::string> literals;
  bool words = false;
  bool begins = false;
  std::string contains;
  std::uint32_t reach = 4096;
  std::uint32_t digit_run = 0;
  RuleFeature feature = RuleFeature::kNone;
  std::string pattern;
  std::string scope;
  RuleBoundary boundary = RuleBoundary::kNone;
  std::string validator = "none";
  std::vector<std::string> keywords;
  std::uint32_t window = 40;
  std::vector<std::string> unless;
  std::vector<std::pair<std::string, std::string>> positive;
  std::vector<std::string> near_miss;
  std::string place;  // "pii.yaml:12:5", for messages
};

struct KeyRuleSpec {
  std::string id;
  std::string kind;
  RulePriority priority = RulePriority::kPii;
  std::vector<std::string> names;
  std::vector<std::string> exact;
  std::string needs;
  std::string validator = "value";
  bool phrase = false;
  bool text = true;
  bool containers = false;
  std::optional<std::uint32_t> digits_min;
  bool scalars = false;
  std::vector<std::string> positive;
  std::vector<std::string> near_miss;
  std::string place;
};

struct RuleFile {
  std::string pack;  // "" for a file that names none
  std::vector<RuleSpec> rules;
  std::vector<KeyRuleSpec> keys;
  std::vector<std::string> key_exceptions;
};

// kInvalidInput: "pii.yaml:12:5: rule ssn: unknown member \"patern\"".
Result<RuleFile> load_rules(std::string_view yaml, std::string_view file_name);

}  // namespace runtail
