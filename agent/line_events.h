// The events of one line, by one rule for all who read lines: the agent, a replay, and a look that stores nothing.
#pragma once

#include <algorithm>
#include <cstdint>

#include "derive/line_filter.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"

namespace runtail {

// A line may state several events; each is as if it began one byte further, and a line has more bytes than events.
// `first`: as `parser` just gave it. Of each event, in order:
//   complete(event, safe)    puts in what the line does not say itself: its time, defaults
//   outcome(event, safe)     of the line, asked of its first event; not where that has a body that must not be kept:
//                            what is left of such a line is what it counts
//   take(safe, part)         `safe.stored` says whether it gives a row; it begins `part` bytes behind the line
template <typename Complete, typename Outcome, typename Take>
void for_each_event(Parser& parser, Redactor& redactor, StreamMemory& memory, const LogEvent& first,
                    std::uint64_t length, Complete&& complete, Outcome&& outcome, Take&& take) {
  const bool is_dropped = !first.drop.empty();
  LineOutcome of_line = LineOutcome::kDropped;
  const LogEvent* event = &first;
  for (std::uint64_t part = 0; event && part < std::max<std::uint64_t>(length, 1); ++part) {
    // The only way to make one from a line: from here on nothing has ever seen an unmasked value.
    RedactedEvent& safe = part == 0 ? redactor.redact(*event, memory) : redactor.redact(*event);
    complete(*event, safe);
    if (part == 0 && !is_dropped) of_line = outcome(*event, safe);
    safe.stored = of_line == LineOutcome::kStored && !event->is_further;
    take(safe, part);
    event = parser.next();
  }
}

}  // namespace runtail
