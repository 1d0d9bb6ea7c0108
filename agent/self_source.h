// What the agent says of itself, as a source of its own: that it is alive, every 15 s and at a clean end (until
// then nobody takes silence of its jobs for news); what its metrics were, every quarter of an hour and at a clean end.
// It takes the way of lines, so that its records are durable, delivered once and in the ledger like all others.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/source.h"

namespace runtail {

struct SelfSettings {
  std::string agent, environment;
  std::string config_digest;
  bool with_snapshots = true;
  TimePoint started_at{};
};

// What only the whole agent knows.
struct AgentCondition {
  bool degraded = false;
  std::uint64_t lag_bytes = 0, buffer_bytes = 0, lost_bytes = 0;
  std::optional<TimePoint> oldest_unread;
};

// Threads: one.
class SelfSource final : public Source {
 public:
  // The buffer's state entry that says since when the next snapshot is waited for.
  static constexpr std::string_view kStateKey = "a/self";
  static constexpr std::chrono::seconds kBeatEvery{15};
  static constexpr std::chrono::minutes kSnapshotEvery{15};

  // `positions` and `known` (the state entry): what is durable. `condition` is asked before each heartbeat, by the
  // thread of read().
  SelfSource(SelfSettings settings, const std::vector<Position>& positions, const std::optional<std::string>& known,
             std::function<AgentCondition()> condition);

  std::optional<LineBlock> read(TimePoint now) override;
  std::optional<LineBlock> last_words(TimePoint now) override;
  std::optional<TimePoint> due() const override { return next_beat_; }
  void clock_stepped(std::chrono::microseconds by) override;
  bool has_ended() const override { return true; }
  SourceStatus status() const override { return {}; }

 private:
  LineBlock block(TimePoint now, bool is_last);

  const SelfSettings settings_;
  const std::function<AgentCondition()> condition_;
  Position position_;  // of a file that exists nowhere else
  std::optional<TimePoint> last_ts_;
  std::optional<TimePoint> next_beat_, next_snapshot_;  // nothing: not known yet
};

}  // namespace runtail
