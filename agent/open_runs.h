// The runs one worker has begun and not ended, as far as its lines say: what its end ends.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/run_state.h"

namespace runtail {

class OpenRuns {
 public:
  // Each takes an offset of a note (agent/line_block.h). A worker with more of them open at once is not followed
  // further: the runs beyond stay as their lines left them.
  static constexpr std::size_t kMax = 4000;

  // What a line says of its run.
  void take(const RunFact& fact);
  void forget(const Uuid& run_id);
  // A line has named a run, whether or not it is open.
  bool has_named_any() const { return has_named_any_; }
  // Run -> attempt last seen.
  const std::map<Uuid, int>& runs() const { return runs_; }

  // Bytes that decode() takes, if anything changed since the last call.
  std::optional<std::string> take_changed();
  // Nothing: no line has named a run.
  static OpenRuns decode(const std::optional<std::string>& bytes);

 private:
  std::map<Uuid, int> runs_;
  bool has_named_any_ = false;
  bool changed_ = false;
};

}  // namespace runtail
