#include "core/worker_ids.h"

#include <initializer_list>

#include "core/bytes.h"

namespace runtail {
namespace {

// Without what follows from `run` and `task_run`.
template <typename Ids, typename Fn>
void for_each_text(Ids& ids, Fn&& fn) {
  for (auto* text : {&ids.run_text, &ids.job_id, &ids.task, &ids.task_run_id, &ids.trace_id, &ids.span_id}) fn(*text);
}

}  // namespace

std::string encode_worker_ids(const WorkerIds& ids) {
  std::string bytes;
  ByteWriter writer(bytes);
  writer.raw(ids.run.bytes.data(), ids.run.bytes.size());
  for_each_text(ids, [&](const std::string& text) { writer.text(text); });
  writer.u8(ids.task_run.has_value());
  for (const auto& number : {ids.attempt, ids.task_attempt}) {
    writer.u8(number.has_value());
    writer.zigzag(number.value_or(0));
  }
  return bytes;
}

std::optional<WorkerIds> decode_worker_ids(std::string_view bytes) {
  WorkerIds ids;
  ByteReader reader(bytes);
  reader.raw(ids.run.bytes.data(), ids.run.bytes.size());
  ids.run_id = ids.run.is_nil() ? "" : to_string(ids.run);
  for_each_text(ids, [&](std::string& text) { text = reader.text(); });
  if (reader.u8() != 0) ids.task_run = parse_uuid(ids.task_run_id);
  for (auto* number : {&ids.attempt, &ids.task_attempt}) {
    const bool is_there = reader.u8() != 0;
    const std::int64_t value = reader.zigzag();
    if (is_there) *number = value;
  }
  return reader.failed() ? std::nullopt : std::optional(ids);
}

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
      if (task_attempt && !fields.has(Field::kTaskAttempt)) fields.put_int(Field::kTaskAttempt, *task_attempt);
    }
    if (attempt && !fields.has(Field::kAttempt)) fields.put_int(Field::kAttempt, *attempt);
  }
  if (!trace_id.empty() && !fields.has(Field::kTraceId)) {
    fields.put_text(Field::kTraceId, trace_id);
    if (!span_id.empty() && !fields.has(Field::kSpanId)) fields.put_text(Field::kSpanId, span_id);
  }
}

}  // namespace runtail
