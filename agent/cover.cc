#include "agent/cover.h"

#include <algorithm>

namespace runtail {

bool cover(const std::vector<Unit>& units, const std::vector<std::uint64_t>& ends, std::uint64_t whole_to,
           const Framing& framing, Position& position, LineBlock& block) {
  const std::uint64_t emitted = position.emitted, resume = position.resume;
  std::uint64_t to = std::max(emitted, whole_to);
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[i];
    to = std::max(to, ends[i]);
    block.lines.push_back({.offset = unit.offset,
                           // Its last byte but the newline lies in what this block covers.
                           .length = std::max(ends[i], emitted + 2) - unit.offset,
                           .bytes = unit.bytes,
                           .too_long = unit.too_long,
                           .orphan = unit.orphan,
                           .lines = unit.lines,
                           .output = unit.output,
                           .envelope_time = unit.envelope_time,
                           .own_bytes = unit.own_bytes});
  }
  const bool is_open_there = framing.has_carried() || (framing.has_open() && framing.oldest_open() < to);
  // A unit of one byte would not end in what is left. An empty line need not: it is counted, and nothing comes of it.
  const auto is_empty_line = [](const Line& line) { return line.bytes.empty() && !line.too_long && !line.orphan; };
  const bool may_end_before = block.lines.empty() || block.lines.back().length > 1 || is_empty_line(block.lines.back());
  if (is_open_there && to > emitted && may_end_before) --to;
  position.emitted = to;
  position.resume = framing.has_carried() ? 0 : framing.has_open() ? std::min(framing.oldest_open(), to) : to;
  block.covers = {emitted, to};
  return !block.lines.empty() || position.emitted != emitted || position.resume != resume;
}

}  // namespace runtail
