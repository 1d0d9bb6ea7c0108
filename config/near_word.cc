#include "config/near_word.h"

#include <algorithm>
#include <cstddef>

namespace runtail {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows of the usual table: two[j], previous[j] and current[j] belong to prefixes of `a` of length i-2, i-1 and i.
  std::vector<std::size_t> two(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) current[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    two.swap(previous);
    previous.swap(current);
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], two[j - 2] + 1);
      }
    }
  }
  return current[b.size()];
}

}  // namespace

std::string near_word(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kWordMax = 100, kBeginningMin = 3;
  if (word.size() > kWordMax) return "";
  std::string nearest;
  std::size_t best = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best && distance < candidate.size()) {
      best = distance;
      nearest = candidate;
    }
  }
  if (!nearest.empty() || word.size() < kBeginningMin) return nearest;
  for (const std::string& candidate : candidates) {
    if (candidate.size() < kBeginningMin) continue;
    if (candidate.starts_with(word) || word.starts_with(candidate)) return candidate;
  }
  return "";
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string nearest = near_word(word, candidates);
  return nearest.empty() ? "" : " (did you mean \"" + nearest + "\"?)";
}

std::string check_one_of(std::string_view text, const std::vector<std::string>& words) {
  if (std::find(words.begin(), words.end(), text) != words.end()) return "";
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return "must be one of " + list + did_you_mean(text, words);
}

}  // namespace runtail
