#include "sinks/postgres_writer.h"

#include <algorithm>

#include "sinks/postgres_rows.h"

namespace runtail {
namespace {

Uuid uuid_of(std::string_view text) { return parse_uuid(text).value_or(Uuid{}); }

// As an array parameter: "{...,...}".
std::string uuid_array(const auto& range, const auto& uuid_of_item) {
  std::string out = "{";
  for (const auto& item : range) {
    if (out.size() > 1) out += ',';
    out += to_string(uuid_of_item(item));
  }
  return out + '}';
}

std::string text_array(const std::set<std::string>& texts) {
  std::string out = "{";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      if (c == '\0')
        out += "\xEF\xBF\xBD";  // as the column has it
      else
        out += c;
    }
    out += '"';
  }
  return out + '}';
}

std::string run_array(const PostgresFold& fold) {
  return uuid_array(fold.runs, [](const auto& entry) { return entry.first; });
}

void put_change(JsonRows& rows, const Uuid& run_id, const StateFact& fact, std::string_view field, std::string_view old,
                std::string_view now, std::string_view agent_id) {
  rows.begin_row();
  rows.uuid("id", uuid_v5(runtail_namespace(), {to_string(run_id), to_string(fact.stamp.event), field}));
  rows.uuid("run_id", run_id);
  rows.integer("attempt_no", fact.stamp.attempt);
  rows.text("field", field);
  rows.text("old", old);
  rows.text("new", now);
  rows.text("verdict_source", to_string(fact.verdict_source));
  rows.uuid("event_id", fact.stamp.event);
  rows.stated_text("agent_id", agent_id);
  rows.time("at", fact.stamp.at);
}

}  // namespace

PgOutcome<PgResult> PostgresWriter::run(const std::string& statement, std::string param) {
  const std::optional<std::string> params[] = {std::move(param)};
  return connection_.query(statement, params);
}

PgOutcome<void> PostgresWriter::write(const PostgresFold& fold, DirtyDays& dirty) {
  if (!fold.jobs.empty()) {
    if (auto done = run(sql_.insert_jobs, job_rows(fold, now_)); !done) return done.error();
  }
  if (!fold.runs.empty()) {
    OldRuns old_runs;
    if (auto done = write_runs(fold, old_runs, dirty); !done) return done.error();
    if (auto done = run(sql_.upsert_attempts, attempt_rows(fold)); !done) return done.error();
    if (auto done = write_exits(fold); !done) return done.error();
    if (!fold.tasks.empty()) {
      if (auto done = run(sql_.upsert_tasks, task_rows(fold)); !done) return done.error();
    }
    if (auto done = write_retries(fold, old_runs); !done) return done.error();
    if (auto done = write_state_changes(fold, old_runs); !done) return done.error();
  }
  if (auto done = write_quality(fold); !done) return done.error();
  if (!fold.datasets.empty()) {
    if (auto done = run(sql_.upsert_datasets, dataset_rows(fold)); !done) return done.error();
  }
  return {};
}

PgOutcome<void> PostgresWriter::write_runs(const PostgresFold& fold, OldRuns& old_runs, DirtyDays& dirty) {
  const std::string rows = run_rows(fold);
  auto places = place_runs(fold, rows);
  if (!places) return places.error();
  auto read = read_runs(fold, *places);
  if (!read) return read.error();
  old_runs = std::move(*read);
  for (const auto& [run_id, old] : old_runs) dirty.emplace(old.job_id, old.environment, places->at(run_id).day_before);
  // scheduled_at is taken from run_ids in this later statement, after the guard has decided.
  auto written = run(sql_.upsert_runs, rows);
  if (!written) return written.error();
  for (int row = 0; row < written->rows(); ++row) {
    dirty.emplace(written->text(row, 0), written->text(row, 1), written->text(row, 2));
  }
  return {};
}

