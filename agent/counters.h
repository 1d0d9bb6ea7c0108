// Counters come back from the buffer as they were at the last synced batch.
#pragma once

#include <string_view>
#include <vector>

#include "buffer/durable_buffer.h"
#include "core/metric.h"

namespace runtail {

// Puts the series kept under `prefix` into `table` and returns them, for publication. Damaged ones start at 0 again.
inline std::vector<Series> restore_counters(const DurableBuffer& buffer, std::string_view prefix, MetricTable& table) {
  std::vector<Series> restored;
  for (const StateEntry& entry : buffer.scan(prefix)) {
    Series series;
    if (!decode_series(std::string_view(entry.key).substr(prefix.size()), entry.value, series)) continue;
    table.restore(series);
    restored.push_back(std::move(series));
  }
  return restored;
}

}  // namespace runtail
