// Facts of a batch of events, folded to at most one row for each target key (two would be SQLSTATE 21000). No I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/run_state.h"
#include "core/sink.h"
#include "derive/deriver.h"
#include "sinks/postgres_aggregate_fold.h"
#include "sinks/postgres_horizons.h"
#include "sinks/postgres_record_fold.h"

namespace runtail {

// A state fact that beat all others of its run in the batch when it came.
struct StateFact {
  Stamp stamp;
  RunStatus status;
  VerdictSource verdict_source;
  EndReason end_reason;
};

struct RunFold {
  RunState state;
  std::vector<StateFact> won;  // in order of arrival, stamps ascending
};

// Insert only: one row for each kind a line reports.
struct DqObservation {
  Uuid id, event_id;
  TimePoint observed_at{};
  std::optional<Uuid> run_id;
  std::optional<std::int32_t> attempt_no;
  std::string job_id, table;
  DqKind kind = DqKind::kRowCount;
  std::optional<std::int64_t> row_count;
  std::string data;
};

// A check result as a worker reported it, with what defines the check.
struct DqResult {
  Uuid id, check_id;
  TimePoint created_at{};
  std::optional<Uuid> run_id;
  std::int32_t attempt_no = 1;
  std::string job_id, type, metric, table, column, correlation_id, request_id;
  DqStatus status = DqStatus::kPass;
  std::optional<double> value, threshold;
};

struct DatasetRow {
  std::string environment, dataset, job_id, last_status;
  std::optional<TimePoint> last_success_at, last_status_at;
  TimePoint last_event_at{};
  std::optional<std::int64_t> record_count;  // of last_success_at, as last_run_id
  std::optional<Uuid> last_run_id;
};

class PostgresFold {
 public:
  explicit PostgresFold(const DeriverSettings& settings)  // outlives this
      : records(settings.agent_id), settings_(settings) {}

  void clear(const Horizons& horizons);
  // Counts each record of the event but its log_events row as applied or expired. A time above the partitions makes
  // missing_ahead() name the table; then nothing of this fold may be written.
  void add(const RedactedEvent& event, const Origin& origin, Derived& derived);

  const RecordOutcomes& outcomes() const { return outcomes_; }
  const std::string& missing_ahead() const { return missing_ahead_; }

  // Ordered by key, as the statements need them.
  std::set<std::string> jobs;
  std::map<Uuid, RunFold> runs;
  std::map<std::pair<Uuid, std::int32_t>, AttemptState> attempts;
  std::map<Uuid, TaskState> tasks;
  std::map<std::pair<Uuid, TimePoint>, DqObservation> observations;
  std::map<std::pair<Uuid, TimePoint>, DqResult> results;
  std::map<Uuid, DatasetRow> datasets;
  PostgresRecordFold records;
  PostgresAggregateFold aggregates;

 private:
  void add_run(RunFact& fact, bool task);
  void add_dq(const RedactedEvent& event, const Origin& origin, const Derived& derived, bool run_stored);
  void add_dataset(const RedactedEvent& event, const Origin& origin, const Derived& derived);
  void add_own(const OwnRecord& own);
  // Counts as duplicates what place() counted as applied.
  void found_twice(TableSet tables);
  // Whether a row at `at` has a partition; counts the record.
  bool place(Table table, const Horizon& horizon, TimePoint at);

  const DeriverSettings& settings_;
  Horizons horizons_;
  RecordOutcomes outcomes_;
  std::string missing_ahead_;
};

}  // namespace runtail
