#include "history/local_store.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "core/json_text.h"
#include "history/kept_lines.h"
#include "history/row_codec.h"
#include "history/row_page.h"

namespace runtail {
namespace {

bool is_one_of(const std::optional<std::string>& project, const Projects& projects) {
  if (!projects) return true;
  return project && std::find(projects->begin(), projects->end(), *project) != projects->end();
}

bool is_wanted(const std::optional<std::string>& value, const std::optional<std::string>& wanted) {
  return !wanted || value == wanted;
}

bool operator<(const TimedId& a, const TimedId& b) {
  return a.at > b.at || (a.at == b.at && a.id < b.id);  // the latest first
}

std::optional<TimedId> cursor_of(const Slice& slice) {
  if (!slice.after) return std::nullopt;
  return TimedId{slice.after->at, slice.after->id};
}

void append_member(std::string& json, std::string_view name, const std::optional<std::string>& value) {
  json.append(json.ends_with('{') ? "\"" : ",\"").append(name).append("\":");
  if (value) {
    append_json_string(json, *value);
  } else {
    json += "null";
  }
}

void append_member(std::string& json, std::string_view name, const std::optional<double>& value) {
  json.append(",\"").append(name).append("\":");
  if (!value) {
    json += "null";
    return;
  }
  char text[32];
  json.append(text, std::to_chars(text, text + sizeof text, *value).ptr);
}

}  // namespace

void LocalStore::each_run(TimePoint begin, TimePoint end, const VisitRun& visit) const {
  kept_.scan(kRunTimes, timed_key_before(kRunTimes, end), [&](std::string_view key, std::string_view value) {
    const auto place = read_timed_key(key);
    if (!place || place->at < begin) return !place;
    const auto row = decode_row<RunIndexRow>(value);
    return !row || visit(*place, *row);
  });
}

std::optional<RunRecord> LocalStore::record(const Uuid& run_id) const {
  const auto bytes = kept_.get(kept_run_key(run_id));
  auto found = bytes ? decode_run_record(*bytes) : std::nullopt;
  if (found && !found->run.first_event_at) return std::nullopt;
  return found;
}

std::optional<RunRecord> LocalStore::record(const Uuid& run_id, const Projects& projects) const {
  auto found = record(run_id);
  if (found && !is_one_of(std::string(found->run.text(RunText::kProjectId)), projects)) return std::nullopt;
  return found;
}

bool LocalStore::is_run_of(const std::optional<Uuid>& run_id, const Projects& projects) const {
  return !projects || (run_id && record(*run_id, projects));
}

// As schema/nested_runs.h.
bool LocalStore::counts_as_run(const Uuid& run_id, const RunIndexRow& row) const {
  if (!row.parent_run_id || *row.parent_run_id == run_id) return true;
  const auto parent = record(*row.parent_run_id);
  return !parent || parent->run.job_id != row.job_id || parent->run.parent_run_id == run_id;
}

// As schema/run_quality.h: the latest result of each check in the highest attempt that has any.
RunQuality LocalStore::quality_of(const Uuid& run_id) const {
  std::map<Uuid, DqCheckResultRow> latest;
  std::int32_t attempt = 0;
  kept_.scan(id_key(kResultsOfRuns, run_id), {}, [&](std::string_view key, std::string_view) {
    const auto place = read_timed_key(key);
    const auto bytes = place ? kept_.get(timed_key(kResultTimes, *place)) : std::nullopt;
    auto row = bytes ? decode_row<DqCheckResultRow>(*bytes) : std::nullopt;
    if (!row || row->attempt_no.value_or(0) < attempt) return true;
    if (row->attempt_no.value_or(0) > attempt) latest.clear();
    attempt = row->attempt_no.value_or(0);
    latest.try_emplace(row->check_id, std::move(*row));  // the latest comes first
    return true;
  });
  RunQuality quality;
  if (latest.empty()) return quality;
  std::string findings;
  quality.status = "pass";
  for (const auto& [check_id, row] : latest) {
    if (row.status == "pass") continue;
    if (quality.status != "fail") quality.status = row.status;
    findings += findings.empty() ? "[{" : ",{";
    append_member(findings, "check", std::optional(row.type));
    append_member(findings, "table", row.table_name);
    append_member(findings, "column", row.column_name);
    append_member(findings, "metric", std::optional(row.metric));
    append_member(findings, "status", std::optional(row.status));
    append_member(findings, "value", row.value);
    append_member(findings, "threshold", row.threshold);
    findings += '}';
  }
  if (!findings.empty()) quality.findings = Json{findings + ']'};
  return quality;
}

// Of the runs of its job and correlation id the one with the highest attempt below this one's first.
std::optional<Uuid> LocalStore::retry_of(const RunRecord& own) const {
  const std::string_view correlation_id = own.run.text(RunText::kCorrelationId);
  if (own.run.attempt_count <= 1 || correlation_id.empty() || own.attempts.empty()) return std::nullopt;
  const std::int32_t first = own.attempts.begin()->first;
  std::optional<std::pair<std::int32_t, Uuid>> best;  // attempts negated: of equal ones the smallest id stays
  each_run(TimePoint::min(), TimePoint::max(), [&](const TimedId& place, const RunIndexRow& row) {
    if (row.job_id != own.run.job_id || row.correlation_id != correlation_id || row.attempt_count >= first) return true;
    const std::pair candidate(-row.attempt_count, place.id);
    if (!best || candidate < *best) best = candidate;
    return true;
  });
  return best ? std::optional(best->second) : std::nullopt;
}

Result<Listing<RunSummary>> LocalStore::summaries(const std::vector<Uuid>& ids) const {
  Listing<RunSummary> out;
  const TimePoint now = clock_.now();
  for (const Uuid& id : ids) {
    if (const auto found = record(id)) out.rows.push_back(run_view(found->run, quality_of(id), now));
  }
  return out;
}

Result<Listing<RunSummary>> LocalStore::runs(const RunFilter& filter, const Slice& slice) {
  const auto after = cursor_of(slice);
  std::size_t left_out = rows_skipped(slice);
  std::int64_t total = 0;
  std::vector<Uuid> ids;
  // With a total all of the window is read, else it ends with the page.
  TimePoint end = filter.scheduled.to;
  if (after && !slice.with_total) end = std::min(end, after->at + std::chrono::microseconds(1));
  each_run(filter.scheduled.from, end, [&](const TimedId& place, const RunIndexRow& row) {
    if (!is_wanted(row.job_id, filter.job_id) || !is_wanted(row.status, filter.status) ||
        !is_wanted(row.environment, filter.environment) || !is_wanted(row.error_category, filter.error_category) ||
        !is_one_of(row.project_id, filter.projects)) {
      return true;
    }
    ++total;
    if ((after && !(*after < place)) || ids.size() == rows_wanted(slice)) return slice.with_total;
    if (left_out > 0) {
      --left_out;
    } else {
      ids.push_back(place.id);
    }
    return slice.with_total || ids.size() < rows_wanted(slice);
  });
  auto out = summaries(ids);
  if (out && slice.with_total) out->total = total;
  return out;
}

Result<Listing<RunSummary>> LocalStore::failed_runs(const FailedFilter& filter, const Slice& slice) {
  const auto after = cursor_of(slice);
  const std::size_t wanted = rows_skipped(slice) + rows_wanted(slice);
  std::set<TimedId, bool (*)(const TimedId&, const TimedId&)> ends(
      [](const TimedId& a, const TimedId& b) { return a < b; });
  std::int64_t total = 0;
  // A run is scheduled before it ends.
  each_run(TimePoint::min(), filter.ended.to, [&](const TimedId& place, const RunIndexRow& row) {
    if (row.status != "failed" || !row.finished_at || *row.finished_at < filter.ended.from ||
        *row.finished_at >= filter.ended.to || !is_wanted(row.error_category, filter.error_category) ||
        !is_wanted(row.job_id, filter.job_id) || !is_wanted(row.environment, filter.environment) ||
        !is_one_of(row.project_id, filter.projects)) {
      return true;
    }
    ++total;
    const TimedId ended{*row.finished_at, place.id};
    if (after && !(*after < ended)) return true;
    ends.insert(ended);
    if (ends.size() > wanted) ends.erase(std::prev(ends.end()));
    return true;
  });
  std::vector<Uuid> ids;
  std::size_t at = 0;
  for (const TimedId& each : ends) {
    if (at++ >= rows_skipped(slice)) ids.push_back(each.id);
  }
  auto out = summaries(ids);
  if (out && slice.with_total) out->total = total;
  return out;
}

Result<std::optional<RunView>> LocalStore::run(const Uuid& run_id, const Projects& projects) {
  const auto found = record(run_id, projects);
  if (!found) return std::optional<RunView>();
  RunView view = run_view(found->run, quality_of(run_id), clock_.now());
  view.retry_of = retry_of(*found);
  return std::optional(std::move(view));
}

Result<OfRun<RunAttemptRow>> LocalStore::attempts(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  const auto found = record(run_id, projects);
  if (!found) return OfRun<RunAttemptRow>();
  return OfRun<RunAttemptRow>(row_page(attempt_rows_of(*found), slice));
}

Result<OfRun<TaskRunRow>> LocalStore::tasks(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  const auto found = record(run_id, projects);
  if (!found) return OfRun<TaskRunRow>();
  return OfRun<TaskRunRow>(row_page(task_rows_of(*found), slice));
}

Result<OfRun<RunStateChangeRow>> LocalStore::changes(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  if (!record(run_id, projects)) return OfRun<RunStateChangeRow>();
  Listing<RunStateChangeRow> out;
  std::size_t at = 0;
  kept_.scan(id_key(kStateChanges, run_id), {}, [&](std::string_view, std::string_view value) {
    auto row = decode_row<RunStateChangeRow>(value);
    if (row && at++ >= rows_skipped(slice) && out.rows.size() < rows_wanted(slice)) out.rows.push_back(std::move(*row));
    return slice.with_total || out.rows.size() < rows_wanted(slice);
  });
  if (slice.with_total) out.total = static_cast<std::int64_t>(at);
  return OfRun<RunStateChangeRow>(std::move(out));
}

Result<OfRun<LogEventRow>> LocalStore::events(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  if (!record(run_id, projects)) return OfRun<LogEventRow>();
  auto lines =
      KeptLines(kept_, deriver_, kinds_).lines(run_id, projects, slice, std::chrono::steady_clock::now() + time_limit_);
  if (!lines) return lines.error();
  return OfRun<LogEventRow>(std::move(*lines));
}

Result<OfRun<SpanRow>> LocalStore::trace(const Uuid& run_id, const Projects& projects, const Slice& slice) {
  if (!record(run_id, projects)) return OfRun<SpanRow>();
  Slice page = slice;
  page.after.reset();
  auto spans = KeptLines(kept_, deriver_, kinds_).spans(run_id, page, std::chrono::steady_clock::now() + time_limit_);
  if (!spans) return spans.error();
  return OfRun<SpanRow>(std::move(*spans));
}

Result<Listing<AlertEventRow>> LocalStore::alerts(const AlertFilter&, const Slice& slice) {
  return row_page(std::vector<AlertEventRow>(), slice);
}

}  // namespace runtail
