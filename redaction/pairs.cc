#include "redaction/pairs.h"

#include <algorithm>
#include <array>
#include <optional>

#include "redaction/letters.h"
#include "redaction/marker.h"
#include "redaction/validators.h"

namespace runtail {
namespace {

constexpr std::size_t kKeyBytesMax = 96;
constexpr std::size_t kGapBytesMax = 16;
// A key of so many bytes may be a secret itself.
constexpr std::size_t kKeySecretBytesMin = 16;
// Of a call that makes a value, beyond its first word.
constexpr std::size_t kCallBytesMax = 64;
// Numbers below this many digits under a person's key are counts and rates ("phone: 12"), not values.
constexpr std::size_t kPersonDigitsMin = 5;

bool is_key_char(char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; }
bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_space(char c) { return is_blank(c) || c == '\n' || c == '\r'; }

// A text with a place in it.
class Cursor {
 public:
  Cursor(std::string_view text, std::size_t at) : text_(text), at_(at) {}
  std::size_t at() const { return at_; }
  bool done() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  void skip(std::size_t bytes) { at_ += bytes; }
  bool take(char c) {
    if (peek() != c || done()) return false;
    ++at_;
    return true;
  }
  void skip_space(bool newlines) {
    for (std::size_t i = 0; i < kGapBytesMax && !done() && (newlines ? is_space(peek()) : is_blank(peek())); ++i) ++at_;
  }
  // Any number of backslashes and a quote; the quote, or 0 and nothing taken.
  char take_quote(std::size_t& backslashes) {
    std::size_t count = 0;
    while (peek(count) == '\\') ++count;
    if (!is_quote(peek(count))) return 0;
    const char quote = peek(count);
    backslashes = count;
    at_ += count + 1;
    return quote;
  }
  bool take_word(std::string_view word) {
    if (text_.size() - std::min(at_, text_.size()) < word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (to_lower(text_[at_ + i]) != word[i]) return false;
    }
    at_ += word.size();
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_;
};

// The quote that ends what began after `backslashes` of them and `quote`; text.size() if it is cut off. An apostrophe
// between two letters ('Daniel O'Donnell') ends it only if no other quote does soon.
std::size_t closing_quote(std::string_view text, std::size_t from, char quote, std::size_t backslashes) {
  constexpr std::size_t kNameBytesMax = 96;
  std::size_t apostrophe = std::string_view::npos;
  for (std::size_t at = from; (at = text.find(quote, at)) != std::string_view::npos; ++at) {
    if (apostrophe != std::string_view::npos && at - apostrophe > kNameBytesMax) return apostrophe;
    std::size_t before = 0;
    while (at > from + before && text[at - 1 - before] == '\\') ++before;
    const bool closes = backslashes == 0 ? before % 2 == 0 : before <= backslashes;
    if (!closes) continue;
    const bool is_doubled = at + 1 < text.size() && text[at + 1] == quote;  // SQL: 'O''Donnell'
    const std::size_t next = at + (is_doubled ? 2 : 1);
    const bool in_word = quote == '\'' && before == 0 && at > from && next < text.size() && is_letter(text[at - 1]) &&
                         is_letter(text[next]);
    if (!in_word) return at - std::min(before, backslashes);
    if (apostrophe == std::string_view::npos) apostrophe = at;
    at = next - 1;
  }
  return std::min(apostrophe, text.size());
}

// After the bracket that closes the one at `from`; text.size() if none does.
std::size_t closing_bracket(std::string_view text, std::size_t from) {
  int depth = 0;
  for (std::size_t at = from; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '{' || c == '[' || c == '(') ++depth;
    if ((c == '}' || c == ']' || c == ')') && --depth == 0) return at + 1;
    if (c == '"') at = std::min(closing_quote(text, at + 1, '"', 0), text.size() - 1);
  }
  return text.size();
}

// A bare value: to the next space, quote or separator; brackets it does not open itself are not its own.
std::size_t bare_end(std::string_view text, std::size_t from) {
  std::size_t end = from;
  int open = 0;
  for (; end < text.size(); ++end) {
    const char c = text[end];
    if (is_space(c) || c == '"' || c == ';' || c == '&' || c == ',' || c == '<' || c == '|') break;
    if (c == '(' || c == '[' || c == '{') ++open;
    if ((c == ')' || c == ']' || c == '}') && --open < 0) {
      // A closing bracket in mid-word belongs to the value all the same.
      if (end + 1 >= text.size() || !is_alnum(text[end + 1])) break;
      open = 0;
    }
  }
  if (text.substr(from, end - from).starts_with(kMarkerHead)) {
    if (const std::size_t size = marker_size(text, from)) return from + size;
  }
  while (end > from && (text[end - 1] == '\'' || text[end - 1] == '\\' || text[end - 1] == '`')) --end;
  return end;
}

// Before a value of YAML: its type ("!!str"), or that it stands on the next line (">-", "|").
void skip_yaml(Cursor& cursor) {
  Cursor after = cursor;
  if (after.take('!') && after.take('!')) {
    while (is_letter(after.peek())) after.skip(1);
    if (!is_blank(after.peek())) return;
    after.skip_space(false);
    cursor = after;
    return;
  }
  if (!after.take('>') && !after.take('|')) return;
  if (after.peek() == '-' || after.peek() == '+') after.skip(1);
  after.skip_space(false);
  if (after.peek() != '\n') return;
  after.skip_space(true);
  cursor = after;
}

// A name or an address goes on as long as its words begin with a capital or a digit.
std::size_t phrase_end(std::string_view text, std::size_t end) {
  for (int words = 0; words < 9; ++words) {
    std::size_t next = end;
    while (next < text.size() && (text[next] == ',' || text[next] == '.')) ++next;
    if (next >= text.size() || text[next] != ' ') return end;
    ++next;
    if (next >= text.size() || !(is_upper(text[next]) || is_digit(text[next]) || text[next] == '#' ||
                                 static_cast<unsigned char>(text[next]) >= 0x80)) {
      return end;
    }
    std::size_t after = next;
    while (after < text.size() && !is_space(text[after]) && text[after] != ',' && text[after] != ';' &&
           text[after] != '"' && text[after] != '|' && text[after] != '<' && text[after] != '}' && text[after] != ')' &&
           text[after] != ']') {
      // The next key ends it.
      if (text[after] == '=' || text[after] == ':') return end;
      ++after;
    }
    if (after == next) return end;
    end = after;
  }
  return end;
}

bool is_scheme(std::string_view word) {
  static constexpr std::array<std::string_view, 5> kSchemes = {"bearer", "basic", "token", "apikey", "digest"};
  return std::any_of(kSchemes.begin(), kSchemes.end(), [&](std::string_view scheme) {
    return word.size() == scheme.size() &&
           std::equal(word.begin(), word.end(), scheme.begin(), [](char a, char b) { return to_lower(a) == b; });
  });
}

bool is_small_number(std::string_view text) {
  std::size_t digits = 0;
  for (const char c : text) {
    if (!is_digit(c) && c != '.' && c != '-' && c != '%') return false;
    digits += is_digit(c);
    if (c == '.') return text.find('.') == text.rfind('.') && text.find('-', 1) == std::string_view::npos;
  }
  return digits < kPersonDigitsMin;
}

// The name of the object that the member at `at` is in, "" if it is not near.
std::string_view enclosing_key(std::string_view text, std::size_t at) {
  constexpr std::size_t kReach = 256;
  int depth = 1;
  std::size_t i = at;
  for (const std::size_t stop = at > kReach ? at - kReach : 0; depth > 0; --i) {
    if (i == stop) return {};
    depth += text[i - 1] == '}' ? 1 : text[i - 1] == '{' ? -1 : 0;
  }
  const auto skip = [&](std::string_view bytes) {
    while (i > 0 && bytes.find(text[i - 1]) != std::string_view::npos) --i;
  };
  skip(" [");
  if (i == 0 || text[i - 1] != ':') return {};
  --i;
  skip(" \"'\\");
  const std::size_t end = i;
  while (i > 0 && end - i < kKeyBytesMax && is_key_char(text[i - 1])) --i;
  return text.substr(i, end - i);
}

// What lies between a key and its value.
enum class Joint { kNone, kSign, kSpaced, kMarkup, kList };

}  // namespace

// Is what the rule asks for beside the key there? Looked for once in a text.
bool PairScanner::has_needs(std::string_view text, const KeyRule& rule) {
  if (rule.needs.empty()) return true;
  if (needs_ != rule.needs) {
    needs_ = rule.needs;
    has_needs_ = text.find(needs_) != std::string_view::npos;
  }
  return has_needs_;
}

// A key that is itself a secret tells nothing by its letters: what no value rule has taken of it is its name.
void PairScanner::cut_at_spans(Key& key, const std::vector<Span>& spans, std::size_t first, WorkBudget& budget) {
  budget.spend((spans.size() - first) / 8);
  for (std::size_t i = first; i < spans.size() && key.begin < key.end; ++i) {
    const Span& span = spans[i];
    if (span.end <= key.begin || span.begin >= key.end) continue;
    if (span.begin > key.begin) {
      key.end = span.begin;
    } else {
      key.begin = std::min(span.end, key.end);
    }
  }
}

const KeyRule* PairScanner::rule_of(std::string_view text, const Key& key) {
  const std::string_view name = text.substr(key.begin, key.end - key.begin);
  if (const KeyRule* rule = known_.find(name); rule && has_needs(text, *rule)) return rule;
  if (key.option || !known_.may_end_name(name)) return nullptr;
  if (key.quoted) {
    // {"patient": {"id": 7, "name": ...
    const std::string_view object = enclosing_key(text, key.begin);
    if (object.empty()) return nullptr;
    path_.assign(object).append(".").append(name);
    return known_.find(path_);
  }
  // "Date of Birth: ..." has up to three words before the one that was found.
  std::size_t begin = key.begin;
  for (int words = 0; words < 3 && begin > 1 && text[begin - 1] == ' ' && is_letter(text[begin - 2]); ++words) {
    --begin;
    while (begin > 0 && key.begin - begin < kKeyBytesMax && is_key_char(text[begin - 1])) --begin;
  }
  return begin == key.begin ? nullptr : known_.find(text.substr(begin, key.end - begin));
}

void PairScanner::find(std::string_view text, const std::vector<Window>& hits, std::size_t own_from, WorkBudget& budget,
                       std::vector<Span>& spans) {
  std::size_t done_to = 0;
  needs_ = {};
  for (const Window& hit : hits) {
    if (hit.begin < done_to) continue;
    if (!budget.spend(32)) return;
    Key key{hit.begin, hit.end, false, false};
    while (key.begin > 0 && hit.begin - key.begin < kKeyBytesMax && is_key_char(text[key.begin - 1])) --key.begin;
    while (key.end < text.size() && key.end - hit.end < kKeyBytesMax && is_key_char(text[key.end])) ++key.end;
    done_to = key.end;
    while (key.end > hit.end && (text[key.end - 1] == '.' || text[key.end - 1] == '-')) --key.end;
    while (text[key.begin] == '-' || text[key.begin] == '.') {
      key.option = text[key.begin] == '-';
      ++key.begin;
    }

    Cursor cursor(text, key.end);
    std::size_t backslashes = 0;
    const std::size_t before = key.begin - (key.option ? 1 : 0);
    key.quoted = cursor.take_quote(backslashes) != 0;
    if (key.quoted) cursor.take(']');
    cursor.skip_space(key.quoted);

    Joint joint = Joint::kNone;
    const char sign = cursor.done() ? '\0' : cursor.peek();
    const bool is_tag = before > 0 && (text[before - 1] == '<' ||
                                       (text[before - 1] == ':' && before > 1 && is_alnum(text[before - 2])));
    const bool is_ldif = sign == ':' && cursor.peek(1) == ':' && cursor.peek(2) == ' ';
    if (is_ldif) {
      cursor.skip(2);
      joint = Joint::kSign;
    } else if (sign == ':' && cursor.peek(1) != ':' && !(cursor.peek(1) == '/' && cursor.peek(2) == '/')) {
      cursor.skip(cursor.peek(1) == '=' ? 2 : 1);
      joint = Joint::kSign;
    } else if (sign == '=') {
      cursor.skip(cursor.peek(1) == '=' || cursor.peek(1) == '>' ? 2 : 1);
      joint = Joint::kSign;
    } else if (sign == '>' && (is_tag || key.quoted)) {
      cursor.skip(1);
      joint = Joint::kMarkup;
    } else if (is_tag && cursor.at() > key.end && !key.quoted) {
      const std::size_t end = text.substr(0, cursor.at() + 200).find('>', cursor.at());
      // Anything in angle brackets is not a tag: this one has to be closed.
      const std::size_t close = end == std::string_view::npos ? end : text.find('<', end);
      if (close < text.size() - 1 && text[close + 1] == '/' && text[end - 1] != '/') {
        cursor.skip(end + 1 - cursor.at());
        joint = Joint::kMarkup;
      }
    }
    if (joint == Joint::kNone && sign == '(' && is_quote(cursor.peek(1))) {
      cursor.skip(1);
      joint = Joint::kList;
    }
    const std::string_view name = text.substr(key.begin, key.end - key.begin);
    if (joint == Joint::kNone && sign == ',' && (key.quoted || key.option)) {
      Cursor after = cursor;
      after.skip(1);
      after.skip_space(true);
      std::size_t ignored = 0;
      Cursor quote = after;
      const std::size_t opening = before > backslashes ? before - backslashes - 1 : 0;
      const bool in_call = opening > 0 && text[opening - 1] == '(';
      if (quote.take_quote(ignored) != 0 && (key.option || in_call || is_header_name(name))) {
        cursor = after;
        joint = Joint::kList;
      }
    }
    if (joint == Joint::kNone && key.option && cursor.at() > key.end && !cursor.done() && cursor.peek() != '-') {
      joint = Joint::kSpaced;
    }
    if (joint == Joint::kNone) {  // name: DB_PASSWORD, value: x
      Cursor after = cursor;
      if (after.take(',')) after.skip_space(true);
      after.skip_space(true);
      std::size_t ignored = 0;
      after.take_quote(ignored);
      if (after.take_word("value") || after.take_word("val")) {
        after.take_quote(ignored);
        after.skip_space(false);
        if (after.take(':') || after.take('=')) {
          cursor = after;
          joint = Joint::kList;
        }
      }
    }
    if (joint == Joint::kNone) continue;

    const std::size_t key_bytes = key.end - key.begin;
    if (key_bytes >= kKeySecretBytesMin) cut_at_spans(key, spans, own_from, budget);
    const KeyRule* rule = key.begin < key.end ? rule_of(text, key) : nullptr;
    if (!rule || (!rule->text && !key.quoted && joint != Joint::kList && joint != Joint::kMarkup)) continue;

    Value value;
    if (joint != Joint::kMarkup) cursor.skip_space(key.quoted || joint == Joint::kList);
    if (joint != Joint::kMarkup && is_letter(cursor.peek()) && is_quote(cursor.peek(1)) &&
        std::string_view("bBuUrRfF").find(cursor.peek()) != std::string_view::npos) {
      cursor.skip(1);
    }
    if (joint == Joint::kSign && !key.quoted) skip_yaml(cursor);
    value.begin = cursor.at();
    if (value.begin >= text.size()) continue;
    const char first = text[value.begin];
    if (joint == Joint::kMarkup) {
      value.end = std::min(text.find('<', value.begin), text.size());
    } else if (const char quote = cursor.take_quote(backslashes)) {
      value = {cursor.at(), closing_quote(text, cursor.at(), quote, backslashes), true};
    } else if (first == '{' || first == '[' || first == '(') {
      if (marker_size(text, value.begin) != 0) continue;
      value.end = closing_bracket(text, value.begin);
      value.quoted = true;  // whole, whatever is in it
    } else if (rule->containers) {
      continue;
    } else {
      value.end = bare_end(text, value.begin);
      const std::string_view bare = text.substr(value.begin, value.end - value.begin);
      const bool in_url = before > 1 && text.substr(before - 2, 2) == "//";
      if (const std::size_t at = bare.find('@'); in_url && at != std::string_view::npos) value.end = value.begin + at;
      // datetime.date(1971, 2, 3)
      const std::size_t call = bare.find('(');
      if (call != std::string_view::npos && call > 0 && is_key_char(bare[call - 1])) {
        value.end = std::max(value.end, closing_bracket(text.substr(0, value.end + kCallBytesMax), value.begin + call));
      }
      if (is_scheme(text.substr(value.begin, value.end - value.begin)) && value.end < text.size() &&
          text[value.end] == ' ') {
        value.begin = value.end + 1;
        value.end = bare_end(text, value.begin);
      }
      if (rule->phrase) value.end = phrase_end(text, value.end);
    }
    budget.spend(value.end - value.begin);
    done_to = std::max(done_to, value.end);
    if (value.end <= value.begin) continue;
    const std::string_view held = text.substr(value.begin, value.end - value.begin);
    if (rule->containers && !(first == '{' || first == '[' || first == '(')) continue;
    if (!is_value(text, value.begin, value.end)) continue;
    if (rule->priority == RulePriority::kPii && !rule->validator && !value.quoted && is_small_number(held)) continue;
    if (rule->validator && !rule->validator(text, value.begin, value.end)) continue;
    Span span;
    span.begin = value.begin;
    span.end = value.end;
    span.kind = rule->kind;
    span.priority = rule->priority;
    span.rule = rule->number;
    if (fit_to_markers(text, span)) spans.push_back(span);
  }
}

}  // namespace runtail
