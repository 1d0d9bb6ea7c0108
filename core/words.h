// The closed sets of words, their spelling in every store, and back.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace runtail {

enum class EventKind : std::uint8_t {
  kPlain,
  kRunQueued,
  kRunStarted,
  kRunFinished,
  kAttemptStarted,
  kAttemptFinished,
  kTaskStarted,
  kTaskFinished,
  kDataset,
  kDq,
  kPool,
  kHttp,
  kQueue,
  kCache,
  kHeartbeat,
  kSpan,
  kChat,
  kDocument,
  kProviderSync,
  // What the agent states of itself. No line is ever of these kinds.
  kAgentHeartbeat,
  kMetricSnapshot,
};
inline constexpr EventKind kLastLineKind = EventKind::kProviderSync;
enum class Level : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kFatal };
enum class RunStatus : std::uint8_t { kQueued, kRunning, kSuccess, kFailed, kCancelled, kSkipped };
enum class EndReason : std::uint8_t { kNone, kCompleted, kExitCode, kSignal, kOom, kLost, kTimeout };
enum class VerdictSource : std::uint8_t { kLog, kExit, kInferred };
enum class ErrorCategory : std::uint8_t { kNone, kApi, kDb, kData, kSystem };
enum class TsSource : std::uint8_t { kLine, kEnvelope, kPrevious, kNext, kSeen };
enum class RedactionState : std::uint8_t { kClean, kMasked, kPseudonymised, kPartial, kFailedClosed };
enum class DqStatus : std::uint8_t { kPass, kWarn, kFail };

// What became of a line; decided at the synced batch. Each line read has exactly one.
enum class LineOutcome : std::uint8_t { kStored, kSampled, kLevelFiltered, kDropped, kDuplicate, kDeadLettered };
// What became of a record in a sink.
enum class RecordOutcome : std::uint8_t { kApplied, kDuplicate, kExpired, kDeadLettered };

inline bool is_terminal(RunStatus status) { return status >= RunStatus::kSuccess; }

// to_string(EndReason::kNone) and to_string(ErrorCategory::kNone) are "".
std::string_view to_string(EventKind kind);          // "plain", "run.queued", ...
std::string_view to_string(Level level);             // "INFO"
std::string_view to_string(RunStatus status);        // "success"
std::string_view to_string(EndReason reason);        // "exit_code"
std::string_view to_string(VerdictSource source);    // "log"
std::string_view to_string(ErrorCategory category);  // "API", "DB", "Data", "System"
std::string_view to_string(TsSource source);         // "line"
std::string_view to_string(RedactionState state);    // "failed_closed"
std::string_view to_string(DqStatus status);         // "pass"
std::string_view to_string(LineOutcome outcome);     // "stored"
std::string_view to_string(RecordOutcome outcome);   // "applied"

// Exact spelling as above; std::nullopt for all else.
std::optional<EventKind> parse_event_kind(std::string_view text);  // kinds of lines only
std::optional<RunStatus> parse_run_status(std::string_view text);
std::optional<EndReason> parse_end_reason(std::string_view text);
std::optional<ErrorCategory> parse_error_category(std::string_view text);
// What tools of data quality say of a check, in any case: pass, passed, success, ok; warn, warning; fail, failed,
// error. An error there is a check that is stale or unmet; none of these words is ever a run's status.
std::optional<DqStatus> dq_status_of(std::string_view word);

}  // namespace runtail
