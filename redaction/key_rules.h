// Rules on the names of members: what a key called "dbPassword" holds is masked whole, whatever it looks like.
// A key is split into words at '_', '-', '.', ' ' and where camelCase changes, lower-cased, and matches a name if
//   - the name's words stand in it side by side (user_password_2, X-Api-Key), or
//   - it ends in the name, six letters or longer, without a seam (PGPASSWORD, myapikey), or
//   - it is one of the rule's exact names,
// unless its last word is an exception that the name does not end in (password_count, tokenType): such members tell
// about a secret, they are none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/rules.h"
#include "core/result.h"
#include "redaction/span.h"
#include "redaction/validators.h"

namespace runtail {

struct KeyRule {
  std::uint8_t kind = 0;
  RulePriority priority = RulePriority::kPii;
  std::uint16_t number = 0;  // among Kinds::rules()
  bool phrase = false;
  bool text = true;
  bool containers = false;
  std::uint32_t digits_min = 0;  // inside text an unquoted number of fewer is a count
  bool scalars = false;
  std::string needs;
  Validator validator = nullptr;  // null: any value that is no placeholder
};

// Constant after add(): shared between threads.
class KeyRules {
 public:
  // kInvalidInput names the rule and its place.
  Result<void> add(const RuleFile& file, Kinds& kinds);

  // The rule for what `key` holds; nullptr if none names it.
  const KeyRule* find(std::string_view key) const;

  // Is the last word of `key` the last of a name of several words?
  bool may_end_name(std::string_view key) const;

  // One of these stands in every key that any rule names, ASCII case ignored.
  std::vector<std::string> literals() const;

 private:
  struct Name {
    std::vector<std::string> words;
    std::string joined;
    std::size_t rule;
    bool exact;
  };
  const KeyRule* find_plain(std::string_view key) const;

  std::vector<KeyRule> rules_;
  // In the order of precedence.
  std::vector<Name> names_;
  // Numbers of names by their first word, and by the last four letters of those that match without a seam.
  std::unordered_map<std::string, std::vector<std::uint32_t>> by_first_word_;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> by_ending_;
  std::vector<std::string> exceptions_;
};

// What the rules say about keys met before. Of one thread; `rules` is not owned and outlives this.
class KnownKeys {
 public:
  explicit KnownKeys(const KeyRules& rules) : rules_(&rules) {}
  const KeyRule* find(std::string_view key) { return look(key).rule; }
  // May words before `key` make it one that a rule names ("Date of" before "Birth")?
  bool may_end_name(std::string_view key) { return look(key).may_end_name; }

 private:
  struct Known {
    const KeyRule* rule;
    bool may_end_name;
  };
  const Known& look(std::string_view key);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
  };
  const KeyRules* rules_;
  std::unordered_map<std::string, Known, Hash, std::equal_to<>> known_;
};

// Names of HTTP headers stand in flat lists before their values: "Authorization", "Bearer ...".
bool is_header_name(std::string_view key);
// {"name": "DB_PASSWORD", "value": "x"}: the member that names, and the one that holds what it names; both may have the
// same word before: ParameterKey, ParameterValue.
bool is_naming_key(std::string_view key);
bool is_holding_key(std::string_view naming_key, std::string_view key);
// One that holds whatever the name beside it is called.
bool is_value_key(std::string_view key);

}  // namespace runtail
