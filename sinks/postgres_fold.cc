#include "sinks/postgres_fold.h"

#include <tuple>

namespace runtail {
namespace {

// Columns with a fixed set of words take no other; dropped before the fold, or a foreign word could win set-once.
std::string_view known(std::string_view word, std::initializer_list<std::string_view> words) {
  for (const std::string_view each : words) {
    if (word == each) return word;
  }
  return {};
}

std::string_view job_of(const RedactedEvent& event, const Origin& origin) {
  return event.fields.has(Field::kJobId) ? event.fields.text(Field::kJobId) : origin.default_job_id;
}

// Which success is the later one; the rest of the key only settles equal times.
auto success_key(const DatasetRow& row) { return std::tie(row.last_success_at, row.record_count, row.last_run_id); }

void keep_later_success(DatasetRow& into, const DatasetRow& row) {
  if (!row.last_success_at || success_key(row) <= success_key(into)) return;
  into.last_success_at = row.last_success_at;
  into.record_count = row.record_count;
  into.last_run_id = row.last_run_id;
}

void keep_later_status(DatasetRow& into, const DatasetRow& row) {
  if (!row.last_status_at) return;
  if (std::tie(row.last_status_at, row.last_status) <= std::tie(into.last_status_at, into.last_status)) return;
  into.last_status_at = row.last_status_at;
  into.last_status = row.last_status;
}

}  // namespace

void PostgresFold::clear(const Horizons& horizons) {
  horizons_ = horizons;
  outcomes_ = {};
  missing_ahead_.clear();
  jobs.clear();
  runs.clear();
  attempts.clear();
  tasks.clear();
  observations.clear();
  results.clear();
  datasets.clear();
  records.clear();
  aggregates.clear();
}

bool PostgresFold::place(Table table, const Horizon& horizon, TimePoint at) {
  if (horizon.before(at)) {
    ++outcomes_.expired[table];
    return false;
  }
  if (!horizon.holds(at)) missing_ahead_ = to_string(table);
  ++outcomes_.applied[table];
  return true;
}

void PostgresFold::add(const RedactedEvent& event, const Origin& origin, Derived& derived) {
  bool run_stored = false;
  if (derived.run) {
    // A fact older than the months kept creates nothing, whatever is known of its run: a backfill does not bring back
    // what retention took, and the result does not depend on order.
    run_stored = place(Table::kJobRuns, horizons_.job_runs, event.ts);
    place(Table::kRunAttempts, horizons_.job_runs, event.ts);
    if (derived.has(Table::kTaskRuns)) place(Table::kTaskRuns, horizons_.job_runs, event.ts);
    if (run_stored) add_run(*derived.run, derived.has(Table::kTaskRuns));
  }
  if (!derived.dq.empty()) add_dq(event, origin, derived, run_stored);
  if (derived.dataset) add_dataset(event, origin, derived);
  add_own(derived.own);
  if (derived.sample && place(Table::kMetricsAggregates, horizons_.aggregates, event.ts)) {
    aggregates.add(*derived.sample, event.ts);
  }
}

void PostgresFold::add_own(const OwnRecord& own) {
  if (const auto* span = std::get_if<SpanFact>(&own)) {
    const bool placed = place(Table::kSpans, horizons_.spans, span->start);
    place(Table::kTraces, horizons_.spans, span->start);
    if (placed && !records.add(*span)) found_twice(set_of(Table::kSpans) | set_of(Table::kTraces));
  } else if (const auto* chat = std::get_if<ChatFact>(&own)) {
    if (place(Table::kChatMessages, horizons_.chat_messages, chat->at) && !records.add(*chat)) {
      found_twice(set_of(Table::kChatMessages));
    }
  } else if (const auto* document = std::get_if<DocumentFact>(&own)) {
    if (place(Table::kDocumentEvents, horizons_.document_events, document->at) && !records.add(*document)) {
      found_twice(set_of(Table::kDocumentEvents));
    }
  } else if (const auto* sync = std::get_if<ProviderSyncFact>(&own)) {
    if (place(Table::kProviderSyncStatus, horizons_.providers, sync->state_at)) records.add(*sync);
  } else if (const auto* heartbeat = std::get_if<HeartbeatFact>(&own)) {
    place(Table::kServiceHeartbeats, Horizon::always(), heartbeat->at);
    records.add(*heartbeat);
  } else if (const auto* snapshot = std::get_if<SnapshotFact>(&own)) {
    // Without a partition for its day it is let go: a history of metrics holds no run up.
    const bool placed = horizons_.metric_snapshots.holds(snapshot->at);
    ++(placed ? outcomes_.applied : outcomes_.expired)[Table::kMetricSnapshots];
    if (placed && !records.add(*snapshot)) found_twice(set_of(Table::kMetricSnapshots));
  }
}

void PostgresFold::found_twice(TableSet tables) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const std::uint64_t one = tables >> i & 1;
    outcomes_.applied.by_table[i] -= one;
    outcomes_.duplicate.by_table[i] += one;
  }
}

