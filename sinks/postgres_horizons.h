// What the partitions of the tables hold.
#pragma once

#include "core/time.h"

namespace runtail {

// [from, to).
struct Horizon {
  TimePoint from, to;
  bool before(TimePoint at) const { return at < from; }
  bool holds(TimePoint at) const { return at >= from && at < to; }
  bool operator==(const Horizon&) const = default;

  // Of a table that was left out (migrate --without): every record of it is expired, none waits for partitions.
  static constexpr Horizon none() { return {TimePoint::max(), TimePoint::max()}; }
  // Of a table without partitions.
  static constexpr Horizon always() { return {TimePoint::min(), TimePoint::max()}; }
};

struct Horizons {
  Horizon job_runs, log_events, dq_observations, dq_check_results;
  Horizon spans = Horizon::none();  // where both spans and traces can be stored
  Horizon chat_messages = Horizon::none(), document_events = Horizon::none(), aggregates = Horizon::none();
  Horizon providers = Horizon::none(), metric_snapshots = Horizon::none();
  bool operator==(const Horizons&) const = default;
};

}  // namespace runtail
