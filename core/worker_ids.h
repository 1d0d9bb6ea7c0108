// Ids of the place a worker was started at (a scheduler's task, a trace), for events of it that state none. Redacted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/event.h"
#include "core/uuid.h"

namespace runtail {

struct WorkerIds {
  Uuid run;              // nil: none is known
  std::string run_id;    // `run` as 36 characters
  std::string run_text;  // as the scheduler spells it, if that is no UUID
  std::string job_id;
  std::string task;  // its name
  std::string task_run_id;
  std::optional<Uuid> task_run;              // of task_run_id, if that is a UUID
  std::optional<std::int64_t> attempt;       // of the run
  std::optional<std::int64_t> task_attempt;  // of the task, where a scheduler repeats tasks and the run goes on
  std::string trace_id, span_id;

  // What the event does not state. What belongs together stays together: an event of another run or job gets no run and
  // task of these, an event of another trace no span. Views into this are put into it.
  void put_into(FieldSet& fields) const;
};

// Everything, for an agent that takes over without the place they came from.
std::string encode_worker_ids(const WorkerIds& ids);
std::optional<WorkerIds> decode_worker_ids(std::string_view bytes);

// From redacted fields. `run_of`: the UUID of a run id that is text, given the job.
template <typename RunOf>
WorkerIds worker_ids_of(const FieldSet& fields, const RunOf& run_of) {
  WorkerIds ids;
  const auto uuid_of = [&](Field field) -> std::optional<Uuid> {
    const FieldValue* value = fields.find(field);
    return value && value->kind == FieldValue::Kind::kUuid ? std::optional(value->uuid) : std::nullopt;
  };
  ids.job_id = fields.text(Field::kJobId);
  if (const std::string_view run = fields.text(Field::kRunId); !run.empty()) {
    const auto uuid = uuid_of(Field::kRunId);
    if (!uuid) ids.run_text = run;
    ids.run = uuid ? *uuid : run_of(ids.job_id, run);
    ids.run_id = to_string(ids.run);
  }
  ids.task = fields.text(Field::kTask);
  ids.task_run_id = fields.text(Field::kTaskRunId);
  ids.task_run = uuid_of(Field::kTaskRunId);
  ids.attempt = fields.integer(Field::kAttempt);
  ids.task_attempt = fields.integer(Field::kTaskAttempt);
  ids.trace_id = fields.text(Field::kTraceId);
  ids.span_id = fields.text(Field::kSpanId);
  return ids;
}

}  // namespace runtail
