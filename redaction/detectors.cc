#include "redaction/detectors.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <optional>

#include "redaction/validators.h"

namespace runtail {

struct Detectors::Rule {
  RuleSpec spec;
  std::unique_ptr<RE2> pattern;
  int groups = 0;
  Validator validator = nullptr;
  std::uint8_t kind = 0;
};

namespace {

constexpr int kGroupsMax = 8;
constexpr std::string_view kMarkerHead = "[REDACTED:";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

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

// Does one of `words` stand in `text` as a word? '_' and digits may touch it (card_no, pan2), letters may not.
bool has_word(std::string_view text, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    auto at = text.begin();
    while (true) {
      at = std::search(at, text.end(), word.begin(), word.end(), [](char a, char b) { return lower(a) == lower(b); });
      if (at == text.end()) break;
      const auto after = at + static_cast<long>(word.size());
      if ((at == text.begin() || !is_letter(at[-1])) && (after == text.end() || !is_letter(*after))) return true;
      ++at;
    }
  }
  return false;
}

bool has_context(const RuleSpec& spec, std::string_view text, std::string_view key, std::size_t begin,
                 std::size_t end) {
  if (spec.keywords.empty() || has_word(key, spec.keywords)) return true;
  const std::size_t from = begin > spec.window ? begin - spec.window : 0;
  return has_word(text.substr(from, begin - from), spec.keywords) ||
         has_word(text.substr(end, spec.window), spec.keywords);
}

// A marker is taken whole or not at all, a character of UTF-8 too. false: nothing but markers, so nothing to do.
bool fit_to_markers(std::string_view text, Span& span) {
  while (span.begin > 0 && span.begin < text.size() && is_continuation(text[span.begin])) --span.begin;
  while (span.end < text.size() && is_continuation(text[span.end])) ++span.end;
  std::size_t unmarked = span.end - span.begin;
  // A marker that reaches into the span may begin before it. Kinds are short, so the look back is too.
  constexpr std::size_t kMarkerBytesMax = 64;
  std::size_t at = text.find(kMarkerHead, span.begin > kMarkerBytesMax ? span.begin - kMarkerBytesMax : 0);
  while (at < span.end) {
    const std::size_t size = marker_size(text, at);
    const std::size_t end = at + size;
    if (size > 0 && end > span.begin) {
      unmarked -= std::min(end, span.end) - std::max(at, span.begin);
      span.begin = std::min(span.begin, at);
      span.end = std::max(span.end, end);
    }
    at = text.find(kMarkerHead, at + std::max<std::size_t>(size, 1));
  }
  return unmarked > 0;
}

// Spans that share bytes become one: nothing either rule found may stay. A secret's kind names it, else the longer
// span's, else the earlier rule's.
void merge(std::vector<Span>& spans) {
  if (spans.size() < 2) return;
  std::stable_sort(spans.begin(), spans.end(),
                   [](const Span& a, const Span& b) { return a.begin != b.begin ? a.begin < b.begin : a.end > b.end; });
  std::size_t last = 0;
  std::size_t naming_size = spans[0].end - spans[0].begin;
  for (std::size_t i = 1; i < spans.size(); ++i) {
    const Span& span = spans[i];
    const std::size_t size = span.end - span.begin;
    Span& kept = spans[last];
    if (span.begin >= kept.end) {
      spans[++last] = span;
      naming_size = size;
      continue;
    }
    if (span.priority > kept.priority || (span.priority == kept.priority && size > naming_size)) {
      kept.kind = span.kind;
      kept.priority = span.priority;
      naming_size = size;
    }
    kept.end = std::max(kept.end, span.end);
  }
  spans.resize(last + 1);
}

}  // namespace

Result<std::uint8_t> Kinds::add(std::string_view name) {
  const auto known = std::find(names_.begin(), names_.end(), name);
  if (known != names_.end()) return static_cast<std::uint8_t>(known - names_.begin());
  if (names_.size() == 255) return Error{ErrorCode::kInvalidInput, "more than 255 kinds of redaction"};
  names_.emplace_back(name);
  return static_cast<std::uint8_t>(names_.size() - 1);
}

