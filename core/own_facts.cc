#include "core/own_facts.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/json_text.h"

namespace runtail {
namespace {

// Finite.
void append_number(std::string& out, double value) {
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

}  // namespace

void OwnFacts::begin(const Uuid& run_id, std::string_view job, const WorkerIds& ids, TimePoint at) {
  event_ = RedactedEvent();
  event_.ts = at;
  event_.ts_source = TsSource::kEnvelope;
  event_.dialect = "runtail";
  run_text_ = to_string(run_id);
  event_.fields.put_uuid(Field::kRunId, run_id, run_text_);
  job_ = job;
  if (!job_.empty()) event_.fields.put_text(Field::kJobId, job_);
  if (!ids.trace_id.empty()) event_.fields.put_text(Field::kTraceId, ids.trace_id);
  if (!ids.span_id.empty()) event_.fields.put_text(Field::kSpanId, ids.span_id);
  if (run_id != ids.run) return;
  // As the scheduler spells it, so that its own name of the run is kept.
  if (!ids.run_text.empty()) event_.fields.put_text(Field::kRunId, ids.run_text);
  if (!ids.job_id.empty()) event_.fields.put_text(Field::kJobId, ids.job_id);
  if (ids.attempt) event_.fields.put_int(Field::kAttempt, *ids.attempt);
}

void OwnFacts::begin_task(const WorkerIds& ids, TimePoint at) {
  begin(ids.run, {}, ids, at);
  if (!ids.task.empty()) event_.fields.put_text(Field::kTask, ids.task);
  if (ids.task_run) {
    event_.fields.put_uuid(Field::kTaskRunId, *ids.task_run, ids.task_run_id);
  } else if (!ids.task_run_id.empty()) {
    event_.fields.put_text(Field::kTaskRunId, ids.task_run_id);
  }
  if (ids.task_attempt) event_.fields.put_int(Field::kTaskAttempt, *ids.task_attempt);
}

// A verdict, and why.
void OwnFacts::put_exit(const WorkerExit& exit) {
  event_.verdict_source = VerdictSource::kExit;
  const bool failed = exit.exit_signal != 0 || exit.exit_code != 0;
  event_.status = failed ? RunStatus::kFailed : RunStatus::kSuccess;
  event_.level = failed ? Level::kError : Level::kInfo;
  event_.fields.put_int(Field::kDurationMs, exit.duration_ms);
  message_ = exit.exit_signal != 0 ? "worker ended by signal " + std::to_string(exit.exit_signal)
                                   : "worker exited with code " + std::to_string(exit.exit_code);
  event_.fields.put_text(Field::kMsg, message_);
  const EndReason reason = exit.exit_signal != 0 ? EndReason::kSignal
                           : failed              ? EndReason::kExitCode
                                                 : EndReason::kCompleted;
  event_.fields.put_text(Field::kEndReason, to_string(reason));
  if (failed) {
    event_.fields.put_text(Field::kErrorCategory, to_string(ErrorCategory::kSystem));
    event_.fields.put_text(Field::kErrorMessage, message_);
  }
}

const RedactedEvent& OwnFacts::run_started(const Uuid& run_id, std::string_view job, const WorkerIds& ids,
                                           TimePoint at) {
  begin(run_id, job, ids, at);
  event_.kind = EventKind::kRunStarted;
  message_ = "worker started";
  event_.fields.put_text(Field::kMsg, message_);
  return event_;
}

const RedactedEvent& OwnFacts::run_ended(const Uuid& run_id, std::string_view job, int attempt, const WorkerExit& exit,
                                         const WorkerIds& ids, TimePoint at) {
  begin(run_id, job, ids, at);
  event_.kind = EventKind::kRunFinished;
  event_.fields.put_int(Field::kAttempt, attempt);
  put_exit(exit);
  metrics_ = "{\"cpu_seconds\":";
  append_number(metrics_, static_cast<double>(exit.cpu_us) / 1e6);
  if (exit.max_rss_bytes > 0) metrics_ += ",\"max_rss_bytes\":" + std::to_string(exit.max_rss_bytes);
  metrics_ += '}';
  event_.fields.put_text(Field::kMetrics, metrics_);
  event_.fields.put(Field::kMetrics).kind = FieldValue::Kind::kJson;
  if (exit.exit_signal != 0) {
    event_.fields.put_int(Field::kExitSignal, exit.exit_signal);
  } else {
    event_.fields.put_int(Field::kExitCode, exit.exit_code);
  }
  return event_;
}

const RedactedEvent& OwnFacts::task_started(const WorkerIds& ids, TimePoint at) {
  begin_task(ids, at);
  event_.kind = EventKind::kTaskStarted;
  message_ = "worker started";
  event_.fields.put_text(Field::kMsg, message_);
  return event_;
}

// No exit code or signal as fields: tasks keep none, their end says it in words.
const RedactedEvent& OwnFacts::task_ended(const WorkerExit& exit, const WorkerIds& ids, TimePoint at) {
  begin_task(ids, at);
  event_.kind = EventKind::kTaskFinished;
  put_exit(exit);
  return event_;
}

// An inferred verdict has the rank of a running line: the later one wins.
TimePoint OwnFacts::gone_at(std::optional<TimePoint> last_event_at, const WorkerGone& gone) {
  const TimePoint last = last_event_at.value_or(TimePoint{}) + std::chrono::microseconds(1);
  return std::max(gone.at.value_or(last), last);
}

void OwnFacts::put_gone(const WorkerGone& gone) {
  event_.verdict_source = VerdictSource::kInferred;
  event_.status = RunStatus::kFailed;
  event_.level = Level::kError;
  event_.fields.put_text(Field::kEndReason, to_string(gone.reason));
  message_ = "worker is gone: ";
  message_ += gone.evidence;
  if (gone.reason == EndReason::kOom) message_ += "; the kernel killed it for lack of memory";
  if (gone.exit_signal != 0) message_ += "; signal " + std::to_string(gone.exit_signal);
  event_.fields.put_text(Field::kMsg, message_);
  event_.fields.put_text(Field::kErrorCategory, to_string(ErrorCategory::kSystem));
  event_.fields.put_text(Field::kErrorMessage, message_);
}

const RedactedEvent& OwnFacts::run_lost(const RunState& run, const WorkerGone& gone) {
  // A job that no line has named stays open to one that will.
  begin(run.run_id, run.job_id_rank == 1 ? std::string_view(run.job_id) : std::string_view(), {},
        gone_at(run.last_event_at, gone));
  event_.kind = EventKind::kRunFinished;
  put_gone(gone);
  environment_ = run.text(RunText::kEnvironment);
  service_ = run.text(RunText::kService);
  dialect_ = run.text(RunText::kDialect);
  event_.dialect = dialect_;
  if (!environment_.empty()) event_.fields.put_text(Field::kEnv, environment_);
  if (!service_.empty()) event_.fields.put_text(Field::kService, service_);
  event_.fields.put_int(Field::kAttempt, std::max(run.state.stamp.attempt, 1));
  if (gone.exit_signal != 0) event_.fields.put_int(Field::kExitSignal, gone.exit_signal);
  return event_;
}

const RedactedEvent& OwnFacts::task_lost(const WorkerIds& ids, std::optional<TimePoint> last, const WorkerGone& gone) {
  begin_task(ids, gone_at(last, gone));
  event_.kind = EventKind::kTaskFinished;
  put_gone(gone);
  return event_;
}

void OwnFacts::begin_own(EventKind kind, TimePoint at) {
  event_ = RedactedEvent();
  event_.kind = kind;
  event_.ts = at;
  event_.ts_source = TsSource::kEnvelope;
  event_.dialect = "runtail";
  event_.stored = false;
}

const RedactedEvent& OwnFacts::heartbeat(const AgentBeat& beat) {
  begin_own(EventKind::kAgentHeartbeat, beat.at);
  FieldSet& fields = event_.fields;
  for (const auto& [field, text] : {std::pair(Field::kService, kOwnService),
                                    {Field::kInstance, beat.instance},
                                    {Field::kEnv, beat.environment},
                                    {Field::kVersion, beat.version},
                                    {Field::kGitSha, beat.git_sha},
                                    {Field::kStatusText, beat.status}}) {
    if (!text.empty()) fields.put_text(field, text);
  }
  fields.put_int(Field::kStartedAt, to_micros(beat.started_at), FieldValue::Kind::kTime);
  fields.put_real(Field::kUptimeSeconds, static_cast<double>((beat.at - beat.started_at).count()) / 1e6);
  fields.put_real(Field::kCpuSeconds, beat.cpu_seconds);
  fields.put_int(Field::kRssBytes, beat.rss_bytes);
  fields.put_int(Field::kFds, beat.fds);
  fields.put_int(Field::kThreads, beat.threads);
  context_ = "{\"config_digest\":";
  append_json_string(context_, beat.config_digest);
  context_ += ",\"lag_bytes\":" + std::to_string(beat.lag_bytes) + ",\"lag_seconds\":";
  append_number(context_, beat.lag_seconds);
  context_ += ",\"buffer_bytes\":" + std::to_string(beat.buffer_bytes) +
              ",\"lost_bytes\":" + std::to_string(beat.lost_bytes) + '}';
  event_.context = context_;
  return event_;
}

// The columns of its row, so that a family that is gone by the time it is delivered changes nothing.
const RedactedEvent& OwnFacts::snapshot(const Series& series, TimePoint at) {
  begin_own(EventKind::kMetricSnapshot, at);
  const MetricFamilySpec& spec = spec_of(series.metric);
  context_ = "{\"name\":";
  append_json_string(context_, spec.name);
  context_.append(",\"value_type\":\"").append(to_string(spec.type)) += "\",\"labels\":{";
  std::string_view names = spec.labels;
  for (const std::string& value : series.labels) {
    const std::string_view name = names.substr(0, names.find(','));
    if (names.size() < spec.labels.size()) context_ += ',';
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    append_json_string(context_, name);
    context_ += ':';
    append_json_string(context_, value);
  }
  context_ += '}';
  if (spec.type != MetricType::kHistogram) {
    context_ += ",\"value\":";
    append_number(context_, series.value);
  } else {
    context_ += ",\"sum\":";
    append_number(context_, series.sum);
    std::uint64_t count = 0;
    std::string buckets;
    for (const std::uint64_t each : series.buckets) {
      count += each;
      buckets += (buckets.empty() ? "" : ",") + std::to_string(each);
    }
    context_ += ",\"count\":" + std::to_string(count) + ",\"buckets\":[" + buckets + ']';
  }
  context_ += '}';
  event_.context = context_;
  message_ = series_key(series);
  event_.fields.put_text(Field::kMetric, message_);
  return event_;
}

}  // namespace runtail
