// Rules on the names of members: what a key called "dbPassword" holds is masked whole, whatever it looks like.
// A key is split into words at '_', '-', '.', ' ' and where camelCase changes, lower-cased, and matches a name if
//   - the name's words stand in it side by side (user_password_2, X-Api-Key), or
//   - it ends in the name, six letters or longer, without a seam (PGPASSWORD, myapikey),
// unless its last word is an exception (password_count, tokenType): such members tell about a secret, they are none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/rules.h"
#include "core/result.h"
#include "redaction/detectors.h"

namespace runtail {

// Constant after add(): shared between threads.
class KeyRules {
 public:
  Result<void> add(const RuleFile& file, Kinds& kinds);

  // The kind to mask what `key` holds; std::nullopt if no rule names it.
  std::optional<std::uint8_t> find(std::string_view key) const;

 private:
  struct Name {
    std::vector<std::string> words;
    std::string joined;
    std::uint8_t kind;
  };
  std::vector<Name> names_;
  std::vector<std::string> exceptions_;
};

}  // namespace runtail
