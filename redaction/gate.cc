#include "redaction/gate.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace runtail {
namespace {

static_assert(std::endian::native == std::endian::little, "anchors are read from memory as little-endian words");

// In the hash upper and lower case fall together; so do a few pairs like @ and `, which only costs a look in vain.
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr std::uint64_t kCaseBits = 0x2020202020202020ull;

// Of the low three bytes of `word`.
template <int kBits>
std::uint32_t hash3(std::uint32_t word) {
  return ((word | 0x20202020u) << 8) * 0x9E3779B1u >> (32 - kBits);
}

template <int kBits>
std::uint32_t hash4(std::uint32_t word) {
  return (word | 0x20202020u) * 0x9E3779B1u >> (32 - kBits);
}

template <typename Map>
bool has(const Map& map, std::uint32_t bit) {
  return map[bit / 64] >> (bit % 64) & 1;
}

template <typename Map>
void put(Map& map, std::uint32_t bit) {
  map[bit / 64] |= std::uint64_t{1} << (bit % 64);
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

}  // namespace

std::uint32_t Gate::add(std::string_view literal) {
  std::string folded(literal);
  std::transform(folded.begin(), folded.end(), folded.begin(), lower);
  const auto known = std::find(by_number_.begin(), by_number_.end(), folded);
  if (known != by_number_.end()) return static_cast<std::uint32_t>(known - by_number_.begin());
  by_number_.push_back(folded);
  Literal entry;
  entry.anchor = static_cast<std::uint32_t>(anchor_of(folded));
  entry.hash = hash3<kHashBits>(load3(folded.data() + entry.anchor));
  entry.number = static_cast<std::uint32_t>(by_number_.size() - 1);
  const std::size_t head_size = std::min<std::size_t>(folded.size(), 8);
  entry.mask = head_size == 8 ? ~0ull : (1ull << (8 * head_size)) - 1;
  entry.head = 0;
  std::memcpy(&entry.head, folded.data(), head_size);
  entry.head = (entry.head | kCaseBits) & entry.mask;
  entry.text = std::move(folded);
  put(anchors_, entry.hash);
  if (entry.anchor + 4 <= entry.text.size()) {
    std::uint32_t word;
    std::memcpy(&word, entry.text.data() + entry.anchor, 4);
    put(wide_anchors_, hash4<kWideHashBits>(word));
  } else {
    put(short_anchors_, entry.hash);
  }
  const auto place = std::upper_bound(literals_.begin(), literals_.end(), entry,
                                      [](const Literal& a, const Literal& b) { return a.hash < b.hash; });
  literals_.insert(place, std::move(entry));
  first_.assign(1u << kHashBits, 0);
  for (std::size_t i = literals_.size(); i-- > 0;) first_[literals_[i].hash] = static_cast<std::uint16_t>(i);
  return static_cast<std::uint32_t>(by_number_.size() - 1);
}

void Gate::scan(std::string_view text, std::vector<GateHit>& hits) const {
  text = text.substr(0, UINT32_MAX);
  if (text.size() < 3) return;
  const std::size_t last = text.size() - 3;
  for (std::size_t i = 0; i < last; ++i) {
    std::uint32_t word;
    std::memcpy(&word, text.data() + i, 4);
    const std::uint32_t hash = hash3<kHashBits>(word);
    if (!has(anchors_, hash)) [[likely]]
      continue;
    if (has(wide_anchors_, hash4<kWideHashBits>(word)) || has(short_anchors_, hash)) match_at(text, i, hash, hits);
  }
  const std::uint32_t hash = hash3<kHashBits>(load3(text.data() + last));
  if (has(short_anchors_, hash)) match_at(text, last, hash, hits);
}

void Gate::match_at(std::string_view text, std::size_t position, std::uint32_t hash, std::vector<GateHit>& hits) const {
  auto literal = literals_.begin() + first_[hash];
  for (; literal != literals_.end() && literal->hash == hash; ++literal) {
    if (literal->anchor > position) continue;
    const std::size_t begin = position - literal->anchor;
    if (literal->text.size() > text.size() - begin) continue;
    if (begin + 8 <= text.size()) {
      std::uint64_t word;
      std::memcpy(&word, text.data() + begin, 8);
      if (((word | kCaseBits) & literal->mask) != literal->head) continue;
    }
    const bool equal = std::equal(literal->text.begin(), literal->text.end(), text.begin() + static_cast<long>(begin),
                                  [](char want, char have) { return want == lower(have); });
    if (equal) hits.push_back({literal->number, static_cast<std::uint32_t>(begin)});
  }
}

}  // namespace runtail