PgOutcome<std::map<Uuid, PostgresWriter::Place>> PostgresWriter::place_runs(const PostgresFold& fold,
                                                                            const std::string& rows) {
  // Inserting first, then locking all in order of key: whoever waits, waits in the same order.
  if (auto made = run(sql_.insert_run_ids, rows); !made) return made.error();
  auto locked = run(sql_.lock_run_ids, run_array(fold));
  if (!locked) return locked.error();
  std::map<Uuid, Place> places;
  JsonRows moves;
  for (int row = 0; row < locked->rows(); ++row) {
    const Uuid run_id = uuid_of(locked->text(row, 0));
    const TimePoint old_at = from_micros(locked->integer(row, 1));
    const bool old_stated = locked->boolean(row, 2);
    // A stated time beats a derived one; of two of a kind the earlier stays.
    const RunState& state = fold.runs.at(run_id).state;
    const bool stated = state.scheduled_stated.has_value();
    const TimePoint at = stated == old_stated ? std::min(old_at, state.scheduled_at())
                         : stated             ? state.scheduled_at()
                                              : old_at;
    places[run_id] = {std::string(locked->text(row, 3)), at};
    if (at == old_at && (old_stated || !stated)) continue;
    moves.begin_row();
    moves.uuid("run_id", run_id);
    moves.time("scheduled_at", at);
    moves.boolean("scheduled_stated", stated || old_stated);
  }
  if (!moves.empty()) {
    if (auto moved = run(sql_.move_run_ids, moves.take()); !moved) return moved.error();
  }
  return places;
}

PgOutcome<PostgresWriter::OldRuns> PostgresWriter::read_runs(const PostgresFold& fold,
                                                             const std::map<Uuid, Place>& places) {
  // With the times, the server plans for the months they lie in, not for all there are.
  TimePoint first = TimePoint::max(), last = TimePoint::min();
  for (const auto& [run_id, place] : places) {
    first = std::min(first, place.scheduled_at);
    last = std::max(last, place.scheduled_at);
  }
  const std::optional<std::string> params[] = {run_array(fold), to_rfc3339(first), to_rfc3339(last)};
  auto rows = connection_.query(sql_.read_runs, params);
  if (!rows) return rows.error();
  OldRuns out;
  for (int row = 0; row < rows->rows(); ++row) {
    OldRun& old = out[uuid_of(rows->text(row, 0))];
    old.job_id = rows->text(row, 1);
    old.environment = rows->text(row, 2);
    old.status = rows->text(row, 3);
    old.stamp = {static_cast<std::int32_t>(rows->integer(row, 4)), static_cast<std::int16_t>(rows->integer(row, 5)),
                 from_micros(rows->integer(row, 6)), uuid_of(rows->text(row, 7))};
    old.correlation_id = rows->text(row, 8);
    old.verdict_source = rows->text(row, 9);
    old.end_reason = rows->text(row, 10);
  }
  return out;
}

PgOutcome<void> PostgresWriter::write_exits(const PostgresFold& fold) {
  std::set<Uuid> exited;
  for (const auto& [key, attempt] : fold.attempts) {
    if (attempt.exit_code || attempt.exit_signal) exited.insert(key.first);
  }
  if (exited.empty()) return {};
  auto done = run(sql_.set_exit, uuid_array(exited, [](const Uuid& id) { return id; }));
  if (!done) return done.error();
  return {};
}

PgOutcome<void> PostgresWriter::write_retries(const PostgresFold& fold, const OldRuns& old_runs) {
  // Only what decides who retried whom counts: a new run, another attempt, another correlation id or job.
  std::set<std::string> families;
  for (const auto& [run_id, entry] : fold.runs) {
    const std::string correlation_id(entry.state.text(RunText::kCorrelationId));
    const auto old = old_runs.find(run_id);
    if (old == old_runs.end()) {
      if (!correlation_id.empty()) families.insert(correlation_id);
      continue;
    }
    const auto first = fold.attempts.lower_bound({run_id, 0});
    const bool other_attempt =
        first != fold.attempts.end() && first->first.first == run_id &&
        (first->first.second != old->second.stamp.attempt || entry.state.attempt_count != old->second.stamp.attempt);
    const bool other_family = !correlation_id.empty() && correlation_id != old->second.correlation_id;
    if (!other_attempt && !other_family && entry.state.job_id == old->second.job_id) continue;
    if (!correlation_id.empty()) families.insert(correlation_id);
    if (!old->second.correlation_id.empty()) families.insert(old->second.correlation_id);
  }
  if (families.empty()) return {};
  const std::string ids = text_array(families);
  // A statement of its own: the next one's snapshot has to be taken when the lock is held.
  if (auto locked = run(sql_.lock_correlations, ids); !locked) return locked.error();
  auto done = run(sql_.set_retry_of, ids);
  if (!done) return done.error();
  return {};
}

