#include "agent/silent_runs.h"

#include "core/bytes.h"
#include "core/run_record.h"

namespace runtail {
namespace {

constexpr std::string_view kPrefix = "o/";

std::string key_of(const Uuid& run_id) { return std::string(kPrefix) + to_string(run_id); }

}  // namespace

SilentRuns::SilentRuns(const DurableBuffer& buffer, std::size_t runs_max) : runs_max_(runs_max) {
  for (const StateEntry& entry : buffer.scan(kPrefix)) {
    const auto run_id = parse_uuid(std::string_view(entry.key).substr(kPrefix.size()));
    ByteReader reader(entry.value);
    Open open;
    open.last_event_at = open.listed_at = from_micros(reader.zigzag());
    open.job_id = reader.text();
    open.is_durable = true;
    if (!run_id || reader.failed()) continue;
    by_silence_.emplace(open.listed_at, *run_id);
    const auto at = open_.emplace(*run_id, std::move(open)).first;
    // A replay may have ended it while no agent ran.
    const auto bytes = buffer.get(run_key(*run_id));
    const auto record = bytes ? decode_run_record(*bytes) : std::nullopt;
    if (record && is_terminal(record->run.state.status)) drop(at);
  }
}

void SilentRuns::take(const RunState& run) {
  const bool is_open = run.state.stamp.attempt > 0 && !is_terminal(run.state.status) && run.last_event_at;
  auto known = open_.find(run.run_id);
  if (!is_open) {
    if (known != open_.end()) drop(known);
    return;
  }
  if (known == open_.end()) {
    if (open_.size() >= runs_max_) drop(most_silent());
    known = open_.try_emplace(run.run_id).first;
    known->second.listed_at = *run.last_event_at;
    by_silence_.emplace(*run.last_event_at, run.run_id);
  } else if (known->second.last_event_at == *run.last_event_at && known->second.job_id == run.job_id) {
    return;
  }
  Open& open = known->second;
  open.last_event_at = *run.last_event_at;
  open.job_id = run.job_id;
  if (!std::exchange(open.is_changed, true)) changed_.push_back(run.run_id);
}

SilentRuns::Runs::iterator SilentRuns::most_silent() {
  while (true) {
    const auto first = by_silence_.begin();
    const auto run = open_.find(first->second);
    if (run->second.listed_at == run->second.last_event_at) return run;
    // It has spoken since it was listed.
    run->second.listed_at = run->second.last_event_at;
    by_silence_.erase(first);
    by_silence_.emplace(run->second.listed_at, run->first);
  }
}

void SilentRuns::drop(Runs::iterator run) {
  by_silence_.erase({run->second.listed_at, run->first});
  if (run->second.is_durable) gone_.push_back(run->first);
  open_.erase(run);
}

void SilentRuns::show(TimePoint now, MetricTable& metrics) {
  std::set<std::string> stalled;
  if (!open_.empty()) most_silent();
  for (auto at = by_silence_.begin(); at != by_silence_.end() && now - at->first > kStalledAfter;) {
    const auto run = open_.find((at++)->second);
    if (now - run->second.last_event_at > kStalledAfter) stalled.insert(run->second.job_id);
  }
  std::vector<std::string> shown;
  metrics.for_each([&](const Series& series) {
    if (series.metric == Metric::kJobStalled && series.value > 0) shown.push_back(series.labels.front());
  });
  for (const std::string& job_id : shown) {
    if (!stalled.contains(job_id)) metrics.set(Metric::kJobStalled, {job_id}, 0);
  }
  for (const std::string& job_id : stalled) metrics.set(Metric::kJobStalled, {job_id}, 1);
}

void SilentRuns::take_changed(Commit& commit) {
  for (const Uuid& run_id : gone_) commit.forget.push_back(key_of(run_id));
  gone_.clear();
  for (const Uuid& run_id : changed_) {
    const auto run = open_.find(run_id);
    if (run == open_.end() || !std::exchange(run->second.is_changed, false)) continue;
    StateEntry entry{key_of(run_id), {}};
    ByteWriter writer(entry.value);
    writer.zigzag(to_micros(run->second.last_event_at));
    writer.text(run->second.job_id);
    commit.state.push_back(std::move(entry));
    run->second.is_durable = true;
  }
  changed_.clear();
}

}  // namespace runtail
