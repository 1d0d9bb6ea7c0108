#include "redaction/pairs.h"

#include <algorithm>
#include <array>
#include <optional>

#include "redaction/letters.h"
#include "redaction/marker.h"
#include "redaction/validators.h"
#include "redaction/value_bounds.h"

namespace runtail {
namespace {

// A key of so many bytes may be a secret itself.
constexpr std::size_t kKeySecretBytesMin = 16;
// Of a call that makes a value, beyond its first word.
constexpr std::size_t kCallBytesMax = 64;
// A value before its name, or beside it in a list of two, is not longer.
constexpr std::size_t kValueBytesMax = 1024;

// Before a value of YAML: its type ("!!str"), or that it stands on the next line (">-", "|").
void skip_yaml(TextCursor& cursor) {
  TextCursor after = cursor;
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

bool is_scheme(std::string_view word) {
  static constexpr std::array<std::string_view, 5> kSchemes = {"bearer", "basic", "token", "apikey", "digest"};
  return std::any_of(kSchemes.begin(), kSchemes.end(), [&](std::string_view scheme) {
    return word.size() == scheme.size() &&
           std::equal(word.begin(), word.end(), scheme.begin(), [](char a, char b) { return to_lower(a) == b; });
  });
}

// A count or a rate; fewer than `digits_min` digits make a count.
bool is_count(std::string_view text, std::size_t digits_min) {
  std::size_t digits = 0;
  for (const char c : text) {
    if (!is_digit(c) && c != '.' && c != '-' && c != '%') return false;
    digits += is_digit(c);
    if (c == '.') return text.find('.') == text.rfind('.') && text.find('-', 1) == std::string_view::npos;
  }
  return digits < digits_min || text.ends_with('%');
}

// What a schema says of a column: "email: string", "phone: varchar(20)". `is_name`: of words, so that "Long" is one.
bool is_type(std::string_view held, bool is_name) {
  static constexpr std::array<std::string_view, 20> kTypes = {
      "string", "str",   "text",    "varchar", "char",   "object",  "int",  "integer",   "bigint", "smallint",
      "double", "float", "decimal", "numeric", "number", "boolean", "bool", "timestamp", "binary", "uuid"};
  constexpr std::size_t kSizeBytesMax = 8;  // of "(10,2)"
  const std::string_view word = held.substr(0, held.find_first_of("(<["));
  if (held.size() - word.size() > kSizeBytesMax) return false;
  if (!is_name && (word == "long" || word == "date")) return true;
  return std::any_of(kTypes.begin(), kTypes.end(), [&](std::string_view type) {
    return word.size() == type.size() &&
           std::equal(word.begin(), word.end(), type.begin(), [](char a, char b) { return to_lower(a) == b; });
  });
}

// Is text[at] inside <...>?
bool in_tag(std::string_view text, std::size_t at) {
  constexpr std::size_t kReach = 256;
  const std::size_t from = at > kReach ? at - kReach : 0;
  const std::size_t sign = text.substr(from, at - from).find_last_of("<>\n");
  return sign != std::string_view::npos && text[from + sign] == '<';
}

// `"name": ` before what stands at `at`: the name, and where it begins. Empty if there is none.
struct NameBefore {
  std::string_view name;
  std::size_t begin = 0;
};
NameBefore name_before(std::string_view text, std::size_t at) {
  std::size_t i = at;
  const auto skip = [&](std::string_view bytes) {
    for (std::size_t n = 0; n < kGapBytesMax && i > 0 && bytes.find(text[i - 1]) != std::string_view::npos; ++n) --i;
  };
  skip("\"'`\\");
  skip(" \t");
  if (i == 0 || (text[i - 1] != ':' && text[i - 1] != '=')) return {};
  --i;
  skip(" \t\"'`\\");
  const std::size_t end = i;
  while (i > 0 && end - i < kKeyBytesMax && is_key_char(text[i - 1])) --i;
  return {text.substr(i, end - i), i};
}

// [{"value": "x", "name": "DB_PASSWORD"}]: the value before `naming`; empty if there is none.
Window value_before(std::string_view text, const NameBefore& naming) {
  std::size_t i = naming.begin;
  const auto skip = [&](std::string_view bytes) {
    for (std::size_t n = 0; n < kGapBytesMax && i > 0 && bytes.find(text[i - 1]) != std::string_view::npos; ++n) --i;
  };
  skip("\"'`\\");
  skip(" \t\r\n");
  if (i > 0 && text[i - 1] == ',') --i;
  skip(" \t\r\n");
  if (i == 0) return {};
  const std::size_t stop = i > kValueBytesMax ? i - kValueBytesMax : 0;
  Window value{i, i};
  if (const char quote = text[i - 1]; is_quote(quote)) {
    const auto backslashes_before = [&](std::size_t at) {
      std::size_t count = 0;
      while (at > stop + count && text[at - 1 - count] == '\\') ++count;
      return count;
    };
    if (i > stop + 1 && text[i - 2] == quote) --i;  // doubled in CSV
    const std::size_t backslashes = backslashes_before(i - 1);
    value.end = i - 1 - backslashes;
    for (value.begin = value.end; value.begin > stop; --value.begin) {
      const std::size_t at = value.begin - 1;
      if (text[at] != quote || backslashes_before(at) > backslashes) continue;  // a quote inside it
      return is_holding_key(naming.name, name_before(text, at).name) ? value : Window{};
    }
    return {};
  }
  while (value.begin > stop && !is_space(text[value.begin - 1]) && text[value.begin - 1] != ',' &&
         text[value.begin - 1] != '{') {
    --value.begin;
    const bool is_sign = text[value.begin] == '=' || text[value.begin] == ':';
    if (is_sign && is_holding_key(naming.name, name_before(text, value.begin + 1).name)) {
      return {value.begin + 1, value.end};
    }
  }
  return is_holding_key(naming.name, name_before(text, value.begin).name) ? value : Window{};
}

// Of ["password", "x"] the second: is what begins at `at`, in quotes, the last of its list?
bool is_last_of_list(std::string_view text, std::size_t at) {
  text = text.substr(0, at + kValueBytesMax);
  TextCursor cursor(text, at);
  std::size_t backslashes = 0;
  const char quote = cursor.take_quote(backslashes);
  const std::size_t begin = cursor.at();
  const std::size_t end = closing_quote(text, begin, quote, backslashes);
  cursor.skip(std::min(end + backslashes + 1, text.size()) - begin);
  cursor.skip_space(true);
  return cursor.peek() == ']' && is_opaque(text.substr(begin, end - begin));
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

// Behind the first sign between a key and its value: "= = x", ": : x", "=3D x" (an '=' in mail), "= \"\" x".
void skip_more_signs(TextCursor& cursor) {
  for (int more = 0; more < 3; ++more) {
    TextCursor after = cursor;
    after.skip_space(false);
    if (after.peek() == '3' && after.peek(1) == 'D') {
      after.skip(2);
    } else {
      std::size_t signs = 0;
      while (signs < 3 && (after.peek(signs) == '=' || after.peek(signs) == ':' || after.peek(signs) == '>')) ++signs;
      if (signs == 0) return;
      after.skip(signs);
    }
    if (!is_blank(after.peek()) && !is_quote(after.peek())) return;
    cursor = after;
  }
}

// `password: str = "x"`: where what a declaration gives begins, behind the type that ends at `at`; npos if none does.
std::size_t behind_type(std::string_view text, std::size_t at) {
  constexpr std::size_t kTypeBytesMax = 48;
  TextCursor cursor(text, at);
  if (cursor.peek() == '<') {  // Option<String>
    const std::size_t end = text.substr(0, at + kTypeBytesMax).find_last_of('>');
    if (end == std::string_view::npos || end < at) return std::string_view::npos;
    cursor.skip(end + 1 - at);
  }
  cursor.skip_space(false);
  if (!cursor.take('=')) return std::string_view::npos;
  cursor.skip_space(false);
  return is_quote(cursor.peek()) ? cursor.at() : std::string_view::npos;
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

PairScanner::Value PairScanner::word_after_empty(std::string_view text, std::size_t at) {
  TextCursor cursor(text, std::min(at, text.size()));
  cursor.skip_space(false);
  if (cursor.at() == at) return {};
  const Value value{cursor.at(), bare_end(text, cursor.at()), false};
  const std::string_view word = text.substr(value.begin, value.end - value.begin);
  return is_opaque(word) && word.find_first_of("=:") == std::string_view::npos ? value : Value{};
}

void PairScanner::add_span(std::string_view text, const KeyRule& rule, const Value& value, std::vector<Span>& spans) {
  if (value.end <= value.begin || marker_size(text, value.begin) == value.end - value.begin ||
      !is_value(text, value.begin, value.end)) {
    return;
  }
  const std::string_view held = text.substr(value.begin, value.end - value.begin);
  if (rule.digits_min > 0 && !rule.validator && !value.quoted && is_count(held, rule.digits_min)) return;
  if (rule.priority == RulePriority::kPii && !value.quoted && is_type(held, rule.phrase)) return;
  if (rule.validator && !rule.validator(text, value.begin, value.end)) return;
  Span span;
  span.begin = value.begin;
  span.end = value.end;
  span.kind = rule.kind;
  span.priority = rule.priority;
  span.rule = rule.number;
  if (fit_to_markers(text, span)) spans.push_back(span);
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

    TextCursor cursor(text, key.end);
    std::size_t backslashes = 0;
    const std::size_t before = key.begin - (key.option ? 1 : 0);
    const bool is_doubled =
        before > 1 && text.substr(before - 2, 2) == kDoubledQuote && text.substr(key.end).starts_with(kDoubledQuote);
    if (is_doubled) cursor.skip(1);
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
      TextCursor after = cursor;
      after.skip(1);
      after.skip_space(true);
      std::size_t ignored = 0;
      TextCursor quote = after;
      const std::size_t opening = before > backslashes ? before - backslashes - 1 : 0;
      const char bracket = opening > 0 ? text[opening - 1] : '\0';
      const bool in_call = bracket == '(' || (bracket == '[' && is_last_of_list(text, after.at()));
      if (quote.take_quote(ignored) != 0 && (key.option || in_call || is_header_name(name))) {
        cursor = after;
        joint = Joint::kList;
      }
    }
    if (joint == Joint::kNone && key.option && cursor.at() > key.end && !cursor.done() && cursor.peek() != '-') {
      joint = Joint::kSpaced;
    }
    NameBefore naming;
    if (joint == Joint::kNone) {
      naming = name_before(text, key.begin);
      if (!naming.name.empty() && !is_naming_key(naming.name)) naming.name = {};
    }
    if (joint == Joint::kNone) {  // name: DB_PASSWORD, value: x
      TextCursor after = cursor;
      if (after.take(',')) after.skip_space(true);
      after.skip_space(true);
      std::size_t ignored = 0;
      after.take_quote(ignored);
      const std::size_t word = after.at();
      const bool may_hold = !naming.name.empty() || to_lower(after.peek()) == 'v';
      while (may_hold && is_key_char(after.peek()) && after.at() - word < kKeyBytesMax) after.skip(1);
      const std::string_view holding = text.substr(word, after.at() - word);
      if (is_value_key(holding) || (!naming.name.empty() && is_holding_key(naming.name, holding))) {
        after.take_quote(ignored);
        after.skip_space(false);
        if (after.take(':') || after.take('=')) {
          cursor = after;
          joint = Joint::kList;
        }
      }
    }
    Window earlier;
    if (joint == Joint::kNone && !naming.name.empty()) {
      earlier = value_before(text, naming);
      budget.spend(earlier.end - earlier.begin);
    }
    if (joint == Joint::kNone && earlier.end == 0) continue;

    const std::size_t key_bytes = key.end - key.begin;
    if (key_bytes >= kKeySecretBytesMin) cut_at_spans(key, spans, own_from, budget);
    const KeyRule* rule = key.begin < key.end ? rule_of(text, key) : nullptr;
    if (!rule) continue;
    if (joint == Joint::kNone) {
      add_span(text, *rule, {earlier.begin, earlier.end, true}, spans);
      continue;
    }
    if (!rule->text && !key.quoted && joint != Joint::kList && joint != Joint::kMarkup) continue;

    Value value;
    if (joint != Joint::kMarkup) cursor.skip_space(key.quoted || joint == Joint::kList);
    if (joint != Joint::kMarkup && is_letter(cursor.peek()) && is_quote(cursor.peek(1)) &&
        std::string_view("bBuUrRfF").find(cursor.peek()) != std::string_view::npos) {
      cursor.skip(1);
    }
    if (joint == Joint::kSign && !key.quoted) skip_yaml(cursor);
    const bool is_secret = rule->priority == RulePriority::kSecret;
    if (joint == Joint::kSign && is_secret) {
      skip_more_signs(cursor);
      cursor.skip_space(false);
      if (!key.quoted) cursor.skip(value_on_next_line(text, cursor.at()) - cursor.at());
    }
    value.begin = cursor.at();
    if (value.begin >= text.size()) continue;
    const char first = text[value.begin];
    if (const std::size_t mark = first == '[' ? marker_size(text, value.begin) : 0; mark > 0) {
      const std::size_t behind = value.begin + mark;
      if (behind == text.size() || is_space(text[behind])) continue;
    }
    if (joint == Joint::kMarkup) {
      value.end = std::min(text.find('<', value.begin), text.size());
    } else if (is_doubled && text.substr(value.begin).starts_with(kDoubledQuote)) {
      value = {value.begin + 2, doubled_end(text, value.begin + 2), true};
    } else if (const char quote = cursor.take_quote(backslashes)) {
      value = {cursor.at(), closing_quote(text, cursor.at(), quote, backslashes), true};
      if (value.end == value.begin && is_secret) value = word_after_empty(text, value.end + backslashes + 1);
    } else if ((first == '{' || first == '[' || first == '(') && marker_size(text, value.begin) == 0) {
      value.end = after_doubled_braces(text, closing_bracket(text, value.begin));
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
      if (value.end > value.begin && text[value.end - 1] == '>' && in_tag(text, value.begin)) --value.end;
    }
    budget.spend(value.end - value.begin);
    done_to = std::max(done_to, value.end);
    if (rule->containers && !(first == '{' || first == '[' || first == '(')) continue;
    const bool may_declare = joint == Joint::kSign && sign == ':' && !value.quoted;
    const std::size_t given = may_declare ? behind_type(text, value.end) : std::string_view::npos;
    const bool declares = given != std::string_view::npos;
    if (!declares || !is_type(text.substr(value.begin, value.end - value.begin), false)) {
      add_span(text, *rule, value, spans);
    }
    if (!declares) continue;
    const Value literal{given + 1, closing_quote(text, given + 1, text[given], 0), true};
    budget.spend(literal.end - literal.begin);
    done_to = std::max(done_to, literal.end);
    add_span(text, *rule, literal, spans);
  }
}

}  // namespace runtail
