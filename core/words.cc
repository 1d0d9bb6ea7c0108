#include "core/words.h"

#include <algorithm>
#include <array>
#include <utility>

namespace runtail {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::array kEventKinds = {"plain"sv,
                                    "run.queued"sv,
                                    "run.started"sv,
                                    "run.finished"sv,
                                    "attempt.started"sv,
                                    "attempt.finished"sv,
                                    "task.started"sv,
                                    "task.finished"sv,
                                    "dataset"sv,
                                    "dq"sv,
                                    "pool"sv,
                                    "http"sv,
                                    "queue"sv,
                                    "cache"sv,
                                    "heartbeat"sv,
                                    "span"sv,
                                    "chat"sv,
                                    "document"sv,
                                    "provider_sync"sv,
                                    "agent.heartbeat"sv,
                                    "metric.snapshot"sv};
constexpr std::array kLevels = {"TRACE"sv, "DEBUG"sv, "INFO"sv, "WARN"sv, "ERROR"sv, "FATAL"sv};
constexpr std::array kStatuses = {"queued"sv, "running"sv, "success"sv, "failed"sv, "cancelled"sv, "skipped"sv};
constexpr std::array kEndReasons = {""sv, "completed"sv, "exit_code"sv, "signal"sv, "oom"sv, "lost"sv, "timeout"sv};
constexpr std::array kVerdictSources = {"log"sv, "exit"sv, "inferred"sv};
constexpr std::array kErrorCategories = {""sv, "API"sv, "DB"sv, "Data"sv, "System"sv};
constexpr std::array kTsSources = {"line"sv, "envelope"sv, "previous"sv, "next"sv, "seen"sv};
constexpr std::array kRedactionStates = {"clean"sv, "masked"sv, "pseudonymised"sv, "partial"sv, "failed_closed"sv};
constexpr std::array kDqStatuses = {"pass"sv, "warn"sv, "fail"sv};
constexpr std::array kLineOutcomes = {"stored"sv,  "sampled"sv,   "level_filtered"sv,
                                      "dropped"sv, "duplicate"sv, "dead_lettered"sv};
constexpr std::array kRecordOutcomes = {"applied"sv, "duplicate"sv, "expired"sv, "dead_lettered"sv};

template <typename Word, std::size_t kCount>
std::optional<Word> find(const std::array<std::string_view, kCount>& words, std::string_view text) {
  for (std::size_t i = 0; i < kCount; ++i) {
    if (!words[i].empty() && words[i] == text) return static_cast<Word>(i);
  }
  return std::nullopt;
}

template <typename Word>
constexpr std::size_t index(Word word) {
  return static_cast<std::size_t>(word);
}

}  // namespace

std::string_view to_string(EventKind kind) { return kEventKinds[index(kind)]; }
std::string_view to_string(Level level) { return kLevels[index(level)]; }
std::string_view to_string(RunStatus status) { return kStatuses[index(status)]; }
std::string_view to_string(EndReason reason) { return kEndReasons[index(reason)]; }
std::string_view to_string(VerdictSource source) { return kVerdictSources[index(source)]; }
std::string_view to_string(ErrorCategory category) { return kErrorCategories[index(category)]; }
std::string_view to_string(TsSource source) { return kTsSources[index(source)]; }
std::string_view to_string(RedactionState state) { return kRedactionStates[index(state)]; }
std::string_view to_string(DqStatus status) { return kDqStatuses[index(status)]; }
std::string_view to_string(LineOutcome outcome) { return kLineOutcomes[index(outcome)]; }
std::string_view to_string(RecordOutcome outcome) { return kRecordOutcomes[index(outcome)]; }

std::optional<EventKind> parse_event_kind(std::string_view text) {
  const auto kind = find<EventKind>(kEventKinds, text);
  return kind && *kind <= kLastLineKind ? kind : std::nullopt;
}
std::optional<RunStatus> parse_run_status(std::string_view text) { return find<RunStatus>(kStatuses, text); }
std::optional<EndReason> parse_end_reason(std::string_view text) { return find<EndReason>(kEndReasons, text); }
std::optional<ErrorCategory> parse_error_category(std::string_view text) {
  return find<ErrorCategory>(kErrorCategories, text);
}

std::optional<DqStatus> dq_status_of(std::string_view word) {
  static constexpr std::pair<std::string_view, DqStatus> kWords[] = {
      {"pass", DqStatus::kPass}, {"passed", DqStatus::kPass}, {"success", DqStatus::kPass},
      {"ok", DqStatus::kPass},   {"warn", DqStatus::kWarn},   {"warning", DqStatus::kWarn},
      {"fail", DqStatus::kFail}, {"failed", DqStatus::kFail}, {"error", DqStatus::kFail},
  };
  const auto same = [word](std::string_view known) {
    return std::equal(word.begin(), word.end(), known.begin(), known.end(),
                      [](char c, char lower) { return (c >= 'A' && c <= 'Z' ? c | 0x20 : c) == lower; });
  };
  for (const auto& [known, status] : kWords) {
    if (same(known)) return status;
  }
  return std::nullopt;
}

}  // namespace runtail
