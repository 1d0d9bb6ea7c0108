// The files that redaction.rules and redaction.hash_key_file name, read: the redactor itself does no I/O.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace runtail {

struct RedactionFileProblem {
  std::string key;      // "redaction.rules[1]"
  std::string message;  // names the file, what is wrong and the remedy; never what the key file holds
};

// Fills rule_texts and hash_key. Rule files are checked for their shape here; the redactor compiles them.
std::vector<RedactionFileProblem> read_redaction_files(RedactionConfig& config);

}  // namespace runtail
