#include "agent/self_source.h"

#include <sys/random.h>

#include <algorithm>
#include <charconv>

#include "agent/own_process.h"
#include "core/build_info.h"

namespace runtail {
namespace {

// Room for the places of a heartbeat and of every series there may be; 2^31 of them fit in a position.
constexpr std::uint64_t kNoteSpan = std::uint64_t{1} << 32;

}  // namespace

SelfSource::SelfSource(SelfSettings settings, const std::vector<Position>& positions,
                       const std::optional<std::string>& known, std::function<AgentCondition()> condition)
    : settings_(std::move(settings)), condition_(std::move(condition)) {
  // No source's default stream: their names hold no '/'.
  position_.file.stream = settings_.agent + "/runtail/self";
  const auto before = std::find_if(positions.begin(), positions.end(),
                                   [this](const Position& each) { return each.file.stream == position_.file.stream; });
  if (before != positions.end()) {
    position_ = *before;
  } else {
    (void)!getrandom(position_.file.file_key.data(), position_.file.file_key.size(), 0);
  }
  position_.source.clear();
  std::int64_t micros = 0;
  if (known && std::from_chars(known->data(), known->data() + known->size(), micros).ec == std::errc()) {
    next_snapshot_ = from_micros(micros) + kSnapshotEvery;
  }
}

std::optional<LineBlock> SelfSource::read(TimePoint now) {
  // Where the clock was set back, nothing waits for it to come again.
  if (next_beat_ && now < *next_beat_ && *next_beat_ - now <= kBeatEvery) return std::nullopt;
  return block(now, false);
}

std::optional<LineBlock> SelfSource::last_words(TimePoint now) { return block(now, true); }

LineBlock SelfSource::block(TimePoint now, bool is_last) {
  next_beat_ = now + kBeatEvery;
  const bool is_first = !next_snapshot_;
  if (is_first || *next_snapshot_ - now > kSnapshotEvery) next_snapshot_ = now + kSnapshotEvery;
  const bool with_snapshot = settings_.with_snapshots && (is_last || now >= *next_snapshot_);
  if (position_.first_seen == TimePoint{}) position_.first_seen = now;

  LineBlock block;
  block.covers = {position_.emitted, position_.emitted + kNoteSpan};
  position_.emitted = position_.resume = block.covers.to;
  block.position = position_;
  block.last_ts = &last_ts_;
  block.default_job_id = position_.file.stream;
  if (with_snapshot) next_snapshot_ = now + kSnapshotEvery;
  // From the first time on: an agent that never lives for long takes snapshots, too.
  if (with_snapshot || is_first) {
    block.state.push_back({std::string(kStateKey), std::to_string(to_micros(now))});
  }

  const AgentCondition condition = condition_();
  const OwnProcess process = read_own_process(now);
  AgentNote& note = block.agent_note.emplace();
  note.with_snapshot = with_snapshot;
  AgentBeat& beat = note.beat;
  beat.at = now;
  beat.started_at = std::min(settings_.started_at, now);
  beat.instance = settings_.agent;
  beat.environment = settings_.environment;
  beat.version = build_version();
  beat.git_sha = build_git_sha();
  beat.config_digest = settings_.config_digest;
  beat.status = is_last ? "stopping" : condition.degraded ? "degraded" : "ok";
  beat.cpu_seconds = process.cpu_seconds;
  beat.rss_bytes = process.resident_bytes;
  beat.fds = process.open_fds;
  beat.threads = process.threads;
  beat.lag_bytes = static_cast<std::int64_t>(condition.lag_bytes);
  beat.buffer_bytes = static_cast<std::int64_t>(condition.buffer_bytes);
  beat.lost_bytes = static_cast<std::int64_t>(condition.lost_bytes);
  if (condition.oldest_unread && *condition.oldest_unread < now) {
    beat.lag_seconds = static_cast<double>((now - *condition.oldest_unread).count()) / 1e6;
  }
  return block;
}

void SelfSource::clock_stepped(std::chrono::microseconds by) {
  if (next_beat_) *next_beat_ += by;
  if (next_snapshot_) *next_snapshot_ += by;
}

}  // namespace runtail
