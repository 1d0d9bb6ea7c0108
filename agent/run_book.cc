#include "agent/run_book.h"

#include <algorithm>
#include <utility>

#include "core/json_text.h"
#include "history/kept_keys.h"
#include "history/run_index.h"

namespace runtail {
namespace {

std::string_view job_of(const RunRecord& record) { return record.run.job_id; }

std::string_view or_none(std::string_view text) { return text.empty() ? std::string_view("none") : text; }

Cause cause_of(const RunFact& fact, const RunRecord& record) {
  return {fact.run_id, fact.trace_id.empty() ? record.run.text(RunText::kTraceId) : fact.trace_id, fact.at};
}

double seconds(std::int64_t ms) { return static_cast<double>(ms) / 1e3; }
double seconds(TimePoint time) { return static_cast<double>(to_micros(time)) / 1e6; }

}  // namespace

RunBook::Held& RunBook::hold(const Uuid& run_id) {
  if (const auto found = held_.find(run_id); found != held_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second.recent);
    return found->second;
  }
  while (held_.size() >= runs_max_) {
    // What is changed has to wait for its commit.
    const Uuid oldest = recent_.back();
    if (held_.at(oldest).changed) break;
    held_.erase(oldest);
    recent_.pop_back();
  }
  recent_.push_front(run_id);
  Held& held = held_[run_id];
  held.recent = recent_.begin();
  if (const auto bytes = buffer_.get(run_key(run_id))) {
    if (auto record = decode_run_record(*bytes)) {
      held.record = std::move(*record);
      held.indexed_at = held.record.run.scheduled_at();
    }
  }
  return held;
}

const RunRecord* RunBook::find(const Uuid& run_id) {
  const Held& held = hold(run_id);
  return held.record.run.first_event_at ? &held.record : nullptr;
}

RunBook::Held& RunBook::hold_to_change(const Uuid& run_id) {
  Held& held = hold(run_id);
  if (!std::exchange(held.changed, true)) changed_.push_back(run_id);
  return held;
}

void RunBook::apply(const Derived& derived, const RedactedEvent& event) {
  if (derived.run) {
    const RunFact& fact = *derived.run;
    Held& held = hold_to_change(fact.run_id);
    const bool is_new = !held.record.run.first_event_at;
    conflicts_.clear();
    held.record.apply(fact, &conflicts_);
    if (is_new) show_job(job_of(held.record));
    for (const std::string_view field : conflicts_) add(Metric::kFieldConflictsTotal, {field}, 1);
    count_queue(event, held.record, fact);
    count(fact, held.record);
    show_running(held.record);
    if (event.kind == EventKind::kTaskFinished && fact.duration_ms) {
      const Cause cause = cause_of(fact, held.record);
      observe(Metric::kTaskDuration, {or_none(fact.phase)}, seconds(*fact.duration_ms), &cause);
    }
  }
  if (!derived.run) count_amount(event);
  if (derived.dataset) {
    const DatasetFact& fact = *derived.dataset;
    if (fact.success_at) raise(Metric::kDatasetLastSuccess, {fact.dataset}, seconds(*fact.success_at));
    if (fact.record_count)
      metrics_.set(Metric::kDatasetRecords, {fact.dataset}, static_cast<double>(*fact.record_count));
  }
  const std::string_view job = derived.run ? derived.run->job_id : event.fields.text(Field::kJobId);
  for (const DqFact& fact : derived.dq) {
    if (fact.kind == DqKind::kColumns) count_columns(fact, job);
    if (fact.kind == DqKind::kReported) {
      metrics_.set(Metric::kDqCheckStatus, {or_none(job), fact.table, fact.check.empty() ? fact.metric : fact.check},
                   static_cast<double>(fact.status));
    }
    if (fact.kind == DqKind::kNullRates) {
      for_each_number(fact.data, [&](std::string_view column, double rate) {
        metrics_.set(Metric::kDqNullRate, {or_none(job), fact.table, column}, rate);
      });
    }
  }
}

void RunBook::apply_past(const RunFact& fact, const RedactedEvent& event) {
  RunRecord& record = hold_to_change(fact.run_id).record;
  record.apply(fact);
  is_past_ = true;
  count_queue(event, record, fact);
  count(fact, record);
  is_past_ = false;
  // A run that is in the gauges leaves them when it ends; none enters them.
  if (!record.running.job_id.empty()) show_running(record);
}

