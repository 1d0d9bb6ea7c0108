#include "agent/kept_history.h"

#include <map>
#include <utility>

#include "core/run_record.h"
#include "history/kept_keys.h"
#include "history/run_index.h"

namespace runtail {
namespace {

constexpr std::size_t kEntriesAtATime = 1000;

}  // namespace

Result<std::optional<Chunk>> KeptHistory::chunk(Sequence sequence) const {
  auto chunks = buffer_.read_after(sequence - 1, 1);
  if (!chunks) return chunks.error();
  if (chunks->empty() || chunks->front().sequence != sequence) return std::optional<Chunk>();
  return std::optional(std::move(chunks->front().chunk));
}

Result<void> index_kept_runs(DurableBuffer& buffer) {
  if (buffer.get(kIndexed)) return {};
  Commit commit;
  // What an index that was not kept up has left.
  buffer.each(kRunTimes, {}, [&commit](std::string_view key, std::string_view) {
    commit.forget.emplace_back(key);
    return true;
  });
  // When each job was last spoken of; what is kept of it may be later.
  std::map<std::string, TimePoint> jobs;
  Result<void> written;
  const auto write = [&] {
    const auto appended = buffer.append(std::exchange(commit, {}));
    if (!appended) written = appended.error();
    return written.has_value();
  };
  buffer.each("r/", {}, [&](std::string_view, std::string_view value) {
    const auto record = decode_run_record(value);
    if (!record || !record->run.first_event_at) return true;
    auto [key, entry] = index_entry(record->run);
    commit.state.push_back({std::move(key), std::move(entry)});
    TimePoint& last = jobs[record->run.job_id];
    last = std::max(last, *record->run.last_event_at);
    return commit.state.size() < kEntriesAtATime || write();
  });
  if (!written) return written;
  for (const auto& [job, last] : jobs) {
    const std::string key = std::string(kJobNames) + job, day = job_day(last);
    const auto kept = buffer.get(key);
    if (!kept || read_job_day(*kept) < read_job_day(day)) commit.state.push_back({key, day});
  }
  commit.state.push_back({std::string(kIndexed), "1"});
  write();
  return written;
}

void forget_index(DurableBuffer& buffer) {
  if (buffer.get(kIndexed)) buffer.forget({std::string(kIndexed)});
}

}  // namespace runtail
