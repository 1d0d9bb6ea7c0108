// Value detectors: the gate names the rules worth trying, RE2 finds, validators and context judge, spans are merged,
// and each span becomes one marker, [REDACTED:kind].
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/rules.h"
#include "core/result.h"
#include "redaction/gate.h"

namespace runtail {

// Bytes text[begin, end) to be masked as `kind` (an index into the list of kinds).
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::uint8_t kind = 0;
  RulePriority priority = RulePriority::kPii;
};

// For tests that hold the gate against trying every rule.
enum class GateUse { kOn, kOff };

// Names of kinds, each once; an index fits a byte. kInvalidInput beyond 255.
class Kinds {
 public:
  Result<std::uint8_t> add(std::string_view name);
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
};

// Length of the marker that begins at text[position], 0 if none does. No rule ever changes a marker.
std::size_t marker_size(std::string_view text, std::size_t position);
void append_marker(std::string& out, std::string_view kind);

// Constant after compile(): shared between threads.
class Detectors {
 public:
  // New kinds are appended to `kinds`. kInvalidInput names the rule and its place.
  static Result<std::shared_ptr<const Detectors>> compile(const std::vector<RuleSpec>& rules, Kinds& kinds);
  ~Detectors();

  // Spans to mask, in order, apart from each other, none inside a marker. `key` is the member the text is the value of:
  // it counts as context. `spans` is cleared first. Throws only std::bad_alloc.
  void find(std::string_view text, std::string_view key, std::vector<Span>& spans, GateUse gate = GateUse::kOn) const;

 private:
  struct Rule;
  Detectors();
  void find_rule(const Rule& rule, std::string_view text, std::string_view key, std::vector<Span>& spans) const;

  std::vector<std::unique_ptr<Rule>> rules_;
  Gate gate_;
};

}  // namespace runtail
