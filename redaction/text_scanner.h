// Everything there is to find in one text: value detectors and pairs, on the text as it stands, on what its escapes,
// entities and percent signs hide, and inside its Base64 and hex tokens.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "redaction/decoded_view.h"
#include "redaction/detectors.h"
#include "redaction/key_rules.h"
#include "redaction/pairs.h"

namespace runtail {

// Detectors and key rules with one gate in front. Constant after make: shared between threads.
struct ScanRules {
  ScanRules(std::shared_ptr<Detectors> value_detectors, KeyRules names);
  std::shared_ptr<const Detectors> detectors;
  KeyRules keys;
  std::vector<std::uint8_t> is_key_literal;  // by literal of the gate
};

// Of one thread. `rules` is not owned and outlives this.
class TextScanner {
 public:
  explicit TextScanner(const ScanRules& rules);

  // Spans to mask, in order, apart from each other, none inside a marker; valid until the next call. `key` is the
  // member the text is the value of. nullptr: more work or deeper encodings than a text may cause; it has to go whole.
  const std::vector<Span>* find(std::string_view text, std::string_view key, GateUse gate = GateUse::kOn);

  // What Span::value n stands for.
  const std::string& value(std::uint32_t n) const { return values_[n - 1]; }

 private:
  static constexpr int kDepthMax = 3;   // tokens inside tokens
  static constexpr int kLayersMax = 4;  // escapes inside escapes
  // Of one depth.
  struct Level {
    Detectors::Scratch scratch;
    std::vector<Window> key_hits;
    DecodedView views[2];
    std::string spaced;               // the view in use with a space for each '+'
    std::vector<std::uint32_t> from;  // of the view in use, into the source
    std::vector<Span> found;
  };

  bool scan(std::string_view text, std::string_view key, int depth, WorkBudget& budget, std::vector<Span>& spans,
            GateUse gate);
  void scan_plain(std::string_view text, std::string_view key, const TextTraits& traits, int depth, WorkBudget& budget,
                  std::vector<Span>& spans, GateUse gate);

  const ScanRules* rules_;
  PairScanner pairs_;
  std::deque<Level> levels_;
  std::vector<Span> spans_;
  std::vector<std::string> values_;
};

}  // namespace runtail
