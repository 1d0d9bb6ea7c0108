// Lines with what must not survive redaction and what must: filled from the templates in tests/testdata/redaction.
//
//   [password_kv] 1.000                     category and its goal: the share of its lines nothing survives of
//   connect to ${+host} failed, password=${!password}
//
// A template is a message. Before it may stand where the message goes, else that is drawn:
//   json:   the whole line, JSON; values are escaped for it         text:    a line that is no JSON
//   error:  error_message of a JSON line                            msg:     msg of a JSON line
//   member: a member outside the contract                           stream:  lines of text, one after another
// ${kind} is a value of that kind (redaction_values.h): ${!kind} must not survive, ${+kind} must, and so must the words
// of ${=these words}. ${!kind|url|b64} is wrapped, first pipe first; ${pad 1990 2040} fills the message up to so many
// bytes. In messages \n, \r, \t and \\ are a newline, a return, a tab, a backslash; in json: they are what JSON makes
// of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/redaction_values.h"

namespace runtail::test {

struct LabelledLine {
  std::string category;
  std::string source;                // file and line of its template
  std::vector<std::string> lines;    // of one stream; mostly one
  std::vector<std::string> secrets;  // as written, and as it was before it was wrapped
  std::vector<std::string> keeps;
};

struct CorpusCategory {
  std::string name;
  double goal = 0;
  struct Template {
    std::string text, source;
  };
  std::vector<Template> templates;
};

// Of one file of tests/testdata/redaction, in order. Throws std::runtime_error naming file and line.
std::vector<CorpusCategory> read_corpus(std::string_view file_name);
// Secrets, personal data and wrappings of both: all files of positives.
std::vector<CorpusCategory> positive_categories();
std::vector<CorpusCategory> negative_categories();

// `count` lines, each template in turn.
std::vector<LabelledLine> lines_of(const CorpusCategory& category, std::size_t count, RedactionValues& values);

// The pipes: "url", "url2", "html", "html_hex", "u", "u_signs", "x", "json", "json2", "b64", "b64url", "hex", "sql",
// "dots", "upper", "lower", "cut", "cyrillic", "fullwidth", "zero_width", "form", "csv", "colours". Throws
// std::out_of_range.
std::string wrap(std::string_view text, std::string_view pipe, RedactionValues& values);

}  // namespace runtail::test
