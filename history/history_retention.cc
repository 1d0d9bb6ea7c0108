#include "history/history_retention.h"

#include <chrono>

#include "history/kept_keys.h"
#include "history/row_codec.h"
#include "history/run_index.h"
#include "schema/rows/quality.h"
#include "schema/rows/service.h"

namespace runtail {
namespace {

// Entries looked at in one call, however few have to go.
constexpr std::size_t kLooksMax = 20'000;

}  // namespace

std::vector<std::string> HistoryRetention::expired(TimePoint now, Sequence oldest, std::size_t keys_max) {
  const TimePoint before = now - kHistoryKept;
  std::vector<std::string> keys;
  const auto has_room = [&] { return keys.size() < keys_max; };
  const auto take_all = [&](const std::string& prefix) {
    kept_.scan(prefix, {}, [&](std::string_view key, std::string_view) {
      keys.emplace_back(key);
      return true;
    });
  };
  // Of runs what is told of them: by when they were scheduled, but none that was heard of since. Their records go when
  // no line can name them any more (agent/old_runs.h), since they say what is counted.
  kept_.scan(kRunTimes, timed_key_before(kRunTimes, before), [&](std::string_view key, std::string_view value) {
    const auto place = read_timed_key(key);
    const auto row = decode_row<RunIndexRow>(value);
    if (!place || (row && row->last_event_at >= before)) return true;
    keys.emplace_back(key);
    for (const std::string_view prefix : {kStateChanges, kLinePlaces, kResultsOfRuns}) {
      take_all(id_key(prefix, place->id));
    }
    return has_room();
  });
  kept_.scan(kResultTimes, timed_key_before(kResultTimes, before), [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return has_room();
  });
  kept_.scan(kJobNames, {}, [&](std::string_view key, std::string_view value) {
    if (read_job_day(value) < std::chrono::floor<std::chrono::days>(before)) keys.emplace_back(key);
    return has_room();
  });
  kept_.scan(kDatasets, {}, [&](std::string_view key, std::string_view value) {
    const auto row = decode_row<DatasetStatusRow>(value);
    if (row && row->last_event_at < before) keys.emplace_back(key);
    return has_room();
  });
  kept_.scan(kHeartbeats, {}, [&](std::string_view key, std::string_view value) {
    const auto row = decode_row<ServiceHeartbeatRow>(value.substr(std::min(value.size(), sizeof(Uuid))));
    if (row && row->last_seen_at < before) keys.emplace_back(key);
    return has_room();
  });
  // Of a run that goes on for months only the chunks that are still there.
  std::size_t looks = 0;
  std::string from = std::move(places_from_);
  places_from_.clear();
  kept_.scan(kLinePlaces, from, [&](std::string_view key, std::string_view) {
    if (looks++ == kLooksMax || !has_room()) {
      places_from_ = key;
      return false;
    }
    if (const auto sequence = read_line_place_key(key); sequence && *sequence < oldest) keys.emplace_back(key);
    return true;
  });
  return keys;
}

}  // namespace runtail
