// One line on its way: LogEvent (parsed, may hold anything) and RedactedEvent (may be written).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/field.h"
#include "core/time.h"
#include "core/uuid.h"
#include "core/words.h"

namespace runtail {

// One typed value. Text points into memory owned by whoever made the event.
struct FieldValue {
  enum class Kind : std::uint8_t { kText, kUuid, kInt, kReal, kBool, kTime, kJson };
  Kind kind = Kind::kText;
  std::string_view text;  // kText; kUuid: the 36 characters as written; kJson: JSON text (RedactedEvent only)
  union {
    std::int64_t integer = 0;  // kInt, kBool (0 or 1), kTime (microseconds since 1970)
    double real;               // kReal
  };
  Uuid uuid;  // kUuid
};

// The contract fields present on a line. clear() is cheap: values are not touched.
class FieldSet {
 public:
  void clear() { present_ = {}; }
  bool has(Field field) const { return present_[word(field)] & bit(field); }
  void remove(Field field) { present_[word(field)] &= ~bit(field); }
  int size() const { return std::popcount(present_[0]) + std::popcount(present_[1]); }
  // Calls visit(field, value) for each that is there, in the order of RUNTAIL_FIELDS. It may remove the one it got.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i < present_.size(); ++i) {
      for (std::uint64_t left = present_[i]; left != 0; left &= left - 1) {
        const std::size_t at = i * 64 + static_cast<std::size_t>(std::countr_zero(left));
        visit(static_cast<Field>(at), values_[at]);
      }
    }
  }

  // nullptr if absent.
  const FieldValue* find(Field field) const { return has(field) ? &values_[index(field)] : nullptr; }
  FieldValue& put(Field field) {
    present_[word(field)] |= bit(field);
    return values_[index(field)];
  }
  void put_text(Field field, std::string_view text) {
    FieldValue& value = put(field);
    value.kind = FieldValue::Kind::kText;
    value.text = text;
  }
  void put_int(Field field, std::int64_t integer, FieldValue::Kind kind = FieldValue::Kind::kInt) {
    FieldValue& value = put(field);
    value.kind = kind;
    value.integer = integer;
  }
  void put_real(Field field, double real) {
    FieldValue& value = put(field);
    value.kind = FieldValue::Kind::kReal;
    value.real = real;
  }
  void put_uuid(Field field, const Uuid& uuid, std::string_view text) {
    FieldValue& value = put(field);
    value.kind = FieldValue::Kind::kUuid;
    value.uuid = uuid;
    value.text = text;
  }

  // Text of a kText or kUuid value; "" if absent or of another kind.
  std::string_view text(Field field) const {
    const FieldValue* value = find(field);
    return value && (value->kind == FieldValue::Kind::kText || value->kind == FieldValue::Kind::kUuid)
               ? value->text
               : std::string_view{};
  }
  std::optional<std::int64_t> integer(Field field) const {
    const FieldValue* value = find(field);
    if (!value || value->kind == FieldValue::Kind::kReal || value->kind == FieldValue::Kind::kText) return std::nullopt;
    return value->integer;
  }
  std::optional<double> real(Field field) const {
    const FieldValue* value = find(field);
    if (!value) return std::nullopt;
    if (value->kind == FieldValue::Kind::kReal) return value->real;
    if (value->kind == FieldValue::Kind::kInt) return static_cast<double>(value->integer);
    return std::nullopt;
  }
  std::optional<TimePoint> time(Field field) const {
    const FieldValue* value = find(field);
    if (!value || value->kind != FieldValue::Kind::kTime) return std::nullopt;
    return from_micros(value->integer);
  }

 private:
  static std::size_t index(Field field) { return static_cast<std::size_t>(field); }
  static std::size_t word(Field field) { return index(field) / 64; }
  static std::uint64_t bit(Field field) { return std::uint64_t{1} << index(field) % 64; }
  std::array<std::uint64_t, 2> present_{};
  std::array<FieldValue, kFieldCount> values_;
};

