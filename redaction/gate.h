// The cheap question before every expensive one: which rules could match in this text at all?
// A rule says what each text it matches must hold: one of some literals (ASCII case ignored), an '@', a run of digits.
// The gate looks at every byte once or twice and never says no to a rule that would match; it may say yes in vain.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runtail {

// A set of rules by number.
class RuleNumbers {
 public:
  static constexpr std::size_t kMax = 256;

  void add(std::size_t rule) { words_[rule / 64] |= std::uint64_t{1} << (rule % 64); }
  bool has(std::size_t rule) const { return words_[rule / 64] >> (rule % 64) & 1; }
  bool empty() const { return (words_[0] | words_[1] | words_[2] | words_[3]) == 0; }
  void add_all(const RuleNumbers& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  void remove_all(const RuleNumbers& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= ~other.words_[i];
  }
  // Calls visit(number) in rising order.
  template <typename Visit>
  void each(Visit visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      for (std::uint64_t left = words_[i]; left != 0; left &= left - 1) {
        visit(i * 64 + static_cast<std::size_t>(__builtin_ctzll(left)));
      }
    }
  }

 private:
  std::array<std::uint64_t, kMax / 64> words_{};
};

// Constant after the last add(): any number of threads may scan().
class Gate {
 public:
  static constexpr std::size_t kLiteralBytesMin = 3;

  // `rule` below RuleNumbers::kMax; each literal has kLiteralBytesMin bytes or more.
  void add(std::size_t rule, const std::vector<std::string>& literals, bool needs_at, std::uint32_t digit_run);

  RuleNumbers scan(std::string_view text) const;

 private:
  // Literals are found by one telling trigram each, the anchor: its hash is looked up in a bit map at every position of
  // the text. Positions do not wait for each other as the states of an automaton do, so this runs at about two cycles
  // a byte, three times as fast as Aho-Corasick.
  static constexpr int kHashBits = 14;
  struct Literal {
    std::uint32_t hash;    // of the anchor
    std::uint32_t anchor;  // offset of the anchor in `text`
    std::string text;      // folded
    RuleNumbers rules;
  };
  struct DigitRule {
    std::uint32_t digits;
    RuleNumbers rules;
  };

  void match_at(std::string_view text, std::size_t position, std::uint32_t hash, RuleNumbers& found) const;

  std::array<std::uint64_t, (1u << kHashBits) / 64> anchors_{};
  std::vector<Literal> literals_;  // sorted by hash
  RuleNumbers without_literals_;
  RuleNumbers with_at_;
  std::vector<DigitRule> digit_rules_;
  std::uint32_t digits_min_ = UINT32_MAX;  // the smallest of digit_rules_
};

}  // namespace runtail
