// How far a file is read into the agent's own store, where a replay may have taken parts of it only.
//
// A position says one end. What is open before it, because it was outside of the time a replay asked for, stands in an
// entry of the state beside it ("o/...", as "{[0,190),[410,600)}"), which is there only while something is open. The
// agent reads on from the position and never looks at the entry; replays close it.
#pragma once

#include <span>
#include <vector>

#include "buffer/durable_buffer.h"
#include "core/chunk.h"
#include "core/position.h"
#include "sinks/postgres_start.h"

namespace runtail {

struct ReadPlace {
  Position position;      // emitted 0: nothing is read
  CoveredRanges covered;  // up to position.emitted
  bool has_gaps = false;  // in the state
};

// Of one that nothing is known of: the position has its identity, and covers nothing.
ReadPlace read_place(const DurableBuffer& buffer, const FileIdentity& file);
std::vector<StoredPosition> stored_positions(const DurableBuffer& buffer);

// Moves `place` on over what `chunks` cover, in ascending order and all of its file. `after`: where the last of them
// would leave a file that is read without gaps.
void move_on(ReadPlace& place, std::span<const Chunk* const> chunks, const Position& after);
// Into what is written.
void put_place(const ReadPlace& place, Commit& commit);

}  // namespace runtail
