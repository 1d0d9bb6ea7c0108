// Members outside the contract become one JSON text: listed ones only, each key and leaf masked.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/event.h"
#include "redaction/allowlist.h"
#include "redaction/key_rules.h"
#include "redaction/masker.h"

namespace runtail {

// Of one thread. `rules`, `masker` are not owned and outlive this. Throws std::logic_error on a tree that is none
// (an `end` out of its parent's range).
class ContextWriter {
 public:
  ContextWriter(const KeyRules& rules, std::uint8_t depth_kind) : rules_(&rules), depth_kind_(depth_kind) {}

  // Appends member nodes[at] as `"key":value` (after a comma if `first` is false, which it then makes) if the allowlist
  // lets any of it through below `from`. Returns how many members were dropped.
  std::size_t append_member(std::string& out, bool& first, std::span<const JsonNode> nodes, std::size_t at,
                            const Allowlist::Step& from, Masker& masker);

  // Appends the value of nodes[at]: keys and leaves masked by detectors, no key-name rules, no allowlist.
  void append_value(std::string& out, std::span<const JsonNode> nodes, std::size_t at, Masker& masker);

 private:
  // What the key-name rules say about keys met before.
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
  };

  std::optional<std::uint8_t> rule_for(std::string_view key);
  void append_tree(std::string& out, std::span<const JsonNode> nodes, std::size_t at, std::string_view key,
                   bool by_key_rules, int depth, Masker& masker);
  std::size_t append_listed(std::string& out, bool& first, std::span<const JsonNode> nodes, std::size_t at,
                            const Allowlist::Step& from, int depth, Masker& masker);

  const KeyRules* rules_;
  std::uint8_t depth_kind_;
  std::unordered_map<std::string, std::optional<std::uint8_t>, KeyHash, std::equal_to<>> known_keys_;
};

}  // namespace runtail
