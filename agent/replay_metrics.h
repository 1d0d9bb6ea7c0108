// What dashboards would have shown: the metrics of old lines at the times of the lines, as an OpenMetrics file that
// `promtool tsdb create-blocks-from openmetrics` makes into blocks.
#pragma once

#include <filesystem>
#include <memory>

#include "agent/replay_store.h"
#include "config/config.h"

namespace runtail {

// Counts as the live agent counts, in a store of its own that is gone at the end. Amounts are kept by series and step,
// so that the files may come in any order; memory: some 50 bytes for each step in which a series changed.
class ReplayMetrics {
 public:
  // Of a step, the values at its end are written; longer than five minutes, Prometheus shows gaps.
  static constexpr std::chrono::seconds kStep{60};

  // Begins to write `path` + ".part". kUnavailable: the disk refuses.
  static Result<std::unique_ptr<ReplayMetrics>> open(const Config& config, const std::filesystem::path& path);
  ~ReplayMetrics();
  ReplayMetrics(const ReplayMetrics&) = delete;
  ReplayMetrics& operator=(const ReplayMetrics&) = delete;

  // For the one worker there is; outlived by this.
  std::unique_ptr<ReplayStore> store(const DeriverSettings& settings);
  // Everything was read: the file is whole and has its name. Gives the number of series.
  Result<std::uint64_t> write();

  struct State;

 private:
  explicit ReplayMetrics(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace runtail
