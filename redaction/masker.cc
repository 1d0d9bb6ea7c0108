#include "redaction/masker.h"

#include <algorithm>
#include <cstring>

namespace runtail {
namespace {

// Texts above this give their memory back after their event.
constexpr std::size_t kKeptBytesMax = 64 << 10;

std::uint64_t load(const char* at, std::size_t size) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, size);
  return word;
}

}  // namespace

std::size_t CleanTexts::slot_of(std::string_view text) {
  std::uint64_t hash = text.size();
  if (text.size() >= 8) {
    hash ^= load(text.data(), 8) * 0x9E3779B97F4A7C15ull;
    hash = (hash ^ hash >> 29) + load(text.data() + text.size() - 8, 8);
    hash = (hash ^ hash >> 32) + load(text.data() + text.size() / 2 - 4, 8);
  } else if (text.size() >= 4) {
    hash ^= load(text.data(), 4) << 32 | load(text.data() + text.size() - 4, 4);
  } else {
    for (const char c : text) hash = hash << 8 | static_cast<unsigned char>(c);
  }
  return hash * 0x9E3779B97F4A7C15ull >> 56;
}

bool CleanTexts::has(std::string_view text) const {
  const Slot& slot = slots_[slot_of(text)];
  return slot.size == text.size() && std::memcmp(slot.bytes, text.data(), text.size()) == 0;
}

void CleanTexts::add(std::string_view text) {
  Slot& slot = slots_[slot_of(text)];
  slot.size = static_cast<std::uint8_t>(text.size());
  std::memcpy(slot.bytes, text.data(), text.size());
}

Masker::Masker(std::shared_ptr<const Ruleset> ruleset)
    : ruleset_(std::move(ruleset)), scanner_(*ruleset_->scan), counts_(ruleset_->kinds.names().size(), 0) {}

void Masker::begin() {
  for (std::size_t i = 0; i < texts_used_; ++i) {
    if (texts_[i].capacity() > kKeptBytesMax) std::string().swap(texts_[i]);
  }
  texts_used_ = 0;
  if (masked_any_) std::fill(counts_.begin(), counts_.end(), 0);
  masked_any_ = false;
  remains_ = {};
}

std::string& Masker::fresh_text() {
  if (texts_used_ == texts_.size()) texts_.emplace_back();
  std::string& text = texts_[texts_used_++];
  text.clear();
  return text;
}

void Masker::note(std::string_view rule, std::string_view validator, std::uint8_t kind, std::size_t bytes) {
  if (!findings_) return;
  findings_->push_back({std::string(place_), std::string(rule), ruleset_->kinds.names()[kind], std::string(validator),
                        to_string(ruleset_->actions.of(kind).kind), bytes});
}

void Masker::put(std::string& out, std::uint8_t kind, std::string_view value) {
  using Kind = RedactionAction::Kind;
  ruleset_->actions.append(out, ruleset_->kinds, kind, value);
  const Kind action = ruleset_->actions.of(kind).kind;
  const bool left = action != Kind::kMask && action != Kind::kDrop && !value.empty();
  if (left) {
    (action == Kind::kHash ? remains_.hash : remains_.part) = true;
    remains_.person = remains_.person || ruleset_->kinds.is_person(kind);
  }
  count(kind);
}

void Masker::count_part(std::uint8_t kind) {
  remains_.part = true;
  remains_.person = remains_.person || ruleset_->kinds.is_person(kind);
  note("field", "", kind, 0);
  if (findings_) findings_->back().action = to_string(RedactionAction::Kind::kKeepFirst);
  count(kind);
}

std::string_view Masker::marker(std::uint8_t kind, std::string_view value, std::string_view rule) {
  std::string& text = fresh_text();
  note(rule, "", kind, value.size());
  put(text, kind, value);
  return text;
}

std::string_view Masker::marker(std::uint8_t kind, std::string_view value, std::uint16_t rule) {
  return marker(kind, value, ruleset_->kinds.rules()[rule].rule);
}

std::string_view Masker::mask(std::string_view text, std::string_view key) {
  if (text.empty()) return text;
  const bool is_short = key.empty() && text.size() <= CleanTexts::kBytesMax;
  if (is_short && clean_.has(text)) return text;
  const std::vector<Span>* spans = scanner_.find(text, key);
  if (!spans) return drop_over_budget(text);
  if (!spans->empty()) return mask_again(text, key, spans);
  if (is_short) clean_.add(text);
  return text;
}

std::string_view Masker::drop_over_budget(std::string_view text) {
  remains_.over_budget = true;
  note("budget", "", ruleset_->budget_kind, text.size());
  std::string& mark = fresh_text();
  put(mark, ruleset_->budget_kind, {});  // nothing of what nobody has looked at may stay, not even a hash
  return mark;
}

// Writes the markers, then looks at the result again: masking one thing can bring another to light. Masking until
// nothing is found is what makes redaction of redacted text change nothing. Each pass takes bytes outside markers away,
// so it ends; a text that needs many passes is built to be slow and goes whole.
std::string_view Masker::mask_again(std::string_view text, std::string_view key, const std::vector<Span>* spans) {
  constexpr int kPassesMax = 5;
  for (int pass = 1; !spans->empty(); ++pass) {
    if (pass > kPassesMax) return marker(spans->front().kind);
    std::string& out = fresh_text();
    std::size_t copied = 0;
    for (const Span& span : *spans) {
      out.append(text, copied, span.begin - copied);
      const std::string_view bytes = text.substr(span.begin, span.end - span.begin);
      const Kinds::Origin& origin = ruleset_->kinds.rules()[span.rule];
      note(origin.rule, origin.validator, span.kind, bytes.size());
      put(out, span.kind, span.value != 0 ? std::string_view(scanner_.value(span.value)) : bytes);
      copied = span.end;
    }
    out.append(text, copied);
    text = out;
    spans = scanner_.find(text, key);
    if (!spans) return drop_over_budget(text);
  }
  return text;
}

}  // namespace runtail
