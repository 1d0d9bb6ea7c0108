#include "redaction/actions.h"

#include <algorithm>

#include "redaction/letters.h"
#include "redaction/marker.h"

namespace runtail {
namespace {

constexpr std::size_t kHashDigits = 16;
constexpr std::size_t kKeyIdDigits = 8;

std::string alnum_of(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), is_alnum);
  return out;
}

}  // namespace

std::string canonical_value(std::string_view value, bool is_person) {
  if (!is_person) return std::string(value);
  const bool is_code =
      std::any_of(value.begin(), value.end(), is_digit) && std::all_of(value.begin(), value.end(), [](char c) {
        return is_alnum(c) || std::string_view(" -./()+:").find(c) != std::string_view::npos;
      });
  std::string out = is_code ? alnum_of(value) : std::string(value);
  std::transform(out.begin(), out.end(), out.begin(), to_lower);
  // +1 (555) 123-4567 is (555) 123-4567.
  const bool is_number = std::all_of(out.begin(), out.end(), is_digit);
  if (is_number && out.size() == 11 && out[0] == '1' && value.find_first_of("+(") != std::string_view::npos)
    out.erase(0, 1);
  return out;
}

Result<Actions> Actions::make(const RedactionConfig& config, const Kinds& kinds) {
  Actions actions;
  actions.by_kind_.resize(kinds.names().size());
  bool hashes = false;
  for (const auto& [name, text] : config.actions) {
    const auto kind = std::find(kinds.names().begin(), kinds.names().end(), name);
    if (kind == kinds.names().end()) {
      return Error{ErrorCode::kInvalidInput, "redaction.actions: no rule finds the kind \"" + name + "\""};
    }
    const auto action = parse_redaction_action(text);
    if (!action)
      return Error{ErrorCode::kInvalidInput, "redaction.actions." + name + ": unknown action \"" + text + "\""};
    hashes = hashes || action->kind == RedactionAction::Kind::kHash;
    actions.by_kind_[static_cast<std::size_t>(kind - kinds.names().begin())] = *action;
  }
  if (!hashes) return actions;
  if (!config.hash_key) {
    return Error{ErrorCode::kInvalidInput,
                 "redaction.hash_key_file: action hash needs a key; name a file with 64 hex digits, or set "
                 "RUNTAIL_REDACTION_HASH_KEY"};
  }
  actions.key_ = config.hash_key;
  actions.key_id_ = to_hex(hmac_sha256(*config.hash_key, "runtail.redaction.key_id")).substr(0, kKeyIdDigits);
  return actions;
}

void Actions::append(std::string& out, const Kinds& kinds, std::uint8_t kind, std::string_view value) const {
  const RedactionAction& action = by_kind_[kind];
  const std::string& name = kinds.names()[kind];
  switch (action.kind) {
    case RedactionAction::Kind::kDrop:
      return;
    case RedactionAction::Kind::kHash: {
      if (value.empty()) break;
      const std::string hash = to_hex(hmac_sha256(*key_, name + '\0' + canonical_value(value, kinds.is_person(kind))));
      append_marker(out, name, "#" + key_id_ + ":" + hash.substr(0, kHashDigits));
      return;
    }
    case RedactionAction::Kind::kKeepFirst:
    case RedactionAction::Kind::kKeepLast: {
      const std::string letters = alnum_of(value);
      const auto kept = static_cast<std::size_t>(action.kept);
      if (letters.size() < 2 * kept) break;
      const bool is_first = action.kind == RedactionAction::Kind::kKeepFirst;
      append_marker(out, name, ":" + (is_first ? letters.substr(0, kept) : letters.substr(letters.size() - kept)));
      return;
    }
    case RedactionAction::Kind::kMask:
      break;
  }
  append_marker(out, name);
}

}  // namespace runtail
