#include "redaction/key_rules.h"

#include <algorithm>
#include <array>
#include <optional>

#include "redaction/decoded_view.h"
#include "redaction/gate.h"
#include "redaction/letters.h"
#include "redaction/marker.h"

namespace runtail {
namespace {

constexpr std::size_t kSeamlessBytesMin = 6;
// Numbers below this many digits under a person's key are counts and rates ("phone: 12"), not values.
constexpr std::uint32_t kPersonDigitsMin = 5;

// "dbPassword", "DB_PASSWORD", "db.password" -> db, password. "HTTPToken2" -> http, token, 2.
std::vector<std::string> words_of(std::string_view key) {
  std::vector<std::string> words;
  bool begin = true;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char c = key[i];
    if (!is_alnum(c) && static_cast<unsigned char>(c) < 0x80) {
      begin = true;
      continue;
    }
    if (i > 0 && !begin) {
      const char before = key[i - 1];
      const bool hump = is_upper(c) && (is_lower(before) || is_digit(before) ||
                                        (is_upper(before) && i + 1 < key.size() && is_lower(key[i + 1])));
      begin = hump || is_digit(c) != is_digit(before);
    }
    if (begin) words.emplace_back();
    begin = false;
    words.back() += to_lower(c);
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += word;
  return out;
}

constexpr std::size_t kKnownKeysMax = 4096;
constexpr std::size_t kKeyBytesMax = 128;

std::uint32_t ending_of(std::string_view text) {
  std::uint32_t ending = 0;
  for (const char c : text.substr(text.size() > 4 ? text.size() - 4 : 0))
    ending = ending << 8 | static_cast<unsigned char>(c);
  return ending;
}

// The word of a name to look for in texts: the longest that is not all over a log.
const std::string& telling_word(const std::vector<std::string>& words) {
  static constexpr std::array<std::string_view, 22> kCommon = {
      "data",   "connection", "table", "row",  "rows", "record",  "name", "number", "date",    "code",   "account",
      "string", "address",    "value", "file", "key",  "service", "user", "server", "payload", "source", "sample"};
  const auto weight = [](const std::string& word) {
    const bool is_common = std::find(kCommon.begin(), kCommon.end(), word) != kCommon.end();
    return word.size() < Gate::kLiteralBytesMin ? 0 : is_common ? 1 : word.size();
  };
  return *std::max_element(words.begin(), words.end(),
                           [&](const std::string& a, const std::string& b) { return weight(a) < weight(b); });
}

bool is_same(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

template <std::size_t kSize>
bool is_one_of(std::string_view key, const std::array<std::string_view, kSize>& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return is_same(key, word); });
}

constexpr std::array<std::string_view, 8> kNamingWords = {"name",  "key",       "k",        "header",
                                                          "field", "attribute", "variable", "parameter"};
constexpr std::array<std::string_view, 6> kHoldingWords = {"value", "val", "v", "content", "data", "values"};

// What stands in `key` before its last word if that is one of `words`: "Parameter" of ParameterKey, "" of key.
template <std::size_t kSize>
std::optional<std::string_view> before_word(std::string_view key, const std::array<std::string_view, kSize>& words) {
  for (const std::string_view word : words) {
    if (key.size() < word.size() || !is_same(key.substr(key.size() - word.size()), word)) continue;
    const std::string_view before = key.substr(0, key.size() - word.size());
    if (before.empty()) return before;
    const bool is_seam = !is_alnum(before.back()) || (is_lower(before.back()) && is_upper(key[before.size()]));
    if (is_seam) return before;
  }
  return std::nullopt;
}

}  // namespace

Result<void> KeyRules::add(const RuleFile& file, Kinds& kinds) {
  for (const KeyRuleSpec& spec : file.keys) {
    const auto fault = [&](const std::string& message) {
      return Error{ErrorCode::kInvalidInput, spec.place + ": key rule " + spec.id + ": " + message};
    };
    const Result<std::uint8_t> kind = kinds.add(spec.kind, spec.priority);
    if (!kind) return fault(kind.error().message);
    KeyRule rule;
    rule.kind = *kind;
    rule.priority = spec.priority;
    rule.number = kinds.add_rule("key:" + spec.id, spec.validator);
    rule.phrase = spec.phrase;
    rule.text = spec.text;
    rule.containers = spec.containers;
    rule.scalars = spec.scalars;
    rule.digits_min = spec.digits_min.value_or(spec.priority == RulePriority::kPii ? kPersonDigitsMin : 0);
    rule.needs = spec.needs;
    if (spec.validator != "value") {
      rule.validator = find_validator(spec.validator);
      if (!rule.validator) return fault("unknown validator \"" + spec.validator + "\"");
    }
    for (const auto* names : {&spec.names, &spec.exact}) {
      for (const std::string& name : *names) {
        std::vector<std::string> words = words_of(name);
        // In text a key is known by a literal.
        if (words.empty() || (spec.text && telling_word(words).size() < Gate::kLiteralBytesMin)) {
          return fault("name \"" + name + "\" has no word of 3 letters");
        }
        names_.push_back({words, joined(words), rules_.size(), names == &spec.exact});
      }
    }
    rules_.push_back(std::move(rule));
  }
  // A rule for some lines only comes after those for all.
  std::stable_partition(names_.begin(), names_.end(),
                        [&](const Name& name) { return rules_[name.rule].needs.empty(); });
  by_first_word_.clear();
  by_ending_.clear();
  for (std::uint32_t i = 0; i < names_.size(); ++i) {
    by_first_word_[names_[i].words.front()].push_back(i);
    if (names_[i].joined.size() >= kSeamlessBytesMin || names_[i].words.size() > 1) {
      by_ending_[ending_of(names_[i].joined)].push_back(i);
    }
  }
  exceptions_.insert(exceptions_.end(), file.key_exceptions.begin(), file.key_exceptions.end());
  return {};
}

