// A run as the agent keeps it: the folded states of the run, its attempts and tasks, and what was already counted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/run_state.h"

namespace runtail {

// What the counters already hold of one attempt, so that each is counted once whatever the order and the restarts.
struct CountedAttempt {
  std::optional<RunStatus> verdict;  // counted in jobs_total
  Stamp verdict_stamp;
  bool retry = false;                           // counted in job_retries_total
  bool failure = false;                         // counted in job_attempt_failures_total
  bool queue_retry = false, queue_end = false;  // counted in queue_jobs_total
  bool operator==(const CountedAttempt&) const = default;
};

// Under which names a run is in the gauges of what runs; no job: it is in none.
struct RunningAs {
  std::string job_id, queue, job_type;
  bool operator==(const RunningAs&) const = default;
};

struct RunRecord {
  RunState run;
  std::map<std::int32_t, AttemptState> attempts;   // by attempt_no
  std::map<Uuid, TaskState> tasks;                 // by task_run_id
  std::map<std::int32_t, CountedAttempt> counted;  // by attempt_no
  std::int64_t loaded_counted = 0;                 // part of records_loaded_total this run gave
  std::string queue;                               // the smallest its lines name; "" if none
  bool enqueued = false;                           // counted in queue_jobs_total
  RunningAs running;
  bool operator==(const RunRecord&) const = default;

  // Folds the fact into run, attempt and task. Counting is the caller's.
  void apply(const RunFact& fact, FieldConflicts* conflicts = nullptr);
};

// Records of earlier versions are read too; what those did not keep is empty. std::nullopt: damaged.
std::string encode_run_record(const RunRecord& record);
std::optional<RunRecord> decode_run_record(std::string_view bytes);

}  // namespace runtail
