// The runs this agent knows: folds facts into them and moves the job counters when a verdict becomes final.
// Changed runs leave with the commit of the chunk that changed them.
#pragma once

#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/last_known.h"
#include "buffer/durable_buffer.h"
#include "core/metric.h"
#include "core/run_record.h"
#include "derive/deriver.h"

namespace runtail {

// Threads: the pipeline's only.
class RunBook {
 public:
  // At most `runs_max` runs stay in memory; the others are read back from the buffer when a line names them.
  // `with_index`: entries of history/run_index.h are kept beside runs; those of all runs are there (index_kept_runs()).
  RunBook(const DurableBuffer& buffer, MetricTable& metrics, LastKnown& known, bool with_index = false,
          std::size_t runs_max = 2000)
      : buffer_(buffer), metrics_(metrics), known_(known), with_index_(with_index), runs_max_(runs_max) {}

  // What the line says of its run, datasets and checks.
  void apply(const Derived& derived, const RedactedEvent& event);
  // What a line of long ago says of its run: counters stay, and what it has counted is marked, so that no line counts
  // it later.
  void apply_past(const RunFact& fact, const RedactedEvent& event);
  // The run's state group, for facts that do not know their attempt. nullptr if the run is unknown.
  const RunRecord* find(const Uuid& run_id);

  // Entries changed since the last call, for the commit.
  std::vector<StateEntry> take_changed();
  // Keys of entries that those replace, to be forgotten with the same commit. Empty without an index.
  std::vector<std::string> take_replaced() { return std::exchange(replaced_, {}); }

 private:
  struct Held {
    RunRecord record;
    bool changed = false;
    std::optional<TimePoint> indexed_at;  // under which time it is in the index
    std::list<Uuid>::iterator recent;
  };
  Held& hold(const Uuid& run_id);
  Held& hold_to_change(const Uuid& run_id);
  // Into the metrics, but for what is past.
  void add(Metric metric, std::initializer_list<std::string_view> labels, double amount, const Cause* cause = nullptr);
  void observe(Metric metric, std::initializer_list<std::string_view> labels, double value, const Cause* cause);
  void raise(Metric metric, std::initializer_list<std::string_view> labels, double value);
  void count_amount(const RedactedEvent& event);
  void show_job(std::string_view job_id);
  void count(const RunFact& fact, RunRecord& record);
  void count_verdict(const RunFact& fact, RunRecord& record);
  void count_queue(const RedactedEvent& event, RunRecord& record, const RunFact& fact);
  void show_running(RunRecord& record);
  void count_columns(const DqFact& fact, std::string_view job_id);

  const DurableBuffer& buffer_;  // not owned, outlives this
  MetricTable& metrics_;         // not owned, outlives this
  LastKnown& known_;             // not owned, outlives this; holds digests of column lists
  const bool with_index_;
  const std::size_t runs_max_;
  std::unordered_map<Uuid, Held> held_;
  std::list<Uuid> recent_;  // most recently used first
  std::vector<Uuid> changed_;
  std::vector<std::string> replaced_;
  FieldConflicts conflicts_;  // of the line at hand
  bool is_past_ = false;      // the line at hand
};

}  // namespace runtail