const KeyRule* KeyRules::find(std::string_view key) const {
  if (const KeyRule* rule = find_plain(key)) return rule;
  // Written with escapes, or in letters that only look like ASCII: what is read in a text is read in a key.
  DecodedView view;
  return decode_layer(key, view) ? find_plain(view.text) : nullptr;
}

const KeyRule* KeyRules::find_plain(std::string_view key) const {
  std::string plain;
  if (key.find(kMarkerHead) != std::string_view::npos) key = plain = without_markers(key);
  if (key.size() > kKeyBytesMax) key.remove_prefix(key.size() - kKeyBytesMax);
  const std::vector<std::string> words = words_of(key);
  if (words.empty()) return nullptr;
  const bool is_exception = std::find(exceptions_.begin(), exceptions_.end(), words.back()) != exceptions_.end();
  const std::string whole = joined(words);
  std::uint32_t best = UINT32_MAX;
  for (std::size_t first = 0; first < words.size(); ++first) {
    const auto found = by_first_word_.find(words[first]);
    if (found == by_first_word_.end()) continue;
    for (const std::uint32_t number : found->second) {
      const Name& name = names_[number];
      const std::size_t end = first + name.words.size();
      if (number >= best || end > words.size()) continue;
      if (name.exact && name.words.size() != words.size()) continue;
      if (is_exception && end < words.size()) continue;
      if (std::equal(name.words.begin(), name.words.end(), words.begin() + static_cast<long>(first))) best = number;
    }
  }
  if (const auto found = by_ending_.find(ending_of(whole)); found != by_ending_.end()) {
    for (const std::uint32_t number : found->second) {
      const Name& name = names_[number];
      const bool is_whole = whole.size() == name.joined.size();
      const bool may_end = !name.exact && name.joined.size() >= kSeamlessBytesMin;
      if (number < best && (is_whole || may_end) && whole.ends_with(name.joined)) best = number;
    }
  }
  return best == UINT32_MAX ? nullptr : &rules_[names_[best].rule];
}

std::vector<std::string> KeyRules::literals() const {
  std::vector<std::string> out;
  for (const Name& name : names_) {
    if (const std::string& word = telling_word(name.words); word.size() >= Gate::kLiteralBytesMin) out.push_back(word);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

bool KeyRules::may_end_name(std::string_view key) const {
  const std::vector<std::string> words = words_of(key);
  return !words.empty() && std::any_of(names_.begin(), names_.end(), [&](const Name& name) {
    return name.words.size() > 1 && name.words.back() == words.back();
  });
}

const KnownKeys::Known& KnownKeys::look(std::string_view key) {
  const auto known = known_.find(key);
  if (known != known_.end()) return known->second;
  if (known_.size() >= kKnownKeysMax) known_.clear();
  return known_.emplace(key, Known{rules_->find(key), rules_->may_end_name(key)}).first->second;
}

bool is_header_name(std::string_view key) {
  static constexpr std::array<std::string_view, 5> kNames = {"authorization", "cookie", "set-cookie",
                                                             "proxy-authorization", "www-authenticate"};
  return is_one_of(key, kNames) || (key.size() > 2 && to_lower(key[0]) == 'x' && key[1] == '-');
}

bool is_naming_key(std::string_view key) { return before_word(key, kNamingWords).has_value(); }

bool is_holding_key(std::string_view naming_key, std::string_view key) {
  const auto naming = before_word(naming_key, kNamingWords), holding = before_word(key, kHoldingWords);
  return naming && holding && is_same(*naming, *holding);
}

bool is_value_key(std::string_view key) { return is_same(key, "value") || is_same(key, "val"); }

}  // namespace runtail
