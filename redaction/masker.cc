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

Masker::Masker(std::shared_ptr<const Detectors> detectors, std::shared_ptr<const Kinds> kinds)
    : detectors_(std::move(detectors)), kinds_(std::move(kinds)), counts_(kinds_->names().size(), 0) {}

void Masker::begin() {
  for (std::size_t i = 0; i < texts_used_; ++i) {
    if (texts_[i].capacity() > kKeptBytesMax) std::string().swap(texts_[i]);
  }
  texts_used_ = 0;
  if (masked_any_) std::fill(counts_.begin(), counts_.end(), 0);
  masked_any_ = false;
}

std::string& Masker::fresh_text() {
  if (texts_used_ == texts_.size()) texts_.emplace_back();
  std::string& text = texts_[texts_used_++];
  text.clear();
  return text;
}

std::string_view Masker::marker(std::uint8_t kind) {
  std::string& text = fresh_text();
  append_marker(text, kinds_->names()[kind]);
  count(kind);
  return text;
}

std::string_view Masker::mask(std::string_view text, std::string_view key) {
  if (text.empty()) return text;
  const bool is_short = key.empty() && text.size() <= CleanTexts::kBytesMax;
  if (is_short && clean_.has(text)) return text;
  detectors_->find(text, key, spans_);
  if (!spans_.empty()) return mask_again(text, key);
  if (is_short) clean_.add(text);
  return text;
}

// Writes the markers, then looks at the result again: masking one thing can bring another to light. Masking until
// nothing is found is what makes redaction of redacted text change nothing. Each pass takes bytes outside markers away,
// so it ends; a text that needs many passes is built to be slow and goes whole.
std::string_view Masker::mask_again(std::string_view text, std::string_view key) {
  constexpr int kPassesMax = 5;
  for (int pass = 1; !spans_.empty(); ++pass) {
    if (pass > kPassesMax) return marker(spans_.front().kind);
    std::string& out = fresh_text();
    std::size_t copied = 0;
    for (const Span& span : spans_) {
      out.append(text, copied, span.begin - copied);
      append_marker(out, kinds_->names()[span.kind]);
      count(span.kind);
      copied = span.end;
    }
    out.append(text, copied);
    text = out;
    detectors_->find(text, key, spans_);
  }
  return text;
}

}  // namespace runtail
