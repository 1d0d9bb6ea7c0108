#include "core/own_facts.h"

namespace runtail {

void OwnFacts::begin(const Uuid& run_id, std::string_view job, TimePoint at) {
  event_ = RedactedEvent();
  event_.ts = at;
  event_.ts_source = TsSource::kEnvelope;
  event_.dialect = "runtail";
  run_text_ = to_string(run_id);
  event_.fields.put_uuid(Field::kRunId, run_id, run_text_);
  job_ = job;
  if (!job_.empty()) event_.fields.put_text(Field::kJobId, job_);
}

const RedactedEvent& OwnFacts::run_started(const Uuid& run_id, std::string_view job, TimePoint at) {
  begin(run_id, job, at);
  event_.kind = EventKind::kRunStarted;
  message_ = "worker started";
  event_.fields.put_text(Field::kMsg, message_);
  return event_;
}

const RedactedEvent& OwnFacts::run_ended(const Uuid& run_id, std::string_view job, int attempt, const WorkerExit& exit,
                                         TimePoint at) {
  begin(run_id, job, at);
  event_.kind = EventKind::kRunFinished;
  event_.verdict_source = VerdictSource::kExit;
  const bool failed = exit.exit_signal != 0 || exit.exit_code != 0;
  event_.status = failed ? RunStatus::kFailed : RunStatus::kSuccess;
  event_.level = failed ? Level::kError : Level::kInfo;
  event_.fields.put_int(Field::kAttempt, attempt);
  event_.fields.put_int(Field::kDurationMs, exit.duration_ms);
  if (exit.exit_signal != 0) {
    event_.fields.put_int(Field::kExitSignal, exit.exit_signal);
    event_.fields.put_text(Field::kEndReason, to_string(EndReason::kSignal));
    message_ = "worker ended by signal " + std::to_string(exit.exit_signal);
  } else {
    event_.fields.put_int(Field::kExitCode, exit.exit_code);
    event_.fields.put_text(Field::kEndReason, to_string(failed ? EndReason::kExitCode : EndReason::kCompleted));
    message_ = "worker exited with code " + std::to_string(exit.exit_code);
  }
  event_.fields.put_text(Field::kMsg, message_);
  if (failed) {
    event_.fields.put_text(Field::kErrorCategory, to_string(ErrorCategory::kSystem));
    event_.fields.put_text(Field::kErrorMessage, message_);
  }
  return event_;
}

}  // namespace runtail
