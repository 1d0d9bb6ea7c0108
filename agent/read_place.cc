#include "agent/read_place.h"

#include <utility>

namespace runtail {
namespace {

std::string gaps_key(const FileIdentity& file) { return "o/" + position_key(file); }

CoveredRanges covered_of(const DurableBuffer& buffer, const Position& position, bool& has_gaps) {
  CoveredRanges gaps;
  if (const auto text = buffer.get(gaps_key(position.file))) gaps = CoveredRanges::parse(*text).value_or(gaps);
  has_gaps = !gaps.empty();
  return gaps.missing_of({0, position.emitted});
}

}  // namespace

ReadPlace read_place(const DurableBuffer& buffer, const FileIdentity& file) {
  ReadPlace place;
  place.position.file = file;
  if (const auto bytes = buffer.get(position_key(file))) {
    if (auto known = decode_position(*bytes)) place.position = std::move(*known);
  }
  place.covered = covered_of(buffer, place.position, place.has_gaps);
  return place;
}

std::vector<StoredPosition> stored_positions(const DurableBuffer& buffer) {
  std::vector<StoredPosition> out;
  bool has_gaps = false;
  for (const Position& each : buffer.positions()) {
    out.push_back({each.file, covered_of(buffer, each, has_gaps), each.confirm, each.first_seen, {}});
  }
  return out;
}

void move_on(ReadPlace& place, std::span<const Chunk* const> chunks, const Position& after) {
  const std::uint64_t had = place.covered.upper();
  for (const Chunk* each : chunks) place.covered.add(each->covers);
  const Chunk& last = *chunks.back();
  if (last.covers.to <= had) return;
  place.position = after;
  place.position.confirm = last.confirm;
  // Behind it lines were left out, so nothing is open there.
  if (last.covers.to != after.emitted) place.position.emitted = place.position.resume = last.covers.to;
}

void put_place(const ReadPlace& place, Commit& commit) {
  commit.positions.push_back(place.position);
  const CoveredRanges gaps = place.covered.missing_of({0, place.position.emitted});
  if (!gaps.empty()) {
    commit.state.push_back({gaps_key(place.position.file), gaps.to_text()});
  } else if (place.has_gaps) {
    commit.forget.push_back(gaps_key(place.position.file));
  }
}

}  // namespace runtail
