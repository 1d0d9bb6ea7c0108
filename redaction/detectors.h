// Value detectors: the gate and the features of a text name the places worth a try, RE2 finds, validators and context
// judge.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/rules.h"
#include "core/result.h"
#include "redaction/features.h"
#include "redaction/gate.h"
#include "redaction/span.h"

namespace runtail {

// For tests that hold the gate against trying every rule on the whole text.
enum class GateUse { kOn, kOff };

// How much work a text may cause, in bytes looked at by RE2: what is built to be slow is dropped, not endured. Spent
// by all that look at one line.
class WorkBudget {
 public:
  explicit WorkBudget(std::uint64_t bytes) : left_(bytes) {}
  bool spend(std::uint64_t bytes) {
    left_ = bytes < left_ ? left_ - bytes : 0;
    return left_ > 0;
  }
  bool is_over() const { return left_ == 0; }
  // May the groups of a match this long be told apart? If not, all of it goes.
  bool spend_long_match(std::uint64_t bytes) {
    if (bytes > long_matches_left_) return false;
    long_matches_left_ -= bytes;
    return true;
  }

 private:
  static constexpr std::uint64_t kLongMatches = 128 << 10;
  std::uint64_t left_;
  std::uint64_t long_matches_left_ = kLongMatches;
};

// Constant after compile(): shared between threads.
class Detectors {
 public:
  // What one find() needs besides the rules; kept by the caller so that its memory is used again.
  struct Scratch {
    std::vector<GateHit> hits;           // of the last text
    std::vector<std::size_t> tried_to;   // by rule: up to where it has looked
    std::vector<Window> pending;         // by rule: where it has to look
    std::vector<std::uint16_t> touched;  // rules with an entry in the two above
    std::vector<bool> has_keyword;       // by rule
    std::vector<std::size_t> held_to;    // of held_bytes_, behind one more that asks for none: up to where one follows
  };

  // Kinds and rules are appended to `kinds`. kInvalidInput names the rule and its place.
  static Result<std::shared_ptr<Detectors>> compile(const std::vector<RuleSpec>& rules, Kinds& kinds);
  ~Detectors();

  // A further literal to look for; its hits are in Scratch::hits with this number. Before the first find().
  std::uint32_t watch(std::string_view literal) { return gate_.add(literal); }
  std::size_t bytes_of(std::uint32_t literal) const { return gate_.bytes_of(literal); }

  // Appends what is found, neither sorted nor merged, nothing that is all marker. `key` is the member the text is the
  // value of: it counts as context. Incomplete once `budget` is over.
  void find(std::string_view text, std::string_view key, const TextTraits& traits, Scratch& scratch, WorkBudget& budget,
            std::vector<Span>& spans, GateUse gate = GateUse::kOn) const;

 private:
  struct Rule;
  // Rules by what they are known by.
  struct LiteralUse {
    std::vector<std::uint16_t> begins;   // a match begins here
    std::vector<std::uint16_t> near;     // a match may be near
    bool needs_word = false;             // the last of these, and keywords among the one before, count as words only
    std::vector<std::uint16_t> enables;  // keyword of a rule that a feature finds the place of
  };
  struct DigitRule {
    std::uint32_t digits;
    RuleFeature feature;
    std::uint16_t rule;
  };

  Detectors();
  void add_rule(std::uint16_t number);
  LiteralUse& use_of(std::string_view literal);
  void find_by_literals(std::string_view text, std::string_view key, Scratch& scratch, WorkBudget& budget,
                        std::vector<Span>& spans) const;
  void find_by_features(std::string_view text, std::string_view key, const TextTraits& traits, Scratch& scratch,
                        WorkBudget& budget, std::vector<Span>& spans) const;
  // Matches begin in `window`; what reaches its end may go on up to `limit`.
  void search(const Rule& rule, std::string_view text, std::string_view key, Window window, std::size_t limit,
              WorkBudget& budget, std::vector<Span>& spans) const;
  void search_pattern(const Rule& rule, std::string_view text, std::string_view key, Window window, std::size_t limit,
                      WorkBudget& budget, std::vector<Span>& spans) const;
  // False: refused. `text_end` is what the pattern took for the end of the text.
  bool take(const Rule& rule, std::string_view text, std::string_view key, std::size_t text_end, Window match,
            WorkBudget& budget, std::vector<Span>& spans) const;
  bool accept(const Rule& rule, std::string_view text, std::string_view key, Window window,
              std::vector<Span>& spans) const;
  void mask(const Rule& rule, std::string_view text, Window window, std::vector<Span>& spans) const;
  static std::size_t next_try(const Rule& rule, std::size_t at, std::size_t end);
  void try_everywhere(const Rule& rule, std::string_view text, std::string_view key, WorkBudget& budget,
                      std::vector<Span>& spans) const;
  // Returns the end of the match, 0 for none.
  std::size_t try_at(const Rule& rule, std::string_view text, std::string_view key, std::size_t at, WorkBudget& budget,
                     std::vector<Span>& spans) const;

  std::vector<std::unique_ptr<Rule>> rules_;
  std::string held_bytes_;  // of the rules' RuleSpec::contains
  Gate gate_;
  std::vector<LiteralUse> uses_;        // by literal
  std::vector<DigitRule> digit_rules_;  // those that ask for few digits first
  std::vector<std::uint16_t> at_rules_, letters_digits_rules_, colon_rules_;
  std::vector<std::uint16_t> keyword_rules_;  // with keywords: a key can be the context too
};

}  // namespace runtail
