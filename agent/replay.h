// Backfill: old files become the rows the live agent would have made of them, and it ends.
//
// Each file is read from its beginning; what the store has of it by its covered ranges is counted and passed over, so a
// replay may be repeated, stopped and gone on with at any time. Nothing else is kept: no buffer, no counters.
// Files that begin alike are one worker's, the longest first; the others are shared out among the workers, each with
// its own redactor and connection. What becomes of runs does not depend on order, and what becomes of lines neither.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "agent/replay_input.h"
#include "agent/replay_receipt.h"
#include "agent/replay_store.h"
#include "config/config.h"
#include "config/dialect.h"
#include "redaction/redactor.h"

namespace runtail {

// Moved on by the workers, read from anywhere.
struct ReplayProgress {
  std::atomic<std::uint64_t> bytes_total{0}, bytes{0};  // on disk
  std::atomic<std::uint64_t> files_total{0}, files{0};
  std::atomic<std::uint64_t> lines{0};
};

struct ReplayPlan {
  const Config& config;
  const ReplayWish& wish;
  const std::vector<DialectSpec>& dialects;
  const Redactor& redactor;
  std::vector<ReplayInput> inputs;  // as find_inputs() gives them
  ReplayStart start;
  unsigned workers = 1;
  bool has_rows = true;  // the store keeps lines as rows: --full adds those it lacks in covered ranges
};

// One store for each worker; with a dry run it is only asked.
using MakeReplayStore =
    std::function<std::unique_ptr<ReplayStore>(const DeriverSettings&, const std::vector<std::string>& kinds)>;

// Reads all inputs of `plan`. `stop`: end soon, at a place that can be gone on from. What went wrong stands in the
// receipt.
ReplayReceipt replay(ReplayPlan plan, const MakeReplayStore& make_store, ReplayProgress& progress,
                     const std::atomic<bool>& stop);

}  // namespace runtail
