// Members outside the contract become one JSON text: listed ones only, each key and leaf masked.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/event.h"
#include "redaction/masker.h"
#include "redaction/ruleset.h"

namespace runtail {

// Of one thread. `rules` is not owned and outlives this. Throws std::logic_error on a tree that is none (an `end` out
// of its parent's range).
class ContextWriter {
 public:
  // `keeps_text` false: strings become null.
  ContextWriter(const Ruleset& rules, bool keeps_text)
      : known_keys_(rules.scan->keys), depth_kind_(rules.depth_kind), keeps_text_(keeps_text) {}

  // Appends member nodes[at] as `"key":value` (after a comma if `first` is false, which it then makes) if the allowlist
  // lets any of it through below `from`. Returns how many members were dropped.
  std::size_t append_member(std::string& out, bool& first, std::span<const JsonNode> nodes, std::size_t at,
                            const Allowlist::Step& from, Masker& masker);

  // Appends the value of nodes[at]: keys and leaves masked by detectors, no key-name rules, no allowlist.
  void append_value(std::string& out, std::span<const JsonNode> nodes, std::size_t at, Masker& masker);

 private:
  // Where one value stands.
  struct Place {
    std::string_view key;           // of the value, or of the array it is in
    const KeyRule* rule = nullptr;  // what says that it goes: its own key, or one beside it
    bool by_key_rules = true;
    int depth = 0;
  };

  const KeyRule* rule_of(std::string_view key, std::span<const JsonNode> nodes);
  const KeyRule* member_rule(std::string_view object, std::string_view key, std::span<const JsonNode> nodes);
  // A member that names what another one holds, and the rule for that.
  struct Naming {
    const KeyRule* rule = nullptr;
    std::string_view key;
    bool holds(std::string_view other) const { return rule && is_holding_key(key, other); }
  };
  Naming naming_member(std::span<const JsonNode> nodes, std::size_t object);
  bool wipe(std::string& out, std::span<const JsonNode> nodes, std::size_t at, const KeyRule& rule, Masker& masker);
  void append_tree(std::string& out, std::span<const JsonNode> nodes, std::size_t at, const Place& place,
                   Masker& masker);
  void append_array(std::string& out, std::span<const JsonNode> nodes, std::size_t at, const Place& place,
                    Masker& masker);
  static void append_word(std::string& out, std::string& command, std::string_view word, std::string_view key,
                          Masker& masker);
  std::string_view append_key(std::string& out, std::string_view key, Masker& masker);
  std::size_t append_listed(std::string& out, bool& first, std::span<const JsonNode> nodes, std::size_t at,
                            const Allowlist::Step& from, const Naming& naming, int depth, Masker& masker);

  KnownKeys known_keys_;
  std::string path_;  // memory of member_rule()
  std::uint8_t depth_kind_;
  bool keeps_text_;
};

}  // namespace runtail