void RunBook::add(Metric metric, std::initializer_list<std::string_view> labels, double amount, const Cause* cause) {
  if (!is_past_) metrics_.add(metric, labels, amount, cause);
}

void RunBook::observe(Metric metric, std::initializer_list<std::string_view> labels, double value, const Cause* cause) {
  if (!is_past_) metrics_.observe(metric, labels, value, cause);
}

void RunBook::raise(Metric metric, std::initializer_list<std::string_view> labels, double value) {
  if (!is_past_) metrics_.raise(metric, labels, value);
}

// An amount of a job whose line names no run: there is no sum to compare a total with, so a total counts nothing.
void RunBook::count_amount(const RedactedEvent& event) {
  const auto loaded = event.fields.integer(Field::kRecordsLoaded);
  if (!loaded || !event.fields.has(Field::kJobId)) return;
  if (event.kind == EventKind::kRunFinished || event.kind == EventKind::kAttemptFinished) return;
  add(Metric::kRecordsLoadedTotal, {event.fields.text(Field::kJobId), or_none(event.fields.text(Field::kTable))},
      static_cast<double>(*loaded));
}

// increase() sees a job's first failure only if the series was there before it, at 0.
void RunBook::show_job(std::string_view job_id) {
  for (const RunStatus status : {RunStatus::kSuccess, RunStatus::kFailed, RunStatus::kCancelled, RunStatus::kSkipped}) {
    add(Metric::kJobsTotal, {job_id, to_string(status)}, 0);
  }
  for (const ErrorCategory category :
       {ErrorCategory::kApi, ErrorCategory::kDb, ErrorCategory::kData, ErrorCategory::kSystem}) {
    add(Metric::kJobFailuresTotal, {job_id, to_string(category)}, 0);
  }
  add(Metric::kJobRunsTotal, {job_id}, 0);
  add(Metric::kJobRunFailuresTotal, {job_id}, 0);
  add(Metric::kJobStalled, {job_id}, 0);
}

void RunBook::count(const RunFact& fact, RunRecord& record) {
  CountedAttempt& counted = record.counted[fact.attempt];
  if (fact.attempt > 1 && fact.attempt_status != RunStatus::kQueued && !counted.retry) {
    counted.retry = true;
    add(Metric::kJobRetriesTotal, {job_of(record)}, 1);
  }
  if (fact.attempt_status == RunStatus::kFailed && !counted.failure) {
    counted.failure = true;
    const Cause cause = cause_of(fact, record);
    add(Metric::kJobAttemptFailuresTotal, {job_of(record), or_none(to_string(fact.error_category))}, 1, &cause);
  }
  if (fact.records_loaded_total && *fact.records_loaded_total < record.loaded_counted) {
    add(Metric::kTotalDisagreementsTotal, {}, 1);
  }
  // The counter follows the greater of total and sum, whichever of them is read first: with several files open a run's
  // end may come before its middle. It never goes down.
  const std::int64_t loaded =
      std::max(record.run.records_loaded_sum.value_or(0), record.run.state.records_loaded_total.value_or(0));
  if (loaded > record.loaded_counted) {
    add(Metric::kRecordsLoadedTotal, {job_of(record), or_none(fact.table)},
        static_cast<double>(loaded - record.loaded_counted));
    record.loaded_counted = loaded;
  }
  if (fact.status && is_terminal(*fact.status)) count_verdict(fact, record);
}

// Of runs that name a queue. The name may stand on a later line than the first: of several the smallest counts, so that
// the order does not matter.
void RunBook::count_queue(const RedactedEvent& event, RunRecord& record, const RunFact& fact) {
  const std::string_view stated = event.fields.text(Field::kQueue);
  if (!stated.empty() && (record.queue.empty() || stated < record.queue)) record.queue = stated;
  if (record.queue.empty()) return;
  const auto count = [&](std::string_view what) {
    add(Metric::kQueueJobsTotal, {record.queue, record.run.text(RunText::kJobType), what}, 1);
  };
  if (event.kind == EventKind::kRunQueued && !std::exchange(record.enqueued, true)) count("enqueued");
  CountedAttempt& counted = record.counted[fact.attempt];
  if (fact.attempt > 1 && fact.attempt_status != RunStatus::kQueued && !std::exchange(counted.queue_retry, true)) {
    count("retry");
  }
  if (fact.attempt_status && is_terminal(*fact.attempt_status) && !std::exchange(counted.queue_end, true)) {
    if (*fact.attempt_status == RunStatus::kSuccess) count("success");
    if (*fact.attempt_status == RunStatus::kFailed) count("failure");
  }
}

