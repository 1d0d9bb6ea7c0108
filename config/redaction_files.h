// The files that redaction.rules and redaction.hash_key_file name, read: the redactor itself does no I/O.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace runtail {

struct RedactionFileProblem {
  std::string key;      // "redaction.rules[1]"
  std::string message;  // names the file, what is wrong and the remedy; never what the key file holds
};

// The key itself, for where secrets come as variables; it wins over hash_key_file. No setting: a file that everybody
// reads must not hold it.
inline constexpr const char* kHashKeyVariable = "RUNTAIL_REDACTION_HASH_KEY";

// Fills rule_texts and hash_key. `given_key`: what the variable above holds. Rule files are checked for their shape
// here; the redactor compiles them.
std::vector<RedactionFileProblem> read_redaction_files(RedactionConfig& config,
                                                       const std::optional<std::string>& given_key = std::nullopt);

}  // namespace runtail
