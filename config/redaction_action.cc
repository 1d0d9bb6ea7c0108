#include "config/redaction_action.h"

namespace runtail {

std::optional<RedactionAction> parse_redaction_action(std::string_view text) {
  using Kind = RedactionAction::Kind;
  if (text == "mask") return RedactionAction{Kind::kMask, 0};
  if (text == "drop") return RedactionAction{Kind::kDrop, 0};
  if (text == "hash") return RedactionAction{Kind::kHash, 0};
  constexpr std::string_view kFirst = "keep_first_", kLast = "keep_last_";
  const bool is_first = text.starts_with(kFirst);
  if (!is_first && !text.starts_with(kLast)) return std::nullopt;
  text.remove_prefix(is_first ? kFirst.size() : kLast.size());
  if (text.size() != 1 || text[0] < '1' || text[0] > '0' + RedactionAction::kKeptMax) return std::nullopt;
  return RedactionAction{is_first ? Kind::kKeepFirst : Kind::kKeepLast, text[0] - '0'};
}

std::string_view to_string(RedactionAction::Kind kind) {
  switch (kind) {
    case RedactionAction::Kind::kMask:
      return "masked";
    case RedactionAction::Kind::kDrop:
      return "dropped";
    case RedactionAction::Kind::kHash:
      return "hashed";
    case RedactionAction::Kind::kKeepFirst:
    case RedactionAction::Kind::kKeepLast:
      break;
  }
  return "kept_part";
}

}  // namespace runtail
