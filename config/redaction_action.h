// What becomes of a kind of thing found: the words of redaction.actions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace runtail {

struct RedactionAction {
  enum class Kind : std::uint8_t { kMask, kDrop, kHash, kKeepFirst, kKeepLast };
  static constexpr int kKeptMax = 6;
  Kind kind = Kind::kMask;
  int kept = 0;  // letters or digits that stay, 1 to kKeptMax
};

// "mask", "drop", "hash", "keep_first_4", "keep_last_4".
std::optional<RedactionAction> parse_redaction_action(std::string_view text);
// For counters: "masked", "dropped", "hashed", "kept_part".
std::string_view to_string(RedactionAction::Kind kind);

}  // namespace runtail
