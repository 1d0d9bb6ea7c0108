#include "history/history_fold.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <tuple>

#include "core/identity.h"
#include "core/json_text.h"
#include "history/kept_keys.h"
#include "history/row_codec.h"
#include "history/row_text.h"
#include "schema/rows/quality.h"
#include "schema/rows/runs.h"
#include "schema/rows/service.h"

namespace runtail {
namespace {

// Names of jobs held in memory to write each once a day; beyond it they are forgotten, and written again.
constexpr std::size_t kJobsMax = 10'000;

std::string_view job_of(const RedactedEvent& event, const Origin& origin) {
  return event.fields.has(Field::kJobId) ? event.fields.text(Field::kJobId) : origin.default_job_id;
}

// Which success is the later one; the rest of the key only settles equal times.
auto success_key(const DatasetStatusRow& row) {
  return std::tie(row.last_success_at, row.record_count, row.last_run_id);
}
auto status_key(const DatasetStatusRow& row) { return std::tie(row.last_status_at, row.last_status); }

// "pass" before "warn" before "fail".
int weight_of(std::string_view status) { return status == "fail" ? 2 : status == "warn" ? 1 : 0; }

std::optional<double> finite(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? value : std::nullopt;
}

// A text member of a flat JSON object whose texts have no escapes.
std::optional<std::string> text_member(std::string_view members, std::string_view name) {
  const std::string head = '"' + std::string(name) + "\":\"";
  const std::size_t at = members.find(head);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = members.substr(at + head.size());
  return text_or_null(rest.substr(0, rest.find('"')));
}

std::string details_of(const HeartbeatFact& fact) {
  std::string json = R"({"event_id":")" + to_string(fact.event_id) + '"';
  if (fact.cpu_seconds && std::isfinite(*fact.cpu_seconds)) {
    char text[32];
    json += ",\"cpu_seconds\":";
    json.append(text, std::to_chars(text, text + sizeof text, *fact.cpu_seconds).ptr);
  }
  const auto put = [&](std::string_view name, const std::optional<std::int64_t>& value) {
    if (value) json.append(",\"").append(name).append("\":").append(std::to_string(*value));
  };
  put("rss_bytes", fact.rss_bytes);
  put("fds", fact.fds);
  put("threads", fact.threads);
  return json + '}';
}

}  // namespace

void HistoryFold::add(const RedactedEvent& event, const Origin& origin, const Derived& derived, Sequence sequence) {
  add_places(derived, sequence);
  if (derived.run) add_job(derived.run->job_id, event.ts);
  if (!derived.dq.empty()) add_job(job_of(event, origin), event.ts);
  if (derived.dataset) add_dataset(event, origin, derived);
  if (!derived.dq.empty()) add_results(event, origin, derived);
  if (const auto* heartbeat = std::get_if<HeartbeatFact>(&derived.own)) add_heartbeat(*heartbeat);
}

void HistoryFold::add_places(const Derived& derived, Sequence sequence) {
  if (sequence != sequence_) placed_.clear();
  sequence_ = sequence;
  // A span's run is its line's.
  if (derived.run && placed_.insert(derived.run->run_id).second) {
    put(line_place_key(derived.run->run_id, sequence), {});
  }
}

void HistoryFold::add_job(std::string_view job_id, TimePoint at) {
  const auto day = std::chrono::floor<std::chrono::days>(at);
  auto known = jobs_.find(job_id);
  const std::string key = std::string(kJobNames) + std::string(job_id);
  if (known == jobs_.end()) {
    if (jobs_.size() >= kJobsMax) jobs_.clear();
    known = jobs_.emplace(job_id, read_job_day(current(key))).first;
  }
  if (day <= known->second) return;
  known->second = day;
  put(key, job_day(at));
}

void HistoryFold::add_dataset(const RedactedEvent& event, const Origin& origin, const Derived& derived) {
  const DatasetFact& fact = *derived.dataset;
  const std::string_view environment =
      event.fields.has(Field::kEnv) ? event.fields.text(Field::kEnv) : std::string_view(settings_.environment);
  DatasetStatusRow row;
  row.id = dataset_id_of(environment, fact.dataset);
  row.environment = text_or_null(environment);
  row.dataset = fact.dataset;
  row.job_id = job_of(event, origin);
  row.last_success_at = fact.success_at;
  if (fact.success_at) {
    row.record_count = fact.record_count;
    if (derived.run) row.last_run_id = derived.run->run_id;
  }
  row.last_status = text_or_null(fact.status);
  if (!fact.status.empty()) row.last_status_at = event.ts;
  row.last_event_at = event.ts;
  const std::string key = id_key(kDatasets, row.id);
  if (auto into = decode_row<DatasetStatusRow>(current(key))) {
    if (row.last_success_at && success_key(row) > success_key(*into)) {
      into->last_success_at = row.last_success_at;
      into->record_count = row.record_count;
      into->last_run_id = row.last_run_id;
    }
    if (row.last_status_at && status_key(row) > status_key(*into)) {
      into->last_status_at = row.last_status_at;
      into->last_status = row.last_status;
    }
    into->last_event_at = std::max(into->last_event_at, row.last_event_at);
    into->job_id = std::min(into->job_id, row.job_id);
    row = std::move(*into);
  }
  put(key, encode_row(row));
}

