// The runs that are open and of which nothing was heard for long: a job that has one is stalled.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "buffer/durable_buffer.h"
#include "core/metric.h"
#include "core/run_state.h"

namespace runtail {

// Threads: the pipeline's only. What it knows is durable with the commit that changed it.
class SilentRuns {
 public:
  // As the view observability.runs has it where a job says nothing else.
  static constexpr std::chrono::minutes kStalledAfter{15};

  // Follows at most `runs_max` runs; beyond it those silent for the longest are let go, and stall no job any more.
  explicit SilentRuns(const DurableBuffer& buffer, std::size_t runs_max = 10'000);

  // After each fact about the run.
  void take(const RunState& run);
  // Moves trialsync_job_stalled to what is true now.
  void show(TimePoint now, MetricTable& metrics);
  // For the commit.
  void take_changed(Commit& commit);

 private:
  struct Open {
    TimePoint last_event_at{}, listed_at{};
    std::string job_id;
    bool is_changed = false, is_durable = false;
  };
  using Runs = std::unordered_map<Uuid, Open>;
  // The run silent for the longest. There is one.
  Runs::iterator most_silent();
  void drop(Runs::iterator run);

  const std::size_t runs_max_;
  Runs open_;
  std::set<std::pair<TimePoint, Uuid>> by_silence_;  // of open_, by listed_at: never later than last_event_at
  std::vector<Uuid> changed_, gone_;                 // whose entries in the buffer are to be written, or forgotten
};

}  // namespace runtail
