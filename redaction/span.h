// What was found where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/rules.h"
#include "core/result.h"

namespace runtail {

// Bytes text[begin, end) to be masked as `kind` (an index into the list of kinds).
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::uint8_t kind = 0;
  RulePriority priority = RulePriority::kPii;
  std::uint16_t rule = 0;   // an index into Kinds::rules(): who found it
  std::uint32_t value = 0;  // 0: the bytes themselves; n: the nth decoded value of the scan (redaction/text_scanner.h)
};

// Names of kinds and of the rules behind them, in the order of their numbers.
class Kinds {
 public:
  struct Origin {
    std::string rule;
    std::string validator;
  };

  // Each name once; the number fits a byte. A kind is a person's if any rule says so. kInvalidInput beyond 255.
  Result<std::uint8_t> add(std::string_view name, RulePriority priority);
  std::uint16_t add_rule(std::string rule, std::string validator);

  const std::vector<std::string>& names() const { return names_; }
  bool is_person(std::uint8_t kind) const { return persons_[kind]; }
  const std::vector<Origin>& rules() const { return rules_; }

 private:
  std::vector<std::string> names_;
  std::vector<bool> persons_;
  std::vector<Origin> rules_;
};

// Spans that share bytes become one, in order: nothing either rule found may stay. A secret's kind names it, else the
// longer span's, else the earlier one's, else the kind of the rule that stands first: not who looked first.
void merge_spans(std::vector<Span>& spans);

// Makes `span` take each marker and each UTF-8 character of `text` whole or not at all. false: there is nothing but
// markers in it, so nothing to do.
bool fit_to_markers(std::string_view text, Span& span);

}  // namespace runtail
