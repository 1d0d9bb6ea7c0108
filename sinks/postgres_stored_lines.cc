#include "sinks/postgres_stored_lines.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

namespace runtail {
namespace {

// At one bit a line some megabytes.
constexpr std::size_t kChunksMax = 10'000;

}  // namespace

PgOutcome<std::vector<bool>> find_lines(PgConnection& connection, const PostgresStatements& sql,
                                        std::span<const LineKey> keys) {
  std::vector<bool> there(keys.size());
  if (keys.empty()) return there;
  // In order of the index, which the server then reads page after page.
  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::tuple(keys[i].event_id, keys[i].ts, i); });

  std::string ids = "{", times = "{";
  const LineKey* before = nullptr;
  TimePoint first = keys.front().ts, last = first;
  for (const std::size_t i : order) {
    const LineKey& key = keys[i];
    if (before && before->event_id == key.event_id && before->ts == key.ts) there[i] = true;
    before = &key;
    ids += to_string(key.event_id);
    ids += ',';
    times += std::to_string(to_micros(key.ts));
    times += ',';
    first = std::min(first, key.ts);
    last = std::max(last, key.ts);
  }
  ids.back() = times.back() = '}';
  const std::optional<std::string> params[] = {std::move(ids), std::move(times), to_rfc3339(first), to_rfc3339(last)};
  auto rows = connection.query(sql.find_log_events, params);
  if (!rows) return rows.error();
  for (int row = 0; row < rows->rows(); ++row) there[order[static_cast<std::size_t>(rows->integer(row, 0) - 1)]] = true;
  return there;
}

void StoredLines::set(Sequence sequence, OfChunk lines) {
  const std::lock_guard lock(mutex_);
  if (chunks_.size() < kChunksMax) chunks_[sequence] = std::move(lines);
}

StoredLines::OfChunk StoredLines::of(Sequence sequence) const {
  const std::lock_guard lock(mutex_);
  const auto found = chunks_.find(sequence);
  return found == chunks_.end() ? nullptr : found->second;
}

void StoredLines::forget_through(Sequence sequence) {
  const std::lock_guard lock(mutex_);
  chunks_.erase(chunks_.begin(), chunks_.upper_bound(sequence));
}

}  // namespace runtail
