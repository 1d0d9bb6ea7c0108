#include "core/worker_ids.h"

namespace runtail {

void WorkerIds::put_into(FieldSet& fields) const {
  const std::string_view stated_run = fields.text(Field::kRunId);
  const bool is_other_run = !stated_run.empty() && stated_run != run_id && stated_run != run_text;
  const bool is_other_job = fields.has(Field::kJobId) && fields.text(Field::kJobId) != job_id;
  if (!run.is_nil() && !is_other_run && !is_other_job) {
    // Also where the line spells it: text would be looked up under the line's own environment.
    fields.put_uuid(Field::kRunId, run, run_id);
    if (!job_id.empty()) fields.put_text(Field::kJobId, job_id);
    if (!fields.has(Field::kTask) && !fields.has(Field::kTaskRunId)) {
      if (!task.empty()) fields.put_text(Field::kTask, task);
      if (task_run) {
        fields.put_uuid(Field::kTaskRunId, *task_run, task_run_id);
      } else if (!task_run_id.empty()) {
        fields.put_text(Field::kTaskRunId, task_run_id);
      }
    }
    if (attempt && !fields.has(Field::kAttempt)) fields.put_int(Field::kAttempt, *attempt);
  }
  if (!trace_id.empty() && !fields.has(Field::kTraceId)) {
    fields.put_text(Field::kTraceId, trace_id);
    if (!span_id.empty() && !fields.has(Field::kSpanId)) fields.put_text(Field::kSpanId, span_id);
  }
}

}  // namespace runtail
