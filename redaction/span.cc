#include "redaction/span.h"

#include <algorithm>

#include "redaction/marker.h"

namespace runtail {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

Result<std::uint8_t> Kinds::add(std::string_view name, RulePriority priority) {
  auto known = std::find(names_.begin(), names_.end(), name);
  if (known == names_.end()) {
    if (names_.size() == 255) return Error{ErrorCode::kInvalidInput, "more than 255 kinds of redaction"};
    names_.emplace_back(name);
    persons_.push_back(false);
    known = names_.end() - 1;
  }
  const auto number = static_cast<std::size_t>(known - names_.begin());
  if (priority == RulePriority::kPii) persons_[number] = true;
  return static_cast<std::uint8_t>(number);
}

std::uint16_t Kinds::add_rule(std::string rule, std::string validator) {
  rules_.push_back({std::move(rule), std::move(validator)});
  return static_cast<std::uint16_t>(rules_.size() - 1);
}

void merge_spans(std::vector<Span>& spans) {
  if (spans.size() < 2) return;
  std::stable_sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end != b.end ? a.end > b.end : a.rule < b.rule;
  });
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
      kept.rule = span.rule;
      kept.value = span.value;
      naming_size = size;
    }
    kept.end = std::max(kept.end, span.end);
  }
  spans.resize(last + 1);
}

bool fit_to_markers(std::string_view text, Span& span) {
  while (span.begin > 0 && span.begin < text.size() && is_continuation(text[span.begin])) --span.begin;
  while (span.end < text.size() && is_continuation(text[span.end])) ++span.end;
  std::size_t unmarked = span.end - span.begin;
  // A marker that reaches into the span may begin before it.
  std::size_t at = span.begin > kMarkerBytesMax ? span.begin - kMarkerBytesMax : 0;
  const auto next = [&](std::size_t from) {
    const std::size_t window = std::min(text.size(), span.end + kMarkerHead.size());
    return from < window ? text.substr(0, window).find(kMarkerHead, from) : std::string_view::npos;
  };
  at = next(at);
  while (at < span.end) {
    const std::size_t size = marker_size(text, at);
    const std::size_t end = at + size;
    if (size > 0 && end > span.begin) {
      unmarked -= std::min(end, span.end) - std::max(at, span.begin);
      span.begin = std::min(span.begin, at);
      span.end = std::max(span.end, end);
    }
    at = next(at + std::max<std::size_t>(size, 1));
  }
  return unmarked > 0;
}

}  // namespace runtail
