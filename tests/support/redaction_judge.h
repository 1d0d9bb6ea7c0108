// What redaction made of a line: what survived that must not, what is gone that must stay.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "tests/support/redaction_corpus.h"

namespace runtail::test {

struct Judgement {
  std::vector<std::string> survivors;  // secrets that are found in what came out, whole or by half
  std::vector<std::string> lost;       // words to keep that are not found
  bool changed = false;                // anything was masked or dropped
  bool broken = false;                 // what came out is no JSON
  bool changed_again = false;          // redacting what came out changes it
  std::string output;                  // as `runtail redact` writes it, one JSON line per line
};

// Keys, strings and numbers of a JSON text, decoded, one a line. false: it is no JSON.
bool flat_text(std::string_view json, std::string& out);
// Is `secret`, or half of it or 16 bytes of it in one piece, in `text`? One of 8 bytes or less counts where no letter
// or digit touches it.
bool survives(std::string_view secret, std::string_view text);

class RedactionJudge {
 public:
  // Members of any name are looked at: the allowlist would hide what the detectors miss. Throws std::runtime_error if
  // the rules do not compile.
  explicit RedactionJudge(RedactionConfig config = {});

  Judgement judge(const LabelledLine& line);
  // One line as `runtail redact` writes it.
  std::string redact(std::string_view line);
  Redactor& redactor() { return redactor_; }

 private:
  bool changes_again(const std::string& output);

  Parser parser_;
  Redactor redactor_;
};

}  // namespace runtail::test
