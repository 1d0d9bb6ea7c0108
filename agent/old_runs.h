// Runs are kept in the agent's state for so long after their last line, and then let go, a few at a time.
//
// The record of a run says what of it the counters hold already. It goes when no line can name it any more: the run
// ended long ago, everything there is has been read, and at least an hour ago the record was as it is now. Runs that
// never ended stay. What a replay finds of runs that old is expired: it creates nothing.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "buffer/durable_buffer.h"
#include "core/chunk.h"

namespace runtail {

// Threads: one.
class OldRuns {
 public:
  static constexpr std::chrono::days kKept{100};
  static constexpr std::chrono::hours kQuiet{1};

  explicit OldRuns(const DurableBuffer& buffer) : buffer_(buffer) {}

  // Asked while nothing is left to read, as often as one likes: looks at some of the runs, and gives the keys of those
  // that may go with the next commit.
  std::vector<std::string> look(TimePoint now);

 private:
  struct Seen {
    std::size_t digest = 0;
    TimePoint at{};
  };
  const DurableBuffer& buffer_;  // not owned, outlives this
  std::string after_;            // the run looked at last
  TimePoint looked_at_{}, began_at_{};
  std::unordered_map<std::string, Seen> seen_;  // old ones, by key
};

// What a line of that time says of runs is not kept any more.
inline bool is_too_old(TimePoint at, TimePoint now) { return at < now - OldRuns::kKept; }
// Adds the records of runs among those of a line.
void add_run_records(TableSet tables, RecordCounts& counts);

}  // namespace runtail