// A run counts as running under the names it has now; it leaves the gauge under those it entered it with.
void RunBook::show_running(RunRecord& record) {
  const bool runs = record.run.state.status == RunStatus::kRunning && record.run.state.stamp.attempt > 0;
  const std::string_view job_type = record.run.text(RunText::kJobType);
  RunningAs& shown = record.running;
  if (runs ? shown.job_id == record.run.job_id && shown.queue == record.queue && shown.job_type == job_type
           : shown.job_id.empty()) {
    return;
  }
  const auto move = [this](const RunningAs& names, double by) {
    if (names.job_id.empty()) return;
    add(Metric::kJobsRunning, {names.job_id}, by);
    if (!names.queue.empty()) add(Metric::kQueueJobsActive, {names.queue, names.job_type}, by);
  };
  move(shown, -1);
  shown = runs ? RunningAs{record.run.job_id, record.queue, std::string(job_type)} : RunningAs{};
  move(shown, 1);
}

void RunBook::count_verdict(const RunFact& fact, RunRecord& record) {
  CountedAttempt& counted = record.counted[fact.attempt];
  const Stamp stamp{fact.attempt, state_rank(*fact.status, fact.verdict_source), fact.at, fact.event_id};
  if (counted.verdict && stamp <= counted.verdict_stamp) return;
  counted.verdict_stamp = stamp;
  if (counted.verdict == fact.status) return;  // said again, with more weight or later
  if (counted.verdict) {
    add(Metric::kVerdictCorrectionsTotal, {to_string(*counted.verdict), to_string(*fact.status)}, 1);
  }
  const bool is_first = !counted.verdict;
  counted.verdict = fact.status;
  const Cause cause = cause_of(fact, record);
  add(Metric::kJobsTotal, {job_of(record), to_string(*fact.status)}, 1);
  if (is_first) add(Metric::kJobRunsTotal, {job_of(record)}, 1);
  if (*fact.status == RunStatus::kFailed) {
    add(Metric::kJobRunFailuresTotal, {job_of(record)}, 1);
    const ErrorCategory category = fact.has_error ? fact.error_category : ErrorCategory::kSystem;
    add(Metric::kJobFailuresTotal, {job_of(record), to_string(category)}, 1, &cause);
  }
  std::optional<std::int64_t> duration_ms = fact.duration_ms;
  if (!duration_ms && record.run.started_at) {
    duration_ms = milliseconds_between(*record.run.started_at, fact.finished_at.value_or(fact.at));
  }
  if (duration_ms)
    observe(Metric::kJobDuration, {job_of(record), to_string(*fact.status)}, seconds(*duration_ms), &cause);
  if (*fact.status == RunStatus::kSuccess) {
    raise(Metric::kJobLastSuccess, {job_of(record)}, seconds(fact.finished_at.value_or(fact.at)));
  }
}

void RunBook::count_columns(const DqFact& fact, std::string_view job_id) {
  const std::string key = "x/" + std::string(or_none(job_id)) + '\x1F' + std::string(fact.table);
  const auto digest = sha256(fact.data);
  std::string now(reinterpret_cast<const char*>(digest.data()), digest.size());
  const std::string& before = known_.get(key);
  if (before == now) return;
  // The first list seen is what is expected.
  if (!before.empty()) add(Metric::kDqSchemaDriftTotal, {or_none(job_id), fact.table}, 1);
  known_.put(key, std::move(now));
}

std::vector<StateEntry> RunBook::take_changed() {
  std::vector<StateEntry> out;
  for (const Uuid& run_id : changed_) {
    Held& held = held_.at(run_id);
    held.changed = false;
    out.push_back({run_key(run_id), encode_run_record(held.record)});
    if (!with_index_) continue;
    const TimePoint at = held.record.run.scheduled_at();
    if (held.indexed_at && *held.indexed_at != at) {
      replaced_.push_back(timed_key(kRunTimes, {*held.indexed_at, run_id}));
    }
    held.indexed_at = at;
    auto [key, value] = index_entry(held.record.run);
    out.push_back({std::move(key), std::move(value)});
  }
  changed_.clear();
  return out;
}

}  // namespace runtail
