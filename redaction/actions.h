// What becomes of a span: masked, dropped, a part of it kept, or a keyed hash in its place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/redaction_action.h"
#include "core/result.h"
#include "redaction/span.h"

namespace runtail {

// Constant after make(): shared between threads.
class Actions {
 public:
  // kInvalidInput: an action for a kind no rule has; action hash without a key.
  static Result<Actions> make(const RedactionConfig& config, const Kinds& kinds);

  const RedactionAction& of(std::uint8_t kind) const { return by_kind_[kind]; }

  // Appends what stands for `value`. A hash is HMAC-SHA-256(key, kind || canonical value), so that one person's number
  // has one hash however it is written. Too little is there to keep a part of: masked.
  void append(std::string& out, const Kinds& kinds, std::uint8_t kind, std::string_view value) const;

 private:
  std::vector<RedactionAction> by_kind_;
  std::optional<HashKey> key_;
  std::string key_id_;  // 8 hex digits, tells keys apart after a rotation
};

// How a value of a person is written does not matter: letters in lower case; of numbers and codes no separators. Other
// values stay as they are.
std::string canonical_value(std::string_view value, bool is_person);

}  // namespace runtail
