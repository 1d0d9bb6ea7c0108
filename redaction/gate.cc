#include "redaction/gate.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace runtail {
namespace {

static_assert(std::endian::native == std::endian::little, "anchors are read from memory as little-endian words");

constexpr std::uint64_t kOnes = 0x0101010101010101ull;
constexpr std::uint64_t kHighs = 0x8080808080808080ull;

// Upper and lower case fall together; so do a few pairs like '@' and '`', which only makes the gate say yes in vain.
char fold(char c) { return static_cast<char>(c | 0x20); }

// Of the low three bytes of `word`.
template <int kBits>
std::uint32_t hash3(std::uint32_t word) {
  return ((word | 0x20202020u) << 8) * 0x9E3779B1u >> (32 - kBits);
}

std::uint32_t load3(const char* at) {
  std::uint32_t word = 0;
  std::memcpy(&word, at, 3);
  return word;
}

// How common a byte is in log text, roughly: anchors are made of rare ones.
int commonness(char c) {
  static constexpr std::string_view kByFrequency = "etaoinsrhldcumfpgwybvkxjqz";
  const std::size_t rank = kByFrequency.find(c);
  if (rank != std::string_view::npos) return static_cast<int>(27 - rank);
  return c == ' ' ? 27 : 4;
}

std::size_t anchor_of(std::string_view literal) {
  std::size_t best = 0;
  int best_score = INT32_MAX;
  for (std::size_t i = 0; i + 3 <= literal.size(); ++i) {
    const int score = commonness(literal[i]) * commonness(literal[i + 1]) * commonness(literal[i + 2]);
    if (score < best_score) {
      best_score = score;
      best = i;
    }
  }
  return best;
}

struct Traits {
  bool has_at = false;
  std::uint32_t digits = 0;  // at least as many as there are: ':' to '?' count too
};

Traits traits_of(std::string_view text) {
  Traits traits;
  std::uint64_t at_seen = 0;
  std::uint64_t digits = 0;
  std::size_t i = 0;
  const auto look = [&](std::uint64_t word) {
    const std::uint64_t at = word ^ (kOnes * '@');
    at_seen |= (at - kOnes) & ~at & kHighs;
    const std::uint64_t high = (word & (kOnes * 0xF0)) ^ (kOnes * 0x30);  // 0 in each byte from '0' to '?'
    const std::uint64_t zero = ~(((high & ~kHighs) + ~kHighs) | high | ~kHighs);
    digits += ((zero >> 7) * kOnes) >> 56;
  };
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    look(word);
  }
  if (i < text.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, text.size() - i);
    look(word);
  }
  traits.has_at = at_seen != 0;
  traits.digits = static_cast<std::uint32_t>(std::min<std::uint64_t>(digits, UINT32_MAX));
  return traits;
}

// Digits of the longest run in which single separators may stand between digits.
std::uint32_t longest_digit_run(std::string_view text) {
  std::uint32_t longest = 0, run = 0;
  bool parted = false;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      longest = std::max(longest, ++run);
      parted = false;
    } else if (!parted && (c == ' ' || c == '-' || c == '.')) {
      parted = true;
    } else {
      run = 0;
      parted = false;
    }
  }
  return longest;
}

}  // namespace

void Gate::add(std::size_t rule, const std::vector<std::string>& literals, bool needs_at, std::uint32_t digit_run) {
  for (const std::string& literal : literals) {
    std::string folded = literal;
    std::transform(folded.begin(), folded.end(), folded.begin(), fold);
    const auto known =
        std::find_if(literals_.begin(), literals_.end(), [&](const Literal& other) { return other.text == folded; });
    if (known != literals_.end()) {
      known->rules.add(rule);
      continue;
    }
    Literal entry;
    entry.anchor = static_cast<std::uint32_t>(anchor_of(folded));
    entry.hash = hash3<kHashBits>(load3(folded.data() + entry.anchor));
    entry.text = std::move(folded);
    entry.rules.add(rule);
    anchors_[entry.hash / 64] |= std::uint64_t{1} << (entry.hash % 64);
    const auto place = std::upper_bound(literals_.begin(), literals_.end(), entry,
                                        [](const Literal& a, const Literal& b) { return a.hash < b.hash; });
    literals_.insert(place, std::move(entry));
  }
  if (literals.empty()) without_literals_.add(rule);
  if (needs_at) with_at_.add(rule);
  if (digit_run > 0) {
    const auto known = std::find_if(digit_rules_.begin(), digit_rules_.end(),
                                    [&](const DigitRule& other) { return other.digits == digit_run; });
    DigitRule& digit_rule = known != digit_rules_.end() ? *known : digit_rules_.emplace_back(DigitRule{digit_run, {}});
    digit_rule.rules.add(rule);
    digits_min_ = std::min(digits_min_, digit_run);
  }
}

RuleNumbers Gate::scan(std::string_view text) const {
  RuleNumbers found = without_literals_;
  if (text.size() >= 3) {
    const std::size_t last = text.size() - 3;
    for (std::size_t i = 0; i < last; ++i) {
      std::uint32_t word;
      std::memcpy(&word, text.data() + i, 4);
      const std::uint32_t hash = hash3<kHashBits>(word);
      if (anchors_[hash / 64] >> (hash % 64) & 1) [[unlikely]]
        match_at(text, i, hash, found);
    }
    const std::uint32_t hash = hash3<kHashBits>(load3(text.data() + last));
    if (anchors_[hash / 64] >> (hash % 64) & 1) [[unlikely]]
      match_at(text, last, hash, found);
  }
  const Traits traits = traits_of(text);
  if (!traits.has_at) found.remove_all(with_at_);
  // The exact run is counted only where there are digits enough.
  const std::uint32_t digits = traits.digits >= digits_min_ ? longest_digit_run(text) : traits.digits;
  for (const DigitRule& digit_rule : digit_rules_) {
    if (digits < digit_rule.digits) found.remove_all(digit_rule.rules);
  }
  return found;
}

void Gate::match_at(std::string_view text, std::size_t position, std::uint32_t hash, RuleNumbers& found) const {
  auto literal = std::lower_bound(literals_.begin(), literals_.end(), hash,
                                  [](const Literal& entry, std::uint32_t value) { return entry.hash < value; });
  for (; literal != literals_.end() && literal->hash == hash; ++literal) {
    if (literal->anchor > position) continue;
    const std::size_t begin = position - literal->anchor;
    if (literal->text.size() > text.size() - begin) continue;
    const bool equal = std::equal(literal->text.begin(), literal->text.end(), text.begin() + static_cast<long>(begin),
                                  [](char want, char have) { return want == fold(have); });
    if (equal) found.add_all(literal->rules);
  }
}

}  // namespace runtail
