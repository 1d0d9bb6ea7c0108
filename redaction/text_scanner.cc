#include "redaction/text_scanner.h"

#include <algorithm>

#include "redaction/encoded_tokens.h"

namespace runtail {
namespace {

// RE2 looks at each byte of an ordinary text a few times; a short text may be looked at often.
constexpr std::uint64_t kWorkBase = 2 << 20;
constexpr std::uint64_t kWorkPerByte = 14;

}  // namespace

ScanRules::ScanRules(std::shared_ptr<Detectors> value_detectors, KeyRules names) : keys(std::move(names)) {
  for (const std::string& literal : keys.literals()) {
    const std::uint32_t number = value_detectors->watch(literal);
    if (is_key_literal.size() <= number) is_key_literal.resize(number + 1, false);
    is_key_literal[number] = true;
  }
  detectors = std::move(value_detectors);
}

TextScanner::TextScanner(const ScanRules& rules) : rules_(&rules), pairs_(rules.keys), levels_(kDepthMax) {}

const std::vector<Span>* TextScanner::find(std::string_view text, std::string_view key, GateUse gate) {
  spans_.clear();
  values_.clear();
  WorkBudget budget(kWorkBase + kWorkPerByte * text.size());
  if (!scan(text, key, 0, budget, spans_, gate)) return nullptr;
  merge_spans(spans_);
  return &spans_;
}

bool TextScanner::scan(std::string_view text, std::string_view key, int depth, WorkBudget& budget,
                       std::vector<Span>& spans, GateUse gate) {
  const TextTraits traits = traits_of(text);
  scan_plain(text, key, traits, depth, budget, spans, gate);
  if (budget.is_over()) return false;
  if (!traits.escapes && !traits.not_ascii) return true;
  Level& level = levels_[static_cast<std::size_t>(depth)];
  std::string_view source = text;
  bool is_form = false;
  for (int layer = 0; decode_layer(source, level.views[layer % 2]); ++layer) {
    if (layer == kLayersMax) return false;
    const DecodedView& view = level.views[layer % 2];
    if (layer == 0) {
      level.from = view.from;
    } else {
      std::vector<std::uint32_t> through(view.from.size());
      for (std::size_t i = 0; i < through.size(); ++i) through[i] = level.from[view.from[i]];
      level.from.swap(through);
    }
    const std::size_t first = spans.size();
    const TextTraits seen = traits_of(view.text);
    scan_plain(view.text, key, seen, depth, budget, spans, gate);
    // In a form a '+' is a space; elsewhere it is not, so both are looked at.
    is_form = is_form || view.had_percent;
    if (is_form && view.text.find('+') != std::string::npos) {
      level.spaced.assign(view.text);
      std::replace(level.spaced.begin(), level.spaced.end(), '+', ' ');
      scan_plain(level.spaced, key, seen, depth, budget, spans, gate);
    }
    if (budget.is_over()) return false;
    std::size_t kept = first;
    for (std::size_t i = first; i < spans.size(); ++i) {
      Span span = spans[i];
      if (span.value == 0) {
        values_.emplace_back(view.text, span.begin, span.end - span.begin);
        span.value = static_cast<std::uint32_t>(values_.size());
      }
      span.begin = level.from[span.begin];
      span.end = level.from[span.end];
      if (span.begin < span.end && fit_to_markers(text, span)) spans[kept++] = span;
    }
    spans.resize(kept);
    source = view.text;
  }
  return true;
}

void TextScanner::scan_plain(std::string_view text, std::string_view key, const TextTraits& traits, int depth,
                             WorkBudget& budget, std::vector<Span>& spans, GateUse gate) {
  Level& level = levels_[static_cast<std::size_t>(depth)];
  const std::size_t first = spans.size();
  rules_->detectors->find(text, key, traits, level.scratch, budget, spans, gate);
  level.key_hits.clear();
  for (const GateHit& hit : level.scratch.hits) {
    if (hit.literal >= rules_->is_key_literal.size() || !rules_->is_key_literal[hit.literal]) continue;
    level.key_hits.push_back({hit.begin, hit.begin + rules_->detectors->bytes_of(hit.literal)});
  }
  if (!level.key_hits.empty()) pairs_.find(text, level.key_hits, first, budget, spans);
  if (text.size() < kTokenBytesMin || depth + 1 >= kDepthMax) return;
  const auto look_inside = [&](Window window) {
    const std::string decoded = decoded_text(text.substr(window.begin, window.end - window.begin));
    if (decoded.empty() || budget.is_over()) return !decoded.empty();
    Level& below = levels_[static_cast<std::size_t>(depth) + 1];
    below.found.clear();
    if (!scan(decoded, {}, depth + 1, budget, below.found, gate)) budget.spend(UINT64_MAX);
    if (below.found.empty()) return true;
    Span span = below.found.front();
    if (span.value == 0) {
      values_.emplace_back(decoded, span.begin, span.end - span.begin);
      span.value = static_cast<std::uint32_t>(values_.size());
    }
    span.begin = window.begin;
    span.end = window.end;
    if (fit_to_markers(text, span)) spans.push_back(span);
    return true;
  };
  each_token(text, [&](Window run) {
    if (!look_inside(run)) each_part(text, run, look_inside);
  });
}

}  // namespace runtail
