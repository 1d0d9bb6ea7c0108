#include "agent/exec/scheduler.h"

#include <algorithm>

namespace runtail {
namespace {

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

bool is_zero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

// version "-" trace_id "-" parent span id "-" flags; a later version may add members.
void read_traceparent(std::string_view text, std::vector<ExecId>& ids) {
  constexpr std::size_t kSize = 2 + 1 + 32 + 1 + 16 + 1 + 2;
  if (text.size() < kSize || text[2] != '-' || text[35] != '-' || text[52] != '-') return;
  const std::string_view version = text.substr(0, 2), trace = text.substr(3, 32), span = text.substr(36, 16);
  const bool has_right_size = text.size() == kSize || (version != "00" && text[kSize] == '-');
  if (!has_right_size || version == "ff" || !is_hex(version) || !is_hex(trace) || !is_hex(span) ||
      !is_hex(text.substr(53, 2)) || is_zero(trace) || is_zero(span)) {
    return;
  }
  ids.push_back({"trace_id", std::string(trace)});
  ids.push_back({"span_id", std::string(span)});
}

bool is_attempt(std::string_view text) {
  return !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == std::string_view::npos &&
         !is_zero(text);
}

}  // namespace

bool SchedulerIds::has(std::string_view field) const { return !value(field).empty(); }

std::string_view SchedulerIds::value(std::string_view field) const {
  const auto found = std::find_if(ids.begin(), ids.end(), [&](const ExecId& id) { return id.field == field; });
  return found == ids.end() ? std::string_view{} : found->value;
}

SchedulerIds scheduler_ids(const EnvironmentLookup& environment) {
  const auto value_of = [&](const char* name) {
    const char* value = environment(name);
    return value && is_id_value(value) ? std::string(value) : std::string();
  };
  SchedulerIds out;
  const auto put = [&](const char* field, std::string value) {
    if (!value.empty()) out.ids.push_back({field, std::move(value)});
  };
  const std::string task = value_of("AIRFLOW_CTX_TASK_ID"), step = value_of("RUNTAIL_TASK_RUN_ID");
  if (!task.empty()) {
    put("job_id", value_of("AIRFLOW_CTX_DAG_ID"));
    std::string run = value_of("AIRFLOW_CTX_DAG_RUN_ID");
    // The oldest Airflows name a run by its date alone.
    put("run_id", run.empty() ? value_of("AIRFLOW_CTX_EXECUTION_DATE") : std::move(run));
    put("task", task);
    if (std::string attempt = value_of("AIRFLOW_CTX_TRY_NUMBER"); is_attempt(attempt)) put("task_attempt", attempt);
  } else if (!step.empty()) {
    put("job_id", value_of("RUNTAIL_JOB_ID"));
    put("run_id", value_of("RUNTAIL_RUN_ID"));
  }
  put("task_run_id", step);
  out.is_task = !task.empty() || !step.empty();
  if (const std::string parent = value_of("TRACEPARENT"); !parent.empty()) read_traceparent(parent, out.ids);
  return out;
}

}  // namespace runtail