void HistoryFold::add_results(const RedactedEvent& event, const Origin& origin, const Derived& derived) {
  const std::string job_id(job_of(event, origin));
  for (const DqFact& fact : derived.dq) {
    if (fact.kind != DqKind::kReported) continue;
    DqCheckResultRow row;
    row.type = fact.check.empty() ? "reported" : std::string(fact.check);
    row.metric = fact.metric.empty() ? row.type : std::string(fact.metric);
    row.table_name = text_or_null(fact.table);
    row.column_name = text_or_null(fact.column);
    row.job_id = job_id;
    row.check_id = check_id_of(job_id, row.type, fact.table, fact.column, row.metric);
    if (derived.run) row.run_id = derived.run->run_id;
    const std::int32_t attempt = derived.run ? derived.run->attempt : 1;
    row.attempt_no = attempt;
    row.created_at = event.ts;
    row.id = result_id_of(row.run_id, attempt, row.check_id);
    row.status = to_string(fact.status);
    row.value = finite(fact.value);
    row.threshold = finite(fact.threshold);
    row.correlation_id = text_or_null(event.fields.text(Field::kCorrelationId));
    row.request_id = text_or_null(event.fields.text(Field::kRequestId));
    row.ruleset = text_or_null(settings_.ruleset);
    const TimedId place{row.created_at, row.id};
    std::string key = timed_key(kResultTimes, place);
    // The same check twice in one instant: the worse result stays.
    const auto known = decode_row<DqCheckResultRow>(current(key));
    if (known && weight_of(known->status) >= weight_of(row.status)) continue;
    if (row.run_id) put(timed_key(id_key(kResultsOfRuns, *row.run_id), place), {});
    put(std::move(key), encode_row(row));
  }
}

void HistoryFold::add_heartbeat(const HeartbeatFact& fact) {
  ServiceHeartbeatRow row;
  row.id = fact.id;
  row.service = fact.service;
  row.instance = text_or_null(fact.instance);
  row.environment = text_or_null(fact.environment);
  row.version = text_or_null(fact.version);
  row.git_sha = text_or_null(fact.git_sha);
  row.status = fact.status;
  row.started_at = fact.started_at;
  row.uptime_seconds = finite(fact.uptime_seconds);
  row.agent_id = settings_.agent_id;
  if (!fact.agent_members.empty()) {
    row.config_digest = text_member(fact.agent_members, "config_digest");
    for_each_number('{' + std::string(fact.agent_members) + '}', [&](std::string_view name, double value) {
      if (name == "lag_bytes") row.lag_bytes = std::llround(value);
      if (name == "lag_seconds") row.lag_seconds = value;
      if (name == "buffer_bytes") row.buffer_bytes = std::llround(value);
      if (name == "lost_bytes") row.lost_bytes = std::llround(value);
    });
  }
  row.details = Json{details_of(fact)};
  row.last_seen_at = fact.at;
  const std::string key = id_key(kHeartbeats, fact.id);
  const std::string known = current(key);
  if (known.size() > fact.event_id.bytes.size()) {
    Uuid event_id;
    std::memcpy(event_id.bytes.data(), known.data(), event_id.bytes.size());
    const auto before = decode_row<ServiceHeartbeatRow>(std::string_view(known).substr(event_id.bytes.size()));
    if (before && std::tie(before->last_seen_at, event_id) >= std::tie(fact.at, fact.event_id)) return;
  }
  std::string value(reinterpret_cast<const char*>(fact.event_id.bytes.data()), fact.event_id.bytes.size());
  put(key, value + encode_row(row));
}

void HistoryFold::add_change(const StateGroup& before, const RunState& now) {
  const StateGroup& after = now.state;
  if (after.stamp == before.stamp) return;
  const auto put_change = [&](std::string_view field, std::string_view from, std::string_view to) {
    if (from == to) return;
    RunStateChangeRow row;
    row.id = uuid_v5(runtail_namespace(), {to_string(now.run_id), to_string(after.stamp.event), field});
    row.run_id = now.run_id;
    row.attempt_no = after.stamp.attempt;
    row.field = field;
    row.old_value = text_or_null(from);
    row.new_value = text_or_null(to);
    row.verdict_source = to_string(after.verdict_source);
    row.event_id = after.stamp.event;
    row.agent_id = settings_.agent_id;
    row.at = after.stamp.at;
    put(change_key(now.run_id, row.at, row.id), encode_row(row));
  };
  const bool is_first = before.stamp.attempt == 0;
  put_change("status", is_first ? std::string_view() : to_string(before.status), to_string(after.status));
  if (is_first) return;
  put_change("attempt", std::to_string(before.stamp.attempt), std::to_string(after.stamp.attempt));
  // A verdict that stays, told by another or for another reason. Those of a new one are told with the status.
  if (before.status == after.status && is_terminal(after.status) && before.stamp.attempt == after.stamp.attempt) {
    put_change("verdict_source", to_string(before.verdict_source), to_string(after.verdict_source));
    put_change("end_reason", to_string(before.end_reason), to_string(after.end_reason));
  }
}

std::string HistoryFold::current(const std::string& key) const {
  if (const auto at = changed_.find(key); at != changed_.end()) return at->second;
  return kept_.get(key).value_or(std::string());
}

std::vector<std::pair<std::string, std::string>> HistoryFold::take_changed() {
  std::vector<std::pair<std::string, std::string>> out(std::make_move_iterator(changed_.begin()),
                                                       std::make_move_iterator(changed_.end()));
  changed_.clear();
  return out;
}

}  // namespace runtail
