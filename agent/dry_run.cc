#include "agent/dry_run.h"

#include <algorithm>

#include "agent/line_events.h"
#include "core/json_text.h"

namespace runtail {
namespace {

// As many units are looked at together: the first ones without a time take that of the first that has one.
constexpr std::size_t kUnitsTogether = 1000;

// An object or array being written.
class Json {
 public:
  explicit Json(std::string& out) : out_(out) {}
  Json& open(char bracket) {
    out_ += bracket;
    return *this;
  }
  void close(char bracket) { out_ += bracket; }
  void next() {
    if (out_.back() != '{' && out_.back() != '[') out_ += ',';
  }
  void name(std::string_view name) {
    next();
    append_json_string(out_, name);
    out_ += ':';
  }
  void text(std::string_view member, std::string_view value) {
    if (value.empty()) return;
    name(member);
    append_json_string(out_, value);
  }
  void number(std::string_view member, const std::optional<std::int64_t>& value) {
    if (!value) return;
    name(member);
    out_ += std::to_string(*value);
  }
  void real(std::string_view member, const std::optional<double>& value) {
    if (!value) return;
    name(member);
    char digits[32];
    const int size = std::snprintf(digits, sizeof digits, "%.15g", *value);
    out_.append(digits, static_cast<std::size_t>(size));
  }
  void time(std::string_view member, const std::optional<TimePoint>& value) {
    if (value) text(member, to_rfc3339(*value));
  }

