// Pages of lists that are at hand as a whole.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "history/history_store.h"

namespace runtail {

// As a statement limits and skips.
inline std::size_t rows_wanted(const Slice& slice) {
  return static_cast<std::size_t>(std::clamp(slice.rows, 1, kHistoryRowsMax));
}
inline std::size_t rows_skipped(const Slice& slice) { return static_cast<std::size_t>(std::max(slice.skip, 0)); }

// What `slice` takes of `rows`, which are in order; its cursor is not looked at.
template <typename Row>
Listing<Row> row_page(std::vector<Row> rows, const Slice& slice) {
  Listing<Row> out;
  if (slice.with_total) out.total = static_cast<std::int64_t>(rows.size());
  const std::size_t skip = std::min(rows_skipped(slice), rows.size());
  const std::size_t end = std::min(skip + rows_wanted(slice), rows.size());
  out.rows.assign(std::make_move_iterator(rows.begin() + static_cast<std::ptrdiff_t>(skip)),
                  std::make_move_iterator(rows.begin() + static_cast<std::ptrdiff_t>(end)));
  return out;
}

}  // namespace runtail
