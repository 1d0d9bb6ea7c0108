#include "redaction/key_rules.h"

#include <algorithm>

namespace runtail {
namespace {

constexpr std::size_t kSeamlessBytesMin = 6;

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "dbPassword", "DB_PASSWORD", "db.password" -> db, password. "HTTPToken2" -> http, token, 2.
std::vector<std::string> words_of(std::string_view key) {
  std::vector<std::string> words;
  bool begin = true;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char c = key[i];
    if (!is_upper(c) && !is_lower(c) && !is_digit(c) && static_cast<unsigned char>(c) < 0x80) {
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
    words.back() += is_upper(c) ? static_cast<char>(c + 32) : c;
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += word;
  return out;
}

}  // namespace

Result<void> KeyRules::add(const RuleFile& file, Kinds& kinds) {
  for (const KeyRuleSpec& spec : file.keys) {
    const Result<std::uint8_t> kind = kinds.add(spec.kind);
    if (!kind) return kind.error();
    for (const std::string& name : spec.names) {
      const std::vector<std::string> words = words_of(name);
      if (words.empty()) return Error{ErrorCode::kInvalidInput, "key rule " + spec.kind + ": a name without a word"};
      names_.push_back({words, joined(words), *kind});
    }
  }
  exceptions_.insert(exceptions_.end(), file.key_exceptions.begin(), file.key_exceptions.end());
  return {};
}

std::optional<std::uint8_t> KeyRules::find(std::string_view key) const {
  const std::vector<std::string> words = words_of(key);
  if (words.empty() || std::find(exceptions_.begin(), exceptions_.end(), words.back()) != exceptions_.end()) {
    return std::nullopt;
  }
  const std::string whole = joined(words);
  for (const Name& name : names_) {
    const bool side_by_side =
        std::search(words.begin(), words.end(), name.words.begin(), name.words.end()) != words.end();
    if (side_by_side || whole == name.joined ||
        (name.joined.size() >= kSeamlessBytesMin && whole.ends_with(name.joined))) {
      return name.kind;
    }
  }
  return std::nullopt;
}

}  // namespace runtail