std::size_t marker_size(std::string_view text, std::size_t position) {
  if (!text.substr(position).starts_with(kMarkerHead)) return 0;
  std::size_t end = position + kMarkerHead.size();
  const std::size_t kind = end;
  while (end < text.size() && ((text[end] >= 'a' && text[end] <= 'z') || is_digit(text[end]) || text[end] == '_'))
    ++end;
  return end > kind && end - kind <= 48 && end < text.size() && text[end] == ']' ? end + 1 - position : 0;
}

void append_marker(std::string& out, std::string_view kind) {
  out += kMarkerHead;
  out += kind;
  out += ']';
}

Detectors::Detectors() = default;
Detectors::~Detectors() = default;

Result<std::shared_ptr<const Detectors>> Detectors::compile(const std::vector<RuleSpec>& specs, Kinds& kinds) {
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
    rule->validator = find_validator(spec.validator);
    if (!rule->validator) return fault(spec, "unknown validator \"" + spec.validator + "\"");
    for (const std::string& literal : spec.literals) {
      if (literal.size() < Gate::kLiteralBytesMin) return fault(spec, "literal \"" + literal + "\" is below 3 bytes");
    }
    for (const auto& other : detectors->rules_) {
      if (other->spec.id == spec.id) return fault(spec, "the id is taken by " + other->spec.place);
    }
    if (spec.kind.size() > 48) return fault(spec, "a kind has at most 48 letters");
    const Result<std::uint8_t> kind = kinds.add(spec.kind);
    if (!kind) return fault(spec, kind.error().message);
    rule->kind = *kind;
    if (detectors->rules_.size() == RuleNumbers::kMax) return fault(spec, "more than 256 rules");
    detectors->gate_.add(detectors->rules_.size(), spec.literals, spec.at, spec.digit_run);
    detectors->rules_.push_back(std::move(rule));
  }
  return std::shared_ptr<const Detectors>(std::move(detectors));
}

void Detectors::find(std::string_view text, std::string_view key, std::vector<Span>& spans, GateUse gate) const {
  spans.clear();
  if (gate == GateUse::kOn) {
    const RuleNumbers candidates = gate_.scan(text);
    if (candidates.empty()) return;
    candidates.each([&](std::size_t number) { find_rule(*rules_[number], text, key, spans); });
  } else {
    for (const auto& rule : rules_) find_rule(*rule, text, key, spans);
  }
  merge(spans);
}

void Detectors::find_rule(const Rule& rule, std::string_view text, std::string_view key,
                          std::vector<Span>& spans) const {
  std::array<re2::StringPiece, kGroupsMax + 1> groups;
  const re2::StringPiece input(text.data(), text.size());
  const int wanted = rule.groups + 1;
  std::size_t from = 0;
  while (from <= text.size() && rule.pattern->Match(input, from, text.size(), RE2::UNANCHORED, groups.data(), wanted)) {
    const std::size_t match_begin = static_cast<std::size_t>(groups[0].data() - text.data());
    const std::size_t match_end = match_begin + groups[0].size();
    const re2::StringPiece* masked = rule.groups == 0 ? groups.data() : nullptr;
    for (int i = 1; i < wanted && !masked; ++i) {
      if (!groups[static_cast<std::size_t>(i)].empty()) masked = &groups[static_cast<std::size_t>(i)];
    }
    bool accepted = false;
    if (masked && !masked->empty()) {
      Span span;
      span.begin = static_cast<std::size_t>(masked->data() - text.data());
      span.end = span.begin + masked->size();
      span.kind = rule.kind;
      span.priority = rule.spec.priority;
      accepted = free_standing(text, span.begin, span.end, rule.spec.boundary) &&
                 rule.validator(text, span.begin, span.end) && has_context(rule.spec, text, key, span.begin, span.end);
      if (accepted && fit_to_markers(text, span)) spans.push_back(span);
    }
    if (accepted || rule.spec.boundary == RuleBoundary::kNone) {
      from = std::max(match_end, from + 1);
    } else {
      // What was refused may hide the real one: go on behind the first group of letters or digits. Steps this long keep
      // a line of nothing but digits linear.
      from = match_begin + 1;
      while (from < text.size() && (is_digit(text[from]) || is_letter(text[from]))) ++from;
    }
  }
}

}  // namespace runtail
