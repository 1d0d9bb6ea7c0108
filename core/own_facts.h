// Facts runtail itself states, as events that need no redaction: they hold nothing of a tailed line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/event.h"
#include "core/metric.h"
#include "core/run_state.h"
#include "core/worker_ids.h"

namespace runtail {

// How a worker ended, as its wrapper saw it.
struct WorkerExit {
  int exit_code = 0;    // of the process; 0 if a signal ended it
  int exit_signal = 0;  // 0 if it exited by itself
  std::int64_t duration_ms = 0;
  std::int64_t cpu_us = 0;         // user and system, of the process and the children it waited for
  std::int64_t max_rss_bytes = 0;  // of the largest of them; 0: unknown
};

// A worker is gone without a word. Nobody saw its exit: what is known is evidence.
struct WorkerGone {
  EndReason reason = EndReason::kLost;  // kLost, kSignal, kOom
  int exit_signal = 0;                  // if known
  std::string_view evidence{};          // "its process ended": literals only
  std::optional<TimePoint> at{};        // when it was seen to go; nothing: it went while nobody looked
  std::optional<TimePoint> next_at{};   // since when another worker runs in its place, if one does
};

// The service of an agent's own heartbeat; no line may speak for it.
inline constexpr std::string_view kOwnService = "runtail";

// How an agent is, from time to time.
struct AgentBeat {
  TimePoint at{}, started_at{};
  std::string_view instance{}, environment{}, version{}, git_sha{}, config_digest{};
  std::string_view status = "ok";  // "ok", "degraded", "stopping"
  double cpu_seconds = 0, lag_seconds = 0;
  std::int64_t rss_bytes = 0, fds = 0, threads = 0, lag_bytes = 0, buffer_bytes = 0, lost_bytes = 0;
};

// Owns the texts its events point into: valid until the next call, and as long as the ids given.
class OwnFacts {
 public:
  OwnFacts() = default;
  OwnFacts(const OwnFacts&) = delete;
  OwnFacts& operator=(const OwnFacts&) = delete;

  // The wrapper's own run starts. `job` is the wrapper's --job, or "" for the source's default.
  const RedactedEvent& run_started(const Uuid& run_id, std::string_view job, const WorkerIds& ids, TimePoint at);
  // The worker ended: a verdict by exit for `run_id`, in the attempt the run is in.
  const RedactedEvent& run_ended(const Uuid& run_id, std::string_view job, int attempt, const WorkerExit& exit,
                                 const WorkerIds& ids, TimePoint at);
  // The same for the task that the ids name; its run stays as it is.
  const RedactedEvent& task_started(const WorkerIds& ids, TimePoint at);
  const RedactedEvent& task_ended(const WorkerExit& exit, const WorkerIds& ids, TimePoint at);
  // The worker is gone: an inferred verdict for `run` in the attempt it is in, later than all that is known of it.
  const RedactedEvent& run_lost(const RunState& run, const WorkerGone& gone);
  // The same for the task that the ids name. `last`: of the newest event of its run, if there is one.
  const RedactedEvent& task_lost(const WorkerIds& ids, std::optional<TimePoint> last, const WorkerGone& gone);
  // Of the agent itself: no log line goes with these.
  const RedactedEvent& heartbeat(const AgentBeat& beat);
  const RedactedEvent& snapshot(const Series& series, TimePoint at);

 private:
  void begin_own(EventKind kind, TimePoint at);
  void begin(const Uuid& run_id, std::string_view job, const WorkerIds& ids, TimePoint at);
  void begin_task(const WorkerIds& ids, TimePoint at);
  void put_exit(const WorkerExit& exit);
  void put_gone(const WorkerGone& gone);
  static TimePoint gone_at(std::optional<TimePoint> last_event_at, const WorkerGone& gone);
  RedactedEvent event_;
  std::string run_text_, job_, message_, context_, metrics_;
  std::string environment_, service_, dialect_;  // of a lost run: its verdict must not contradict them
};

}  // namespace runtail
