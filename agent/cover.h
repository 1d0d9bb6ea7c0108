// From the units that framing made whole to the lines of a block, and how far into the source that block gets.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/line_block.h"
#include "core/position.h"
#include "parsers/framing.h"

namespace runtail {

// Fills lines and covers of `block` and moves `position` on; false: there is nothing new. `ends`: where each unit
// became whole. `whole_to`: whatever lies before it is whole, apart from what is open.
//
// While a unit is open, the last byte of what was covered, a newline, is left out of `emitted`: a unit that time makes
// whole, without a further byte, ends there.
bool cover(const std::vector<Unit>& units, const std::vector<std::uint64_t>& ends, std::uint64_t whole_to,
           const Framing& framing, Position& position, LineBlock& block);

}  // namespace runtail
