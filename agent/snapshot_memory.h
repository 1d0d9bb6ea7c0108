// Which series a snapshot holds: those that are not as the last one had them. Kept in the buffer with the commit of the
// snapshot, so that a crash neither repeats nor leaves out a change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>

#include "core/metric.h"

namespace runtail {

// Threads: the pipeline's only. Memory: 8 bytes and a set's node a series.
class SnapshotMemory {
 public:
  // The buffer's state entry. Damaged bytes: everything counts as changed.
  static constexpr std::string_view kStateKey = "a/snapshot";
  explicit SnapshotMemory(const std::optional<std::string>& known);

  // Begins a snapshot: each series is shown to take() once.
  void begin() { now_.clear(); }
  // True if it is not as it was at the last snapshot.
  bool take(const Series& series);
  // The entry that makes this snapshot the last one.
  std::string end();

 private:
  std::unordered_set<std::uint64_t> last_, now_;  // digests of name, labels and values
};

}  // namespace runtail
