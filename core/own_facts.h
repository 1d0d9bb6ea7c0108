// Facts runtail itself states, as events that need no redaction: they hold nothing of a tailed line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/event.h"

namespace runtail {

// How a worker ended, as its wrapper saw it.
struct WorkerExit {
  int exit_code = 0;    // of the process; 0 if a signal ended it
  int exit_signal = 0;  // 0 if it exited by itself
  std::int64_t duration_ms = 0;
};

// Owns the texts its events point into: valid until the next call.
class OwnFacts {
 public:
  OwnFacts() = default;
  OwnFacts(const OwnFacts&) = delete;
  OwnFacts& operator=(const OwnFacts&) = delete;

  // The wrapper's own run starts. `job` is the wrapper's --job, or "" for the source's default.
  const RedactedEvent& run_started(const Uuid& run_id, std::string_view job, TimePoint at);
  // The worker ended: a verdict by exit for `run_id`, in the attempt the run is in.
  const RedactedEvent& run_ended(const Uuid& run_id, std::string_view job, int attempt, const WorkerExit& exit,
                                 TimePoint at);

 private:
  void begin(const Uuid& run_id, std::string_view job, TimePoint at);
  RedactedEvent event_;
  std::string run_text_, job_, message_;
};

}  // namespace runtail
