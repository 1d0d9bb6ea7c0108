#include "redaction/detectors.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/uuid.h"
#include "redaction/letters.h"
#include "redaction/marker.h"
#include "redaction/validators.h"

namespace runtail {

struct Detectors::Rule {
  RuleSpec spec;
  std::unique_ptr<RE2> pattern;
  std::unique_ptr<RE2> scope;  // null: the whole text
  int groups = 0;
  Validator validator = nullptr;
  std::uint8_t kind = 0;
  std::uint16_t number = 0;  // among Kinds::rules()
  std::size_t held = 0;      // of RuleSpec::contains among held_bytes_
};

namespace {

constexpr int kGroupsMax = 8;
// A match around a keyword may be so much longer than the window of its rule.
constexpr std::size_t kNearBytes = 160;
// How far a try looks at first, and how much farther each time a match reaches the end of the window.
constexpr std::size_t kFirstWindow = 1024;
constexpr std::size_t kWindowGrowth = 16;
// What one try costs beyond the bytes it looks at.
constexpr std::uint64_t kTryCost = 64;
// What a match costs beyond that which a validator refuses.
constexpr std::uint64_t kRefusalCost = 32;
// What a match costs beyond that whose groups are asked for: to tell its groups apart takes RE2 about a microsecond.
constexpr std::uint64_t kMatchCost = 640;
// In a longer match that takes RE2's slowest engine, some 60 ns a byte.
constexpr std::size_t kShortMatch = 1024;

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

// RE2 has no look-around, so what may not stand beside a span is tested here.
bool free_standing(std::string_view text, std::size_t begin, std::size_t end, RuleBoundary boundary) {
  if (boundary == RuleBoundary::kNone) return true;
  const auto bars = [&](char c) { return is_digit(c) || (boundary == RuleBoundary::kAlnum && is_letter(c)); };
  const auto joins = [](char c) { return c == '.' || c == '-'; };  // 1.123-45-6789 is a longer number
  if (begin > 0 && bars(text[begin - 1])) return false;
  if (begin > 1 && joins(text[begin - 1]) && is_digit(text[begin - 2])) return false;
  if (end < text.size() && bars(text[end])) return false;
  return !(end + 1 < text.size() && joins(text[end]) && is_digit(text[end + 1]));
}

// Does text[begin, end) stand as a word? '_' and digits may touch it (card_no, pan2), letters only at a hump
// (patientDob).
bool is_word_at(std::string_view text, std::size_t begin, std::size_t end) {
  const bool opens = begin == 0 || !is_letter(text[begin]) || !is_letter(text[begin - 1]) ||
                     (is_lower(text[begin - 1]) && is_upper(text[begin]));
  return opens && (end == text.size() || !is_letter(text[end]) || (is_upper(text[end]) && is_lower(text[end - 1])));
}

// Behind the last `byte` of `text`; 0: it has none.
std::size_t last_of(std::string_view text, char byte) {
  const void* const last = memrchr(text.data(), byte, text.size());
  return last ? static_cast<std::size_t>(static_cast<const char*>(last) - text.data()) + 1 : 0;
}

// Is text[at] the kind of a marker? Kinds are words that rules look for.
bool is_kind_of_marker(std::string_view text, std::size_t at) {
  return at >= kMarkerHead.size() && text[at - 1] == kMarkerHead.back() &&
         marker_size(text, at - kMarkerHead.size()) > 0;
}

// Does one of `words` stand as a word in text[from, to)? What is beside that counts for where a word ends.
bool has_word(std::string_view text, std::size_t from, std::size_t to, const std::vector<std::string>& words) {
  const auto last = text.begin() + static_cast<long>(to);
  for (const std::string& word : words) {
    auto at = text.begin() + static_cast<long>(from);
    while (true) {
      at = std::search(at, last, word.begin(), word.end(), [](char a, char b) { return to_lower(a) == to_lower(b); });
      if (at == last) break;
      const auto begin = static_cast<std::size_t>(at - text.begin());
      if (is_word_at(text, begin, begin + word.size())) return true;
      ++at;
    }
  }
  return false;
}

bool has_context(const RuleSpec& spec, std::string_view text, std::string_view key, std::size_t begin,
                 std::size_t end) {
  if (spec.keywords.empty() || (!key.empty() && has_word(key, 0, key.size(), spec.keywords))) return true;
  const std::size_t from = begin > spec.window ? begin - spec.window : 0;
  return has_word(text, from, begin, spec.keywords) ||
         has_word(text, end, std::min(text.size(), end + spec.window), spec.keywords);
}

// Does a word beside text[begin, end), or one of the key, say that it is something else?
bool has_veto(const RuleSpec& spec, std::string_view text, std::string_view key, std::size_t begin, std::size_t end) {
  constexpr std::size_t kBefore = 24, kGap = 3;
  if (spec.unless.empty()) return false;
  std::size_t from = begin > kBefore ? begin - kBefore : 0;
  const std::size_t clause = text.substr(from, begin - from).find_last_of(",;(\n");
  if (clause != std::string_view::npos) from += clause + 1;
  if (has_word(text, from, begin, spec.unless)) return true;
  if (!key.empty() && has_word(key, 0, key.size(), spec.unless)) return true;
  std::size_t next = end;
  while (next < text.size() && next - end < kGap && !is_letter(text[next])) ++next;
  std::size_t next_end = next;
  while (next_end < text.size() && is_letter(text[next_end])) ++next_end;
  return has_word(text, next, next_end, spec.unless);
}

// Does text[begin, end) lie inside a UUID?
bool is_in_uuid(std::string_view text, std::size_t begin, std::size_t end) {
  constexpr std::size_t kUuidBytes = 36;
  const auto belongs = [](char c) { return hex_value(c) >= 0 || c == '-'; };
  if (end - begin > kUuidBytes) return false;
  std::size_t from = end, to = end;  // the end of the match lies in it; a word may stand before
  while (from > 0 && end - from <= kUuidBytes && belongs(text[from - 1])) --from;
  while (to < text.size() && to - from <= kUuidBytes && belongs(text[to])) ++to;
  return to - from == kUuidBytes && parse_uuid(text.substr(from, kUuidBytes)).has_value();
}

}  // namespace

Detectors::Detectors() = default;
Detectors::~Detectors() = default;

Result<std::shared_ptr<Detectors>> Detectors::compile(const std::vector<RuleSpec>& specs, Kinds& kinds) {
  std::shared_ptr<Detectors> detectors(new Detectors);
  const auto fault = [](const RuleSpec& spec, const std::string& message) {
    return Error{ErrorCode::kInvalidInput, spec.place + ": rule " + spec.id + ": " + message};
  };
  RE2::Options options(RE2::Latin1);  // bytes, so that bad UTF-8 hides nothing and the gate sees what RE2 sees
  options.set_log_errors(false);
  options.set_max_mem(4 << 20);
  for (const RuleSpec& spec : specs) {
    auto rule = std::make_unique<Rule>();
    rule->spec = spec;
    rule->pattern = std::make_unique<RE2>(spec.pattern, options);
    if (!rule->pattern->ok()) return fault(spec, "pattern: " + rule->pattern->error());
    rule->groups = rule->pattern->NumberOfCapturingGroups();
    if (rule->groups > kGroupsMax) return fault(spec, "pattern: more than 8 groups");
    if (!spec.scope.empty()) {
      rule->scope = std::make_unique<RE2>(spec.scope, options);
      if (!rule->scope->ok()) return fault(spec, "scope: " + rule->scope->error());
    }
    rule->validator = find_validator(spec.validator);
    if (!rule->validator) return fault(spec, "unknown validator \"" + spec.validator + "\"");
    for (const auto* words : {&spec.literals, &spec.keywords}) {
      for (const std::string& word : *words) {
        if (word.size() < Gate::kLiteralBytesMin) return fault(spec, "\"" + word + "\" is below 3 bytes");
      }
    }
    for (const auto& other : detectors->rules_) {
      if (other->spec.id == spec.id) return fault(spec, "the id is taken by " + other->spec.place);
    }
    if (spec.kind.size() > kKindBytesMax) return fault(spec, "a kind has at most 48 letters");
    const Result<std::uint8_t> kind = kinds.add(spec.kind, spec.priority);
    if (!kind) return fault(spec, kind.error().message);
    rule->kind = *kind;
    rule->number = kinds.add_rule(spec.id, spec.validator);
    if (detectors->rules_.size() == UINT16_MAX) return fault(spec, "more than 65,535 rules");
    detectors->rules_.push_back(std::move(rule));
    detectors->add_rule(static_cast<std::uint16_t>(detectors->rules_.size() - 1));
  }
  return detectors;
}

Detectors::LiteralUse& Detectors::use_of(std::string_view literal) {
  const std::uint32_t number = gate_.add(literal);
  if (uses_.size() <= number) uses_.resize(number + 1);
  return uses_[number];
}

void Detectors::add_rule(std::uint16_t number) {
  const RuleSpec& spec = rules_[number]->spec;
  if (!spec.contains.empty()) {
    const std::size_t known = held_bytes_.find(spec.contains);
    rules_[number]->held = known != std::string::npos ? known + 1 : held_bytes_.size() + 1;
    if (known == std::string::npos) held_bytes_ += spec.contains;
  }
  const bool by_feature = spec.literals.empty() && (spec.digit_run > 0 || spec.feature != RuleFeature::kNone);
  for (const std::string& literal : spec.literals) {
    LiteralUse& use = use_of(literal);
    (spec.begins ? use.begins : use.near).push_back(number);
    use.needs_word = use.needs_word || spec.words;
  }
  for (const std::string& keyword : spec.keywords) {
    LiteralUse& use = use_of(keyword);
    use.needs_word = true;
    if (by_feature) {
      use.enables.push_back(number);
    } else if (spec.literals.empty()) {
      use.near.push_back(number);
    }
  }
  if (!spec.keywords.empty()) keyword_rules_.push_back(number);
  if (!by_feature) return;
  if (spec.feature == RuleFeature::kAt) at_rules_.push_back(number);
  if (spec.feature == RuleFeature::kLettersDigits) letters_digits_rules_.push_back(number);
  if (spec.feature == RuleFeature::kColons) colon_rules_.push_back(number);
  if (spec.digit_run > 0) {
    const auto place =
        std::upper_bound(digit_rules_.begin(), digit_rules_.end(), spec.digit_run,
                         [](std::uint32_t digits, const DigitRule& rule) { return digits < rule.digits; });
    digit_rules_.insert(place, {spec.digit_run, spec.feature, number});
  }
}

void Detectors::find(std::string_view text, std::string_view key, const TextTraits& traits, Scratch& scratch,
                     WorkBudget& budget, std::vector<Span>& spans, GateUse gate) const {
  scratch.hits.clear();
  gate_.scan(text, scratch.hits);
  if (gate == GateUse::kOff) {
    for (const auto& rule : rules_) {
      if (rule->spec.begins) {
        try_everywhere(*rule, text, key, budget, spans);
      } else {
        search(*rule, text, key, {0, text.size()}, text.size(), budget, spans);
      }
    }
    return;
  }
  scratch.tried_to.resize(rules_.size(), 0);
  scratch.pending.resize(rules_.size());
  scratch.has_keyword.resize(rules_.size(), false);
  // The key's own words are context for rules that ask for one.
  if (!key.empty()) {
    for (const std::uint16_t number : keyword_rules_) {
      const RuleSpec& spec = rules_[number]->spec;
      if (!has_word(key, 0, key.size(), spec.keywords)) continue;
      scratch.touched.push_back(number);
      scratch.has_keyword[number] = true;
      if (spec.literals.empty() && spec.digit_run == 0 && spec.feature == RuleFeature::kNone) {
        scratch.pending[number] = {0, text.size()};
      }
    }
  }
  if (!scratch.hits.empty() || !scratch.touched.empty()) find_by_literals(text, key, scratch, budget, spans);
  find_by_features(text, key, traits, scratch, budget, spans);
  for (const std::uint16_t number : scratch.touched) {
    scratch.tried_to[number] = 0;
    scratch.pending[number] = {};
    scratch.has_keyword[number] = false;
  }
  scratch.touched.clear();
}

void Detectors::find_by_literals(std::string_view text, std::string_view key, Scratch& scratch, WorkBudget& budget,
                                 std::vector<Span>& spans) const {
  scratch.held_to.assign(1, text.size());
  for (const char byte : held_bytes_) scratch.held_to.push_back(last_of(text, byte));
  for (const GateHit& hit : scratch.hits) {
    if (budget.is_over()) return;
    if (hit.literal >= uses_.size()) continue;  // watched for somebody else
    const LiteralUse& use = uses_[hit.literal];
    for (const std::uint16_t number : use.begins) {
      std::size_t& tried_to = scratch.tried_to[number];
      if (hit.begin < tried_to || hit.begin >= scratch.held_to[rules_[number]->held]) continue;
      if (const std::size_t end = try_at(*rules_[number], text, key, hit.begin, budget, spans)) {
        tried_to = next_try(*rules_[number], hit.begin, end);
        scratch.touched.push_back(number);
      }
    }
    const std::size_t hit_end = hit.begin + gate_.bytes_of(hit.literal);
    const bool is_word = use.needs_word && is_word_at(text, hit.begin, hit_end);
    for (const std::uint16_t number : use.enables) {
      if (!is_word) break;
      scratch.has_keyword[number] = true;
      scratch.touched.push_back(number);
    }
    for (const std::uint16_t number : use.near) {
      const RuleSpec& spec = rules_[number]->spec;
      if ((spec.literals.empty() || spec.words) && !is_word) continue;
      const std::size_t reach = spec.literals.empty() ? spec.window + kNearBytes : spec.reach;
      const Window near{hit.begin > reach ? hit.begin - reach : 0, std::min(text.size(), hit_end + reach)};
      Window& pending = scratch.pending[number];
      if (pending.end != 0 && near.begin > pending.end) {
        search(*rules_[number], text, key, pending, text.size(), budget, spans);
        pending = near;
      } else {
        pending = {pending.end != 0 ? std::min(pending.begin, near.begin) : near.begin,
                   std::max(pending.end, near.end)};
      }
      scratch.touched.push_back(number);
    }
  }
  for (const std::uint16_t number : scratch.touched) {
    const Window window = std::exchange(scratch.pending[number], {});
    if (window.end != 0) search(*rules_[number], text, key, window, text.size(), budget, spans);
  }
}

void Detectors::find_by_features(std::string_view text, std::string_view key, const TextTraits& traits,
                                 Scratch& scratch, WorkBudget& budget, std::vector<Span>& spans) const {
  const auto is_on = [&](std::uint16_t number) {
    return rules_[number]->spec.keywords.empty() || scratch.has_keyword[number];
  };
  if (traits.digits > 0) {
    each_digit_run(text, [&](const DigitRun& run) {
      for (const DigitRule& digit_rule : digit_rules_) {
        if (run.digits < digit_rule.digits) break;  // the others ask for more
        if ((digit_rule.feature == RuleFeature::kDotted && run.dots < 3) ||
            (digit_rule.feature == RuleFeature::kPlus && !run.plus) || !is_on(digit_rule.rule)) {
          continue;
        }
        search(*rules_[digit_rule.rule], text, key, run.window, run.window.end, budget, spans);
      }
      if (run.letters == std::string_view::npos) return;
      for (const std::uint16_t number : letters_digits_rules_) {
        if (is_on(number)) try_at(*rules_[number], text, key, run.letters, budget, spans);
      }
    });
  }
  if (traits.ats > 0) {
    each_at(text, [&](Window window) {
      for (const std::uint16_t number : at_rules_)
        search(*rules_[number], text, key, window, window.end, budget, spans);
    });
  }
  if (traits.colons > 1 || traits.dashes > 4) {
    each_colons(text, [&](Window window) {
      for (const std::uint16_t number : colon_rules_)
        search(*rules_[number], text, key, window, window.end, budget, spans);
    });
  }
}

namespace {

// A match that reaches the end of its window may go on behind it, up to `limit`.
bool widen(Window& window, std::size_t match_begin, std::size_t limit) {
  if (window.end >= limit) return false;
  window.end = std::min(limit, match_begin + (window.end - match_begin + kFirstWindow) * kWindowGrowth);
  return true;
}

}  // namespace

std::size_t Detectors::try_at(const Rule& rule, std::string_view text, std::string_view key, std::size_t at,
                              WorkBudget& budget, std::vector<Span>& spans) const {
  if (is_kind_of_marker(text, at)) return 0;
  re2::StringPiece match;
  std::size_t size = std::min({text.size() - at, std::size_t{rule.spec.reach}, kFirstWindow});
  while (true) {
    // The window's end is an end of text to the pattern: what has no end of its own goes up to there, and is then
    // looked at in a wider window, beyond the reach too: no tail of a long value may stay.
    if (!budget.spend(kTryCost + size / 2)) return 0;
    if (!rule.pattern->Match(piece(text.substr(0, at + size)), at, at + size, RE2::ANCHOR_START, &match, 1)) return 0;
    if (match.size() < size || at + size == text.size()) break;
    size = std::min(text.size() - at, size * kWindowGrowth);
  }
  return take(rule, text, key, at + size, {at, at + match.size()}, budget, spans) ? at + match.size() : 0;
}

// Where the next match of a rule may begin after one at [at, end). One short match may lie in the end of another:
// "github: x9...stripe: y8..." has two tokens.
std::size_t Detectors::next_try(const Rule& rule, std::size_t at, std::size_t end) {
  return rule.spec.reach <= kFirstWindow ? at + 1 : end;
}

// What the gate does for a rule that begins with its literals, at every place where the pattern itself begins.
void Detectors::try_everywhere(const Rule& rule, std::string_view text, std::string_view key, WorkBudget& budget,
                               std::vector<Span>& spans) const {
  re2::StringPiece found;
  std::size_t from = 0;
  while (from < text.size() && budget.spend(kTryCost + found.size()) &&
         rule.pattern->Match(piece(text), from, text.size(), RE2::UNANCHORED, &found, 1)) {
    const auto at = static_cast<std::size_t>(found.data() - text.data());
    const std::size_t end = try_at(rule, text, key, at, budget, spans);
    from = end != 0 ? next_try(rule, at, end) : at + 1;
  }
}

void Detectors::search(const Rule& rule, std::string_view text, std::string_view key, Window window, std::size_t limit,
                       WorkBudget& budget, std::vector<Span>& spans) const {
  if (!rule.scope) return search_pattern(rule, text, key, window, limit, budget, spans);
  re2::StringPiece found;
  std::size_t from = window.begin;
  while (from < window.end && budget.spend(kTryCost + window.end - from) &&
         rule.scope->Match(piece(text), from, window.end, RE2::UNANCHORED, &found, 1)) {
    const auto begin = static_cast<std::size_t>(found.data() - text.data());
    const Window inside{begin, begin + found.size()};
    if (inside.end == window.end && widen(window, inside.begin, limit)) continue;
    from = std::max(inside.end, from + 1);
    search_pattern(rule, text, key, inside, inside.end, budget, spans);
  }
}

void Detectors::search_pattern(const Rule& rule, std::string_view text, std::string_view key, Window window,
                               std::size_t limit, WorkBudget& budget, std::vector<Span>& spans) const {
  re2::StringPiece found;
  std::size_t from = window.begin;
  if (!budget.spend(window.end - from)) return;
  while (from <= window.end && budget.spend(kTryCost) &&
         rule.pattern->Match(piece(text), from, window.end, RE2::UNANCHORED, &found, 1)) {
    const auto begin = static_cast<std::size_t>(found.data() - text.data());
    const Window match{begin, begin + found.size()};
    if (match.end == window.end && widen(window, begin, limit)) {
      budget.spend(window.end - begin);
      from = begin;
      continue;
    }
    if (take(rule, text, key, text.size(), match, budget, spans)) {
      from = std::max(match.end, from + 1);
    } else {
      // What was refused may hide the real one: go on behind the first group of letters or digits. Steps this long keep
      // a line of nothing but digits linear.
      from = match.begin + 1;
      while (from < text.size() && is_alnum(text[from])) ++from;
      budget.spend(kRefusalCost + found.size());
    }
  }
}

// Masks what a match is there for: its first group that took something, all of it where the pattern has no group.
// Groups are asked for only here, of a match that is known: to find none, which is what most tries end in, is much
// faster without them.
bool Detectors::take(const Rule& rule, std::string_view text, std::string_view key, std::size_t text_end, Window match,
                     WorkBudget& budget, std::vector<Span>& spans) const {
  const std::size_t size = match.end - match.begin;
  if (rule.groups == 0) return size > 0 && accept(rule, text, key, match, spans);
  budget.spend(kMatchCost);
  std::array<re2::StringPiece, kGroupsMax + 1> groups;
  if ((size > kShortMatch && !budget.spend_long_match(size)) ||
      !rule.pattern->Match(piece(text.substr(0, text_end)), match.begin, match.end, RE2::ANCHOR_BOTH, groups.data(),
                           rule.groups + 1)) {
    mask(rule, text, match, spans);
    return true;
  }
  for (int i = 1; i <= rule.groups; ++i) {
    const re2::StringPiece& group = groups[static_cast<std::size_t>(i)];
    if (group.empty()) continue;
    const auto begin = static_cast<std::size_t>(group.data() - text.data());
    return accept(rule, text, key, {begin, begin + group.size()}, spans);
  }
  return false;
}

bool Detectors::accept(const Rule& rule, std::string_view text, std::string_view key, Window window,
                       std::vector<Span>& spans) const {
  if (!free_standing(text, window.begin, window.end, rule.spec.boundary) ||
      !rule.validator(text, window.begin, window.end) || !has_context(rule.spec, text, key, window.begin, window.end) ||
      has_veto(rule.spec, text, key, window.begin, window.end)) {
    return false;
  }
  // What a person is known by is a piece of one, at most.
  if (rule.spec.priority == RulePriority::kPii && is_in_uuid(text, window.begin, window.end)) return false;
  mask(rule, text, window, spans);
  return true;
}

void Detectors::mask(const Rule& rule, std::string_view text, Window window, std::vector<Span>& spans) const {
  Span span;
  span.begin = window.begin;
  span.end = window.end;
  span.kind = rule.kind;
  span.priority = rule.spec.priority;
  span.rule = rule.number;
  if (fit_to_markers(text, span)) spans.push_back(span);
}

}  // namespace runtail
