#include "agent/old_runs.h"

#include <functional>

#include "core/run_record.h"

namespace runtail {
namespace {

constexpr std::chrono::seconds kLookEvery{10};
constexpr std::size_t kAtATime = 1000;
constexpr std::size_t kSeenMax = 10'000;
constexpr Table kRunTables[] = {Table::kJobRuns, Table::kRunAttempts, Table::kTaskRuns};

bool may_go(const StateEntry& entry, TimePoint now) {
  const auto record = decode_run_record(entry.value);
  return record && is_terminal(record->run.state.status) && record->running.job_id.empty() &&
         record->run.last_event_at && is_too_old(*record->run.last_event_at, now);
}

}  // namespace

std::vector<std::string> OldRuns::look(TimePoint now) {
  std::vector<std::string> out;
  const bool is_anew = after_.empty();
  // A clock that was set back does not matter.
  const auto is_in = [&](TimePoint at, std::chrono::microseconds wait) { return at <= now && now - at < wait; };
  if (is_in(looked_at_, kLookEvery) || (is_anew && is_in(began_at_, kQuiet))) return out;
  looked_at_ = now;
  if (is_anew) began_at_ = now;
  const std::vector<StateEntry> entries = buffer_.scan("r/", after_, kAtATime);
  after_ = entries.size() < kAtATime ? "" : entries.back().key;
  for (const StateEntry& entry : entries) {
    if (!may_go(entry, now)) continue;
    const std::size_t digest = std::hash<std::string>()(entry.value);
    const auto found = seen_.find(entry.key);
    if (found != seen_.end() && found->second.digest == digest) {
      if (is_in(found->second.at, kQuiet)) continue;
      seen_.erase(found);
      out.push_back(entry.key);
    } else if (found != seen_.end() || seen_.size() < kSeenMax) {
      seen_[entry.key] = {digest, now};
    }
  }
  return out;
}

void add_run_records(TableSet tables, RecordCounts& counts) {
  for (const Table table : kRunTables) counts[table] += (tables & set_of(table)) != 0 ? 1 : 0;
}

}  // namespace runtail