// A JSON tree laid out in pre-order: a container's children follow it, up to (excluding) index `end`.
struct JsonNode {
  enum class Kind : std::uint8_t { kObject, kArray, kString, kInt, kUint, kReal, kBool, kNull };
  Kind kind = Kind::kNull;
  bool is_field = false;  // a contract field of type kJson, named by `key`
  std::uint32_t end = 0;  // index after the last descendant; own index + 1 for a leaf
  std::string_view key;   // decoded; empty inside an array
  std::string_view text;  // kString, decoded. kInt, kUint, kReal: empty
  union {
    std::int64_t integer = 0;  // kInt, kBool
    std::uint64_t uinteger;    // kUint: above the range of int64
    double real;               // kReal
  };
};

enum class LineShape : std::uint8_t {
  kJson,   // an object; fields and rest are set
  kText,   // anything else, broken JSON included; only `text` is set
  kEmpty,  // no bytes but white space
};

// A line as read. Views point into the parser and the line's own bytes: valid until the next parse().
// Kinds: for LineShape::kText the kind is kPlain and the level kInfo (the parser may find a level word).
struct LogEvent {
  LineShape shape = LineShape::kEmpty;
  EventKind kind = EventKind::kPlain;
  Level level = Level::kInfo;
  bool level_stated = false;
  std::optional<RunStatus> status;  // the status word, mapped
  bool attempt_failed = false;      // the word says: this attempt failed, the run goes on ("up for retry")
  VerdictSource verdict_source = VerdictSource::kLog;
  std::optional<TimePoint> ts;  // what the line itself states
  FieldSet fields;
  // Members that are no contract field, and kJson fields (null_rates, columns, ...) as children of their key; each
  // top-level node is one member of the line. FieldSet holds kJson fields only after redaction.
  std::vector<JsonNode> rest;
  std::string_view text;     // kText: the line, valid UTF-8 (bad bytes replaced by U+FFFD), no NUL
  std::string_view dialect;  // which one claimed it: "native", "dbt", "text"
  // Not empty: the line holds data or a body that must not be kept, and what it is. The event has counts and ids only.
  std::string_view drop;
  bool run_is_process = false;   // a run this event names none of is the process that printed the line
  bool is_further = false;       // one more event of a line that has given one: its facts count, the line does not
  bool repaired = false;         // bytes were replaced to make it valid text
  std::uint32_t violations = 0;  // bits of ContractViolation
};

// What the log contract asks for and the line lacks (docs/log-contract.md); bit numbers of LogEvent::violations.
enum class ContractViolation : std::uint8_t { kTs, kLevel, kMsg, kJobId, kRunId, kBadType, kUnknownStatus };
inline constexpr std::size_t kContractViolationCount = 7;
std::string_view to_string(ContractViolation violation);  // "ts", "level", ..., "type", "status"

// How many spans of each kind redaction touched on one line; kinds are indices into the ruleset's list of kinds.
struct RedactionCount {
  std::uint8_t kind = 0;
  std::uint16_t count = 0;
};

// A line after redaction: all that may ever be written. Made by the Redactor, or read back from where one was stored.
// Views point into the redactor (or the decoded chunk): valid until its next redact() (or the chunk's end).
class RedactedEvent {
 public:
  EventKind kind = EventKind::kPlain;
  Level level = Level::kInfo;
  std::optional<RunStatus> status;
  bool attempt_failed = false;
  bool stored = true;  // false: counts and facts only, no log_events row (sampled, level_filtered)
  bool repaired = false;
  VerdictSource verdict_source = VerdictSource::kLog;
  TimePoint ts{};  // set by the pipeline when the line has none
  TsSource ts_source = TsSource::kLine;
  FieldSet fields;            // kJson fields hold their redacted JSON text
  std::string_view context;   // JSON object of allowlisted members outside the contract; "" if none
  std::string_view raw_text;  // redacted text of a line that is not a JSON object; "" otherwise
  std::string_view dialect;
  RedactionState redaction_state = RedactionState::kClean;
  bool pii_safe = true;
  std::vector<RedactionCount> counts;

 private:
  RedactedEvent() = default;
  friend class Redactor;     // redaction/redactor.h: the only way from a LogEvent
  friend class EventReader;  // core/event_codec.h: back from bytes a Redactor's event was written to
  friend class OwnFacts;     // core/own_facts.h: facts runtail itself states (a worker's exit); hold no tailed text
};

}  // namespace runtail