void PostgresFold::add_run(RunFact& fact, bool task) {
  fact.job_type = known(fact.job_type, {"batch", "streaming"});
  fact.phase = known(fact.phase, {"extract", "transform", "load", "dq"});
  if (fact.scheduled_at && !horizons_.job_runs.holds(*fact.scheduled_at)) fact.scheduled_at.reset();
  jobs.emplace(fact.job_id);
  RunFold& run = runs[fact.run_id];
  const Stamp before = run.state.state.stamp;
  run.state.apply(fact);
  const StateGroup& now = run.state.state;
  if (now.stamp != before) run.won.push_back({now.stamp, now.status, now.verdict_source, now.end_reason});
  attempts[{fact.run_id, fact.attempt}].apply(fact);
  if (task) tasks[fact.task_run_id].apply(fact);
}

void PostgresFold::add_dq(const RedactedEvent& event, const Origin& origin, const Derived& derived, bool run_stored) {
  const bool observed =
      derived.has(Table::kDqObservations) && place(Table::kDqObservations, horizons_.dq_observations, event.ts);
  const bool reported =
      derived.has(Table::kDqCheckResults) && place(Table::kDqCheckResults, horizons_.dq_check_results, event.ts);
  const std::string job_id(job_of(event, origin));
  const std::optional<Uuid> run_id = run_stored ? std::optional(derived.run->run_id) : std::nullopt;
  const std::int32_t attempt = derived.run ? derived.run->attempt : 1;
  const Uuid event_id = event_id_of(derived, origin);
  if (observed || reported) jobs.insert(job_id);
  for (const DqFact& fact : derived.dq) {
    const std::string table(fact.table);
    if (fact.kind != DqKind::kReported) {
      if (!observed) continue;
      const Uuid id = uuid_v5(runtail_namespace(), {to_string(event_id), table, to_string(fact.kind)});
      DqObservation& row = observations[{id, event.ts}];
      row = {id,     event_id, event.ts,  run_id,         std::nullopt,
             job_id, table,    fact.kind, fact.row_count, std::string(fact.data)};
      if (run_id) row.attempt_no = attempt;
      continue;
    }
    if (!reported) continue;
    DqResult row;
    row.type = fact.check.empty() ? "reported" : std::string(fact.check);
    row.metric = fact.metric.empty() ? row.type : std::string(fact.metric);
    row.table = table;
    row.column = fact.column;
    row.job_id = job_id;
    row.check_id = check_id_of(job_id, row.type, table, row.column, row.metric);
    row.run_id = run_id;
    row.attempt_no = attempt;
    row.created_at = event.ts;
    row.id = result_id_of(run_id, attempt, row.check_id);
    row.status = fact.status;
    row.value = fact.value;
    row.threshold = fact.threshold;
    row.correlation_id = event.fields.text(Field::kCorrelationId);
    row.request_id = event.fields.text(Field::kRequestId);
    // The same check twice in one instant: the worse result stays.
    const auto [at, fresh] = results.try_emplace({row.id, row.created_at}, row);
    if (!fresh && at->second.status < row.status) at->second = std::move(row);
  }
}

void PostgresFold::add_dataset(const RedactedEvent& event, const Origin& origin, const Derived& derived) {
  const DatasetFact& fact = *derived.dataset;
  ++outcomes_.applied[Table::kDatasetStatus];
  DatasetRow row;
  row.environment = event.fields.has(Field::kEnv) ? event.fields.text(Field::kEnv) : settings_.environment;
  row.dataset = fact.dataset;
  row.job_id = job_of(event, origin);
  row.last_success_at = fact.success_at;
  if (fact.success_at) {
    row.record_count = fact.record_count;
    if (derived.run) row.last_run_id = derived.run->run_id;
  }
  row.last_status = fact.status;
  if (!fact.status.empty()) row.last_status_at = event.ts;
  row.last_event_at = event.ts;
  const auto [at, fresh] = datasets.try_emplace(dataset_id_of(row.environment, row.dataset), row);
  if (fresh) return;
  DatasetRow& into = at->second;
  keep_later_success(into, row);
  keep_later_status(into, row);
  into.last_event_at = std::max(into.last_event_at, row.last_event_at);
  into.job_id = std::min(into.job_id, row.job_id);
}

}  // namespace runtail
