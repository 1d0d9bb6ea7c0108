#include "redaction/gate.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace runtail {
namespace {

static_assert(std::endian::native == std::endian::little, "anchors are read from memory as little-endian words");

// In the hash upper and lower case fall together; so do a few pairs like @ and `, which only costs a look in vain.
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_lower_letter(char c) { return c >= 'a' && c <= 'z'; }

constexpr std::uint32_t fold4(std::uint32_t word) { return word | 0x20202020u; }

// Of the low three bytes of `folded`.
template <int kBits>
std::uint32_t hash3(std::uint32_t folded) {
  return (folded << 8) * 0x9E3779B1u >> (32 - kBits);
}

// The kind of its fourth byte, of eight.
std::uint32_t fourth(std::uint32_t folded) { return folded >> 24 & 7; }

std::uint32_t load3(const char* at) {
  std::uint32_t word = 0;
  std::memcpy(&word, at, 3);
  return word;
}

// How common four bytes are in log text, roughly: anchors are rare ones.
std::uint64_t commonness(std::string_view bytes) {
  static constexpr std::string_view kByFrequency = "etaoinsrhldcumfpgwybvkxjqz";
  static constexpr std::string_view kPairs =
      "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro "
      "ic "
      "ne ea ra ce li ch ll be ma si om ur pa pr ta el ";
  std::uint64_t score = 1;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t rank = kByFrequency.find(bytes[i]);
    score *= rank != std::string_view::npos ? 27 - rank : bytes[i] == ' ' ? 27 : 4;
    if (i + 1 == bytes.size()) break;
    const bool at_word_end = bytes[i] == ' ' || bytes[i + 1] == ' ';
    if (at_word_end) {
      score *= 2;
    } else if (kPairs.find(bytes.substr(i, 2)) != std::string_view::npos) {
      score *= 4;
    }
  }
  return score;
}

std::size_t anchor_of(std::string_view literal) {
  std::size_t best = 0;
  std::uint64_t best_score = UINT64_MAX;
  for (std::size_t i = 0; i + 4 <= literal.size(); ++i) {
    const std::uint64_t score = commonness(literal.substr(i, 4));
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
  entry.size = static_cast<std::uint32_t>(folded.size());
  entry.number = static_cast<std::uint32_t>(by_number_.size() - 1);
  entry.anchor = static_cast<std::uint32_t>(anchor_of(folded));
  std::uint32_t anchor = 0;
  std::memcpy(&anchor, folded.data() + entry.anchor, std::min<std::size_t>(folded.size(), 4));
  anchor = fold4(anchor);
  entry.hash = hash3<kHashBits>(anchor);
  fourths_[entry.hash] |= static_cast<std::uint8_t>(folded.size() < 4 ? 0xFF : 1u << fourth(anchor));
  const std::size_t head_size = std::min<std::size_t>(folded.size(), 8);
  entry.mask = head_size == 8 ? ~0ull : (1ull << (8 * head_size)) - 1;
  entry.head = 0;
  std::memcpy(&entry.head, folded.data(), head_size);
  entry.cases = 0;
  for (std::size_t i = 0; i < head_size; ++i) {
    if (is_lower_letter(folded[i])) entry.cases |= 0x20ull << (8 * i);
  }
  const auto place = std::upper_bound(literals_.begin(), literals_.end(), entry,
                                      [](const Literal& a, const Literal& b) { return a.hash < b.hash; });
  literals_.insert(place, entry);
  for (std::size_t above = bucket_of(entry.hash) + 1; above < first_.size(); ++above) ++first_[above];
  return static_cast<std::uint32_t>(by_number_.size() - 1);
}

void Gate::scan(std::string_view text, std::vector<GateHit>& hits) const {
  text = text.substr(0, UINT32_MAX);
  if (text.size() < 3) return;
  const std::size_t last = text.size() - 3;
  for (std::size_t i = 0; i < last; ++i) {
    std::uint32_t word;
    std::memcpy(&word, text.data() + i, 4);
    word = fold4(word);
    const std::uint32_t hash = hash3<kHashBits>(word);
    if (fourths_[hash] >> fourth(word) & 1) [[unlikely]]
      match_at(text, i, hash, hits);
  }
  const std::uint32_t hash = hash3<kHashBits>(fold4(load3(text.data() + last)));
  if (fourths_[hash] != 0) match_at(text, last, hash, hits);
}

void Gate::match_at(std::string_view text, std::size_t position, std::uint32_t hash, std::vector<GateHit>& hits) const {
  const Literal* literal = literals_.data() + first_[bucket_of(hash)];
  const Literal* const end = literals_.data() + first_[bucket_of(hash) + 1];
  for (; literal != end; ++literal) {
    if (literal->hash != hash || literal->anchor > position) continue;
    const std::size_t begin = position - literal->anchor;
    if (literal->size > text.size() - begin) continue;
    std::uint64_t word = 0;
    if (begin + 8 <= text.size()) {
      std::memcpy(&word, text.data() + begin, 8);
    } else {
      std::memcpy(&word, text.data() + begin, literal->size);
    }
    if (((word | literal->cases) & literal->mask) != literal->head) continue;
    if (literal->size > 8) {
      const std::string_view rest = std::string_view(by_number_[literal->number]).substr(8);
      if (!std::equal(rest.begin(), rest.end(), text.begin() + static_cast<long>(begin + 8),
                      [](char want, char have) { return want == lower(have); })) {
        continue;
      }
    }
    hits.push_back({literal->number, static_cast<std::uint32_t>(begin)});
  }
}

}  // namespace runtail
