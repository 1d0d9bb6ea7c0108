// The cheap look before every expensive one: where do the literals stand that rules and key names are known by?
// The gate looks at every byte once and misses no literal.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runtail {

struct GateHit {
  std::uint32_t literal;
  std::uint32_t begin;
};

// Constant after the last add(): any number of threads may scan().
class Gate {
 public:
  static constexpr std::size_t kLiteralBytesMin = 3;

  // The number of the literal, the same for texts that differ only in case. kLiteralBytesMin bytes or more.
  std::uint32_t add(std::string_view literal);
  std::size_t size() const { return by_number_.size(); }
  std::size_t bytes_of(std::uint32_t literal) const { return by_number_[literal].size(); }

  // Appends every place where a literal stands, ASCII case ignored. Texts beyond 4 GiB are not looked at further.
  void scan(std::string_view text, std::vector<GateHit>& hits) const;

 private:
  // Literals are found by four telling bytes each, the anchor (three, where the literal has no more): the first three
  // are hashed, and the entry of the hash has a bit for each kind of fourth byte that makes an anchor with them: most
  // trigrams of words in a log are told from those of literals by the byte behind them. Positions do not wait for each
  // other as the states of an automaton do.
  static constexpr int kHashBits = 15;
  static constexpr int kBucketBits = 12;
  struct Literal {
    std::uint64_t head;   // the first eight bytes, in lower case
    std::uint64_t mask;   // of those that there are
    std::uint64_t cases;  // the bit that tells upper from lower case, of the letters among them
    std::uint32_t hash;   // of the anchor
    std::uint32_t number;
    std::uint32_t anchor;  // offset of the anchor in the literal
    std::uint32_t size;
  };
  static constexpr std::size_t bucket_of(std::uint32_t hash) { return hash >> (kHashBits - kBucketBits); }

  void match_at(std::string_view text, std::size_t position, std::uint32_t hash, std::vector<GateHit>& hits) const;

  std::array<std::uint8_t, 1u << kHashBits> fourths_{};         // by hash
  std::vector<Literal> literals_;                               // sorted by hash
  std::array<std::uint32_t, (1u << kBucketBits) + 1> first_{};  // by the upper bits of the hash: the first of literals_
  std::vector<std::string> by_number_;                          // in lower case
};

}  // namespace runtail
