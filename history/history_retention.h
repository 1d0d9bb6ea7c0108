// What the history that an agent keeps itself lets go by age: runs and all that hangs on them, results, jobs, datasets
// and instances that nobody spoke of for so long.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "history/kept_state.h"

namespace runtail {

// Longer than any question reaches back: windows have 90 days at most.
inline constexpr std::chrono::days kHistoryKept{100};

// Threads: one.
class HistoryRetention {
 public:
  explicit HistoryRetention(const KeptState& kept) : kept_(kept) {}  // outlives this

  // Keys of entries to be forgotten now; about `keys_max` of them, the rest with later calls. `oldest`: the first chunk
  // that is kept.
  std::vector<std::string> expired(TimePoint now, Sequence oldest, std::size_t keys_max = 5000);

 private:
  const KeptState& kept_;
  std::string places_from_;  // where the look for places in chunks that are gone goes on
};

}  // namespace runtail