 private:
  std::string& out_;
};

void write_state(Json& json, const StateGroup& state, const ErrorGroup& error) {
  json.text("status", to_string(state.status));
  json.text("end_reason", to_string(state.end_reason));
  json.time("finished_at", state.finished_at);
  if (state.status != RunStatus::kFailed) return;
  json.text("error_category", to_string(error.category));
  json.text("error_code", error.code);
  json.text("error_message", error.message);
}

void write_task(Json& json, std::string& out, const TaskState& task) {
  json.next();
  json.open('{');
  json.text("task_run_id", task.external_task_id.empty() ? to_string(task.task_run_id) : task.external_task_id);
  json.text("name", task.name);
  json.text("phase", task.phase);
  json.text("dataset", task.dataset);
  json.text("table", task.table);
  write_state(json, task.state, task.error);
  json.time("started_at", task.started_at);
  json.number("duration_ms", task.state.duration_ms);
  json.number("records_extracted", task.records_extracted);
  json.number("records_loaded", task.records_loaded);
  out += '}';
}

std::string id_of(const DryRunSummary& summary, const Uuid& run_id) {
  const auto found = summary.runs.find(run_id);
  const std::string_view text =
      found == summary.runs.end() ? std::string_view{} : found->second.run.text(RunText::kExternalRunId);
  return text.empty() ? to_string(run_id) : std::string(text);
}

void write_run(Json& json, std::string& out, const RunRecord& record, const DryRunSummary& summary) {
  const RunState& run = record.run;
  json.next();
  json.open('{');
  json.text("run_id", id_of(summary, run.run_id));
  json.text("job_id", run.job_id);
  json.text("dialect", run.text(RunText::kDialect));
  if (run.parent_run_id) json.text("parent_run_id", id_of(summary, *run.parent_run_id));
  json.text("correlation_id", run.text(RunText::kCorrelationId));
  json.text("dataset", run.text(RunText::kDataset));
  write_state(json, run.state, run.error);
  json.time("started_at", run.started_at);
  json.time("first_event_at", run.first_event_at);
  json.time("last_event_at", run.last_event_at);
  json.number("duration_ms", run.duration_ms());
  json.number("records_extracted", run.records_extracted());
  json.number("records_loaded", run.records_loaded());
  json.number("attempt_count", run.attempt_count);
  json.name("attempts");
  json.open('[');
  for (const auto& [number, attempt] : record.attempts) {
    json.next();
    json.open('{');
    json.number("attempt", number);
    write_state(json, attempt.state, attempt.error);
    json.number("exit_code", attempt.exit_code);
    json.number("exit_signal", attempt.exit_signal);
    json.close('}');
  }
  json.close(']');
  std::vector<const TaskState*> tasks;
  for (const auto& [id, task] : record.tasks) tasks.push_back(&task);
  std::sort(tasks.begin(), tasks.end(), [](const TaskState* a, const TaskState* b) {
    return std::tie(a->first_event_at, a->name, a->external_task_id, a->task_run_id) <
           std::tie(b->first_event_at, b->name, b->external_task_id, b->task_run_id);
  });
  json.name("tasks");
  json.open('[');
  for (const TaskState* task : tasks) write_task(json, out, *task);
  out += "]}";
}

void write_counts(Json& json, std::string_view name, const std::map<std::string, std::uint64_t>& counts) {
  json.name(name);
  json.open('{');
  for (const auto& [each, count] : counts) json.number(each, static_cast<std::int64_t>(count));
  json.close('}');
}

}  // namespace

std::string to_json(const DryRunSummary& summary) {
  std::string out;
  Json json(out);
  json.open('{');
  json.number("lines", static_cast<std::int64_t>(summary.lines));
  write_counts(json, "dialects", summary.dialects);
  write_counts(json, "dropped", summary.dropped);
  if (summary.too_long > 0) json.number("too_long", static_cast<std::int64_t>(summary.too_long));
  if (summary.unknown_statuses > 0)
    json.number("unknown_statuses", static_cast<std::int64_t>(summary.unknown_statuses));
  std::vector<const RunRecord*> runs;
  for (const auto& [id, record] : summary.runs) runs.push_back(&record);
  std::sort(runs.begin(), runs.end(), [](const RunRecord* a, const RunRecord* b) {
    return std::tie(a->run.first_event_at, a->run.run_id) < std::tie(b->run.first_event_at, b->run.run_id);
  });
  json.name("runs");
  json.open('[');
  for (const RunRecord* record : runs) write_run(json, out, *record, summary);
  json.close(']');
  json.name("datasets");
  json.open('[');
  for (const auto& [name, dataset] : summary.datasets) {
    json.next();
    json.open('{');
    json.text("dataset", name);
    json.text("status", dataset.status);
    json.time("success_at", dataset.success_at);
    json.number("record_count", dataset.record_count);
    json.close('}');
  }
  json.close(']');
  json.name("findings");
  json.open('[');
  for (const DryRunSummary::Check& check : summary.checks) {
    json.next();
    json.open('{');
    json.text("kind", check.kind);
    json.text("table", check.table);
    json.text("column", check.column);
    json.text("check", check.check);
    json.text("metric", check.metric);
    json.text("status", check.status);
    json.real("value", check.value);
    json.real("threshold", check.threshold);
    json.number("row_count", check.row_count);
    if (!check.data.empty()) {
      json.name("data");
      out += check.data;
    }
    if (check.run_id) json.text("run_id", id_of(summary, *check.run_id));
    json.close('}');
  }
  out += "]}";
  return out;
}

DryRun::DryRun(Parser parser, Redactor redactor, DeriverSettings settings, FramingSettings framing, Visit visit)
    : parser_(std::move(parser)),
      redactor_(std::move(redactor)),
      deriver_(std::move(settings)),
      framing_settings_(framing),
      visit_(std::move(visit)) {}

void DryRun::read(std::string_view name, const std::function<bool(std::string&)>& next_line) {
  FileIdentity file;
  file.stream = name;
  ids_.emplace(file);
  job_id_ = name;
  line_number_ = 0;
  memory_ = {};
  time_.begin_alone({});
  Framing framing(framing_settings_);
  std::vector<std::string> lines;  // the units of a block point into them
  std::vector<Unit> units;
  std::uint64_t offset = 0;
  lines.reserve(kUnitsTogether);
  const auto hand_out = [&] {
    take(units);
    units.clear();
    lines.clear();
    framing.begin_block();
  };
  for (std::string line; next_line(line);) {
    ++summary_.lines;
    lines.push_back(std::move(line));
    framing.add(offset, lines.back().size() + 1, lines.back(), TimePoint{}, units);
    offset += lines.back().size() + 1;
    if (lines.size() == kUnitsTogether) hand_out();
  }
  framing.finish(units);
  hand_out();
}

void DryRun::take(const std::vector<Unit>& units) {
  if (!time_.last()) {
    std::optional<TimePoint> next;
    for (const Unit& unit : units) {
      if ((next = parser_.parse(unit.bytes).ts)) break;
    }
    time_.begin_alone(next);
  }
  for (const Unit& unit : units) take_unit(unit);
}

void DryRun::take_unit(const Unit& unit) {
  Line line;
  line.number = line_number_ + 1;
  line_number_ += unit.lines;
  const auto drop = [&](std::string_view rule) {
    summary_.dropped[std::string(rule)] += unit.lines;
    line.dropped = rule;
    if (visit_ && !line.event) visit_(line);
  };
  if (unit.too_long) {
    summary_.too_long += unit.lines;
    line.dropped = "too_long";
    if (visit_) visit_(line);
    return;
  }
  if (unit.orphan) return drop("orphan_piece");
  const LogEvent& first = parser_.parse(unit.bytes);
  if (first.shape == LineShape::kEmpty) return drop("empty");
  const std::string dropped(first.drop), dialect(first.dialect);
  if (!dropped.empty()) summary_.dropped[dropped] += unit.lines;
  summary_.dialects[dialect] += unit.lines;
  line.dropped = dropped;
  line.dialect = dialect;
  for_each_event(
      parser_, redactor_, memory_, first, unit.bytes.size(),
      [&](const LogEvent& event, RedactedEvent& safe) {
        summary_.unknown_statuses += event.violations >> static_cast<int>(ContractViolation::kUnknownStatus) & 1;
        time_.put(unit.envelope_time, safe);
        if (event.run_is_process && !safe.fields.has(Field::kRunId)) safe.fields.put_text(Field::kRunId, job_id_);
      },
      [](const LogEvent&, const RedactedEvent&) { return LineOutcome::kStored; },
      [&](const RedactedEvent& safe, std::uint64_t part) {
        line.part = static_cast<decltype(line.part)>(part);
        line.is_row = safe.stored;
        deriver_.derive(safe, {&*ids_, unit.offset + part, job_id_, 4}, derived_);
        fold(safe);
        line.event = &safe;
        line.derived = &derived_;
        if (visit_) visit_(line);
      });
}

void DryRun::fold(const RedactedEvent& event) {
  if (derived_.run) summary_.runs[derived_.run->run_id].apply(*derived_.run);
  if (const auto& fact = derived_.dataset) {
    DryRunSummary::Dataset& dataset = summary_.datasets[std::string(fact->dataset)];
    if (fact->success_at && (!dataset.success_at || *fact->success_at >= *dataset.success_at)) {
      dataset.success_at = fact->success_at;
      dataset.record_count = fact->record_count;
    }
    if (event.ts >= dataset.at && !fact->status.empty()) {
      dataset.status = fact->status;
      dataset.at = event.ts;
    }
  }
  for (const DqFact& fact : derived_.dq) {
    DryRunSummary::Check check;
    check.table = fact.table;
    check.column = fact.column;
    check.kind = to_string(fact.kind);
    check.check = fact.check;
    check.metric = fact.metric;
    check.data = fact.data;
    check.value = fact.value;
    check.threshold = fact.threshold;
    check.row_count = fact.row_count;
    if (fact.kind == DqKind::kReported) check.status = to_string(fact.status);
    if (derived_.run) check.run_id = derived_.run->run_id;
    const auto same = std::find_if(summary_.checks.begin(), summary_.checks.end(),
                                   [&](const auto& each) { return each.key() == check.key(); });
    if (same == summary_.checks.end()) {
      summary_.checks.push_back(std::move(check));
    } else {
      *same = std::move(check);
    }
  }
}

}  // namespace runtail
