#include "core/run_state.h"

#include <algorithm>

namespace runtail {
namespace {

// Null loses; of two different values the smaller in byte order stays. (True "first wins" would depend on order.)
void set_once(std::string& into, std::string_view value, std::string_view field = {},
              FieldConflicts* conflicts = nullptr) {
  if (value.empty() || into == value) return;
  if (into.empty()) {
    into = value;
    return;
  }
  if (conflicts) conflicts->push_back(field);
  if (value < into) into = value;
}

template <typename T>
void set_once(std::optional<T>& into, const std::optional<T>& value, std::string_view field = {},
              FieldConflicts* conflicts = nullptr) {
  if (!value || into == value) return;
  if (into && conflicts) conflicts->push_back(field);
  if (!into || *value < *into) into = value;
}

template <typename T>
void keep_min(std::optional<T>& into, const std::optional<T>& value) {
  if (value && (!into || *value < *into)) into = value;
}

template <typename T>
void keep_max(std::optional<T>& into, const std::optional<T>& value) {
  if (value && (!into || *value > *into)) into = value;
}

void add(std::optional<std::int64_t>& into, const std::optional<std::int64_t>& value, std::int64_t max = kSumMax) {
  if (value) into = std::min(std::min(*value, max) + into.value_or(0), max);
}

// Whether the fact won.
bool apply_state(StateGroup& group, const RunFact& fact, RunStatus status,
                 const std::optional<std::int64_t>& extracted_total, const std::optional<std::int64_t>& loaded_total) {
  const Stamp stamp{fact.attempt, state_rank(status, fact.verdict_source), fact.at, fact.event_id};
  if (stamp <= group.stamp) return false;
  group.stamp = stamp;
  group.status = status;
  group.verdict_source = fact.verdict_source;
  group.ts_source = fact.ts_source;
  const bool terminal = is_terminal(status);
  group.end_reason = terminal ? fact.end_reason : EndReason::kNone;
  group.finished_at = terminal ? std::optional(fact.finished_at.value_or(fact.at)) : std::nullopt;
  group.duration_ms = terminal ? fact.duration_ms : std::nullopt;
  group.records_extracted_total = extracted_total;
  group.records_loaded_total = loaded_total;
  return true;
}

void apply_error(ErrorGroup& group, const RunFact& fact) {
  if (!fact.has_error) return;
  const Stamp stamp{fact.attempt, fact.error_rank, fact.at, fact.event_id};
  if (stamp <= group.stamp) return;
  group.stamp = stamp;
  group.category = fact.error_category;
  group.code = fact.error_code;
  group.message = fact.error_message;
}

}  // namespace

std::int16_t state_rank(RunStatus status, VerdictSource source) {
  if (status == RunStatus::kQueued) return 0;
  if (status == RunStatus::kRunning || source == VerdictSource::kInferred) return 1;
  return source == VerdictSource::kExit ? 2 : 3;
}

std::optional<std::int64_t> milliseconds_between(TimePoint start, const std::optional<TimePoint>& end) {
  if (!end || *end < start) return std::nullopt;
  // Halves go up, as the database rounds.
  return (std::chrono::duration_cast<std::chrono::microseconds>(*end - start).count() + 500) / 1000;
}

std::string_view to_string(RunText text) {
  static constexpr std::string_view kNames[kRunTextCount] = {
      "external_run_id", "service",  "environment", "org_id",  "project_id", "correlation_id",
      "request_id",      "trace_id", "dataset",     "dialect", "job_type"};
  return kNames[static_cast<std::size_t>(text)];
}

void RunState::apply(const RunFact& fact, FieldConflicts* conflicts) {
  run_id = fact.run_id;
  if (fact.job_id_rank < job_id_rank || (fact.job_id_rank == job_id_rank && fact.job_id < job_id)) {
    job_id = fact.job_id;
    job_id_rank = fact.job_id_rank;
  }
  const std::string_view values[kRunTextCount] = {
      fact.external_run_id, fact.service,  fact.environment, fact.org_id,  fact.project_id, fact.correlation_id,
      fact.request_id,      fact.trace_id, fact.dataset,     fact.dialect, fact.job_type};
  for (std::size_t i = 0; i < kRunTextCount; ++i)
    set_once(texts[i], values[i], to_string(static_cast<RunText>(i)), conflicts);
  set_once(parent_run_id, fact.parent_run_id, "parent_run_id", conflicts);
  if (fact.status && apply_state(state, fact, *fact.status, fact.records_extracted_total, fact.records_loaded_total)) {
    state.agent_id = fact.agent_id;
    state.ruleset = fact.ruleset;
  }
  apply_error(error, fact);
  keep_min(scheduled_stated, fact.scheduled_at);
  keep_min(queued_at, fact.queued_at);
  keep_min(started_at, fact.started_at);
  keep_min(first_event_at, std::optional(fact.at));
  keep_max(last_event_at, std::optional(fact.at));
  if (!fact.metrics.empty()) metrics.apply(fact.attempt, fact.metrics);
  if (fact.exit_code || fact.exit_signal) {
    if (fact.attempt > exit_attempt) {
      exit_attempt = fact.attempt;
      exit_code = fact.exit_code;
      exit_signal = fact.exit_signal;
    } else if (fact.attempt == exit_attempt) {
      set_once(exit_code, fact.exit_code, "exit_code", conflicts);
      set_once(exit_signal, fact.exit_signal, "exit_signal", conflicts);
    }
  }
  add(records_extracted_sum, fact.records_extracted);
  add(records_loaded_sum, fact.records_loaded);
  add(tokens_in, fact.tokens_in);
  add(tokens_out, fact.tokens_out);
  add(cost_micros, fact.cost_micros, kCostMicrosMax);
  attempt_count = std::max(attempt_count, fact.attempt);
  keep_max(max_attempts, fact.max_attempts);
  retries_exhausted = retries_exhausted || fact.retries_exhausted;
}

std::optional<std::int64_t> RunState::duration_ms() const {
  if (state.duration_ms) return state.duration_ms;
  return started_at ? milliseconds_between(*started_at, state.finished_at) : std::nullopt;
}

void AttemptState::apply(const RunFact& fact) {
  run_id = fact.run_id;
  attempt_no = fact.attempt;
  if (fact.attempt_status) {
    apply_state(state, fact, *fact.attempt_status, fact.attempt_extracted_total, fact.attempt_loaded_total);
  }
  apply_error(error, fact);
  keep_min(started_at, fact.attempt_started_at);
  set_once(exit_code, fact.exit_code);
  set_once(exit_signal, fact.exit_signal);
  add(records_extracted_sum, fact.records_extracted);
  add(records_loaded_sum, fact.records_loaded);
  set_once(correlation_id, fact.correlation_id);
  set_once(request_id, fact.request_id);
  // That two agents or rulesets saw an attempt is no contradiction.
  set_once(agent_id, fact.agent_id);
  set_once(ruleset, fact.ruleset);
}

void TaskState::apply(const RunFact& given) {
  RunFact of_task;
  if (given.task_attempt) {
    of_task = given;
    of_task.attempt = *given.task_attempt;
  }
  const RunFact& fact = given.task_attempt ? of_task : given;
  task_run_id = fact.task_run_id;
  run_id = fact.run_id;
  attempt_no = std::max(attempt_no, fact.attempt);
  set_once(external_task_id, fact.external_task_id);
  set_once(name, fact.task_name);
  set_once(phase, fact.phase);
  set_once(dataset, fact.dataset);
  set_once(table, fact.table);
  set_once(correlation_id, fact.correlation_id);
  set_once(request_id, fact.request_id);
  set_once(trace_id, fact.trace_id);
  set_once(span_id, fact.span_id);
  set_once(ruleset, fact.ruleset);
  if (fact.task_status && apply_state(state, fact, *fact.task_status, std::nullopt, std::nullopt)) {
    state.agent_id = fact.agent_id;
  }
  if (fact.task_status == RunStatus::kFailed || fact.error_rank == 1) apply_error(error, fact);
  keep_min(queued_at, fact.queued_at);
  if (fact.task_status == RunStatus::kRunning) keep_min(started_at, std::optional(fact.started_at.value_or(fact.at)));
  keep_min(first_event_at, std::optional(fact.at));
  keep_max(last_event_at, std::optional(fact.at));
  add(records_extracted, fact.records_extracted);
  add(records_loaded, fact.records_loaded);
}

}  // namespace runtail
