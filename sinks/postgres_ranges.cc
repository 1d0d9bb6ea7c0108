#include "sinks/postgres_ranges.h"

#include <algorithm>
#include <charconv>

namespace runtail {

std::optional<CoveredRanges> CoveredRanges::parse(std::string_view text) {
  CoveredRanges out;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto take = [&](char c) { return at < end && *at == c ? (++at, true) : false; };
  const auto number = [&](std::uint64_t& value) {
    const auto [rest, error] = std::from_chars(at, end, value);
    at = rest;
    return error == std::errc{};
  };
  if (!take('{')) return std::nullopt;
  if (take('}')) return at == end ? std::optional(out) : std::nullopt;
  do {
    ByteRange range;
    if (!take('[') || !number(range.from) || !take(',') || !number(range.to) || !take(')')) return std::nullopt;
    out.add(range);
  } while (take(','));
  return take('}') && at == end ? std::optional(out) : std::nullopt;
}

std::string CoveredRanges::to_text() const {
  std::string out = "{";
  for (const ByteRange& range : ranges_) {
    if (out.size() > 1) out += ',';
    out += '[' + std::to_string(range.from) + ',' + std::to_string(range.to) + ')';
  }
  return out + '}';
}

void CoveredRanges::add(ByteRange range) {
  if (range.from >= range.to) return;
  // All that touch or overlap `range` become one with it.
  const auto first = std::lower_bound(ranges_.begin(), ranges_.end(), range.from,
                                      [](const ByteRange& r, std::uint64_t from) { return r.to < from; });
  auto last = first;
  for (; last != ranges_.end() && last->from <= range.to; ++last) {
    range.from = std::min(range.from, last->from);
    range.to = std::max(range.to, last->to);
  }
  ranges_.insert(ranges_.erase(first, last), range);
}

bool CoveredRanges::contains(std::uint64_t offset) const {
  const auto found = std::upper_bound(ranges_.begin(), ranges_.end(), offset,
                                      [](std::uint64_t at, const ByteRange& r) { return at < r.to; });
  return found != ranges_.end() && found->from <= offset;
}

CoveredRanges CoveredRanges::missing_of(ByteRange range) const {
  CoveredRanges out;
  std::uint64_t at = range.from;
  for (const ByteRange& have : ranges_) {
    if (have.to <= at) continue;
    if (have.from >= range.to) break;
    out.add({at, have.from});
    at = std::max(at, have.to);
  }
  out.add({at, range.to});
  return out;
}

}  // namespace runtail
