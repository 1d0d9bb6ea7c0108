// What the environment says of where a worker was started: the scheduler's ids (Airflow's AIRFLOW_CTX_*, or
// RUNTAIL_TASK_RUN_ID of whoever wraps the steps of a run) and the trace it belongs to (W3C TRACEPARENT).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/exec/protocol.h"

namespace runtail {

// Value of an environment variable; nullptr: not set.
using EnvironmentLookup = std::function<const char*(const char*)>;

struct SchedulerIds {
  bool is_task = false;     // the worker is one task of a run
  std::vector<ExecId> ids;  // of these fields: job_id, run_id, task, task_run_id, task_attempt, trace_id, span_id
  bool has(std::string_view field) const;
  std::string_view value(std::string_view field) const;  // "" if absent
};

// A value that is_id_value() refuses counts as not set.
SchedulerIds scheduler_ids(const EnvironmentLookup& environment);

}  // namespace runtail