PgOutcome<void> PostgresWriter::write_state_changes(const PostgresFold& fold, const OldRuns& old_runs) {
  JsonRows rows;
  FleetCounts counts;
  for (const auto& [run_id, entry] : fold.runs) {
    OldRun seen;
    if (const auto old = old_runs.find(run_id); old != old_runs.end()) seen = old->second;
    for (const StateFact& fact : entry.won) {
      if (fact.stamp <= seen.stamp) continue;
      const auto put = [&, id = run_id](std::string_view field, std::string_view old, std::string_view now) {
        if (old != now) put_change(rows, id, fact, field, old, now, settings_.agent_id);
      };
      const std::string_view status = to_string(fact.status), verdict_source = to_string(fact.verdict_source),
                             end_reason = to_string(fact.end_reason);
      const auto old_status = parse_run_status(seen.status);
      put("status", seen.status, status);
      const bool is_of_attempt = seen.stamp.attempt == fact.stamp.attempt;
      if (is_terminal(fact.status) && !(is_of_attempt && old_status == fact.status)) {
        ++counts[{"jobs", entry.state.job_id, status}];
        if (fact.status == RunStatus::kFailed) {
          const auto category = entry.state.error.category;
          ++counts[{"failures", entry.state.job_id,
                    to_string(category == ErrorCategory::kNone ? ErrorCategory::kSystem : category)}];
        }
      }
      // Of a verdict that is taken back, too: so totals less corrections are the verdicts that stand.
      if (is_of_attempt && old_status && is_terminal(*old_status) && *old_status != fact.status) {
        ++counts[{"corrections", to_string(*old_status), status}];
      }
      if (seen.stamp.attempt != 0) {
        put("attempt", std::to_string(seen.stamp.attempt), std::to_string(fact.stamp.attempt));
      }
      // A verdict that stays, told by another or for another reason. Those of a new one are told with the status.
      if (old_status == fact.status && is_terminal(fact.status) && seen.stamp.attempt == fact.stamp.attempt) {
        put("verdict_source", seen.verdict_source, verdict_source);
        put("end_reason", seen.end_reason, end_reason);
      }
      seen.stamp = fact.stamp;
      seen.status = status;
      seen.verdict_source = verdict_source;
      seen.end_reason = end_reason;
    }
  }
  if (!rows.empty()) {
    if (auto done = run(sql_.insert_state_changes, rows.take()); !done) return done.error();
  }
  return write_fleet_counts(counts);
}

PgOutcome<void> PostgresWriter::write_fleet_counts(const FleetCounts& counts) {
  if (!is_live_ || counts.empty()) return {};
  JsonRows rows;
  for (const auto& [key, amount] : counts) {
    rows.begin_row();
    rows.text("counter", std::get<0>(key));
    rows.stated_text("label_1", std::get<1>(key));
    rows.text("label_2", std::get<2>(key));
    rows.integer("amount", amount);
  }
  if (auto done = run(sql_.insert_fleet_counts, rows.take()); !done) return done.error();
  return {};
}

PgOutcome<void> PostgresWriter::write_quality(const PostgresFold& fold) {
  if (!fold.results.empty()) {
    if (auto done = run(sql_.insert_checks, check_rows(fold, now_)); !done) return done.error();
    if (auto done = run(sql_.insert_results, result_rows(fold, settings_.ruleset)); !done) return done.error();
    std::set<Uuid> checked;
    for (const auto& [key, result] : fold.results) {
      if (result.run_id) checked.insert(*result.run_id);
    }
    if (!checked.empty()) {
      auto done = run(sql_.set_dq_status, uuid_array(checked, [](const Uuid& id) { return id; }));
      if (!done) return done.error();
    }
  }
  if (!fold.observations.empty()) {
    if (auto done = run(sql_.insert_observations, observation_rows(fold)); !done) return done.error();
  }
  return {};
}

}  // namespace runtail
