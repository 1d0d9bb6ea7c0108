#include "parsers/parser.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <deque>

#include "parsers/field_table.h"
#include "parsers/repair.h"

namespace runtail {
namespace {

namespace dom = simdjson::dom;
using Role = MemberMeaning::Role;

void mark(LogEvent& event, ContractViolation violation) { event.violations |= 1u << static_cast<unsigned>(violation); }

// Words kept as they are; anything else in such a field says nothing the tables could hold.
bool is_known_word(Field field, std::string_view word) {
  if (field == Field::kEndReason) return parse_end_reason(word).has_value();
  const auto words = words_of(field);
  return words.empty() || std::find(words.begin(), words.end(), word) != words.end();
}

// Smallest and largest integer a field may hold: outside is a wrong value, not a number to store.
bool in_range(Field field, std::int64_t value) {
  switch (field) {
    case Field::kAttempt:
    case Field::kMaxAttempts:
      return value >= 1 && value <= 1'000'000;
    case Field::kHttpStatus:
      return value >= 100 && value <= 599;
    case Field::kExitCode:
      return value >= -1 && value <= 255;
    case Field::kExitSignal:
      return value >= 0 && value <= 64;
    default:
      return value >= 0 && value <= 1'000'000'000'000'000;  // counts: 10^15
  }
}

// The same of a number that may have a fraction.
bool in_range(Field field, double value) {
  switch (field) {
    case Field::kDurationMs:
      return value >= 0 && value <= 315'360'000'000;  // ten years
    case Field::kCostUsd:
      return value >= 0 && value <= 9999.999999;  // what numeric(10,6) holds
    default:
      return true;  // a check's value and threshold may be anything
  }
}

// Seconds, milli-, micro- or nanoseconds since 1970, told apart by magnitude (years 1973-2261 in each unit).
std::optional<TimePoint> time_of_number(double number) {
  if (!(number >= 1e8)) return std::nullopt;
  const double micros = number < 1e10   ? number * 1e6
                        : number < 1e13 ? number * 1e3
                        : number < 1e16 ? number
                                        : number / 1e3;
  if (micros >= 9.2e15) return std::nullopt;
  return from_micros(static_cast<std::int64_t>(micros));
}

std::optional<double> number_of(const dom::element& value) {
  double number = 0;
  if (value.get(number) == simdjson::SUCCESS) return number;
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<std::int64_t> integer_of(const dom::element& value) {
  std::int64_t integer = 0;
  if (value.get(integer) == simdjson::SUCCESS) return integer;
  const auto number = number_of(value);
  if (!number || std::abs(*number) > 9e15 || *number != std::floor(*number)) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

std::optional<TimePoint> time_of(const dom::element& value, const TimeZone* zone) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    if (const auto time = parse_rfc3339(text, zone)) return time;
  }
  const auto number = number_of(value);
  return number ? time_of_number(*number) : std::nullopt;
}

// Lines that bring a verdict: without a status word they mean success.
bool is_finish(EventKind kind) {
  return kind == EventKind::kRunFinished || kind == EventKind::kAttemptFinished || kind == EventKind::kTaskFinished;
}

// What a line without an event is, by its status: said of the task it names, else of its run.
EventKind kind_of_status(const LogEvent& event) {
  const bool task = event.fields.has(Field::kTaskRunId) || event.fields.has(Field::kTask);
  switch (*event.status) {
    case RunStatus::kQueued:
      return task ? EventKind::kPlain : EventKind::kRunQueued;
    case RunStatus::kRunning:
      if (event.attempt_failed) return task ? EventKind::kPlain : EventKind::kAttemptFinished;
      return task ? EventKind::kTaskStarted : EventKind::kRunStarted;
    default:
      return task ? EventKind::kTaskFinished : EventKind::kRunFinished;
  }
}

}  // namespace

struct Parser::State {
  explicit State(std::vector<DialectSpec> specs) : dialects(std::move(specs)) {
    // One dialect so far; the text path needs none.
    spec = &dialects.at(0);
    for (const auto& [path, field] : spec->fields) {
      const Role role = field == Field::kStatusText ? Role::kStatus
                        : field == Field::kPhase    ? Role::kPhase
                                                    : Role::kField;
      // {"error":{"message":..}} and {"error.message":..}; the two are one where the path has no dot.
      for (MemberMeaning* meaning : {&meaning_of(path), &members.put(path)}) {
        meaning->role = role;
        meaning->field = field;
      }
    }
    const auto roles = [this](const std::vector<std::string>& names, Role role) {
      for (std::size_t i = 0; i < names.size(); ++i) {
        MemberMeaning& meaning = meaning_of(names[i]);
        meaning.role = role;
        meaning.preference = static_cast<std::uint8_t>(i + 1);
      }
    };
    roles(spec->ts, Role::kTs);
    roles(spec->level, Role::kLevel);
    roles(spec->event, Role::kEvent);
    for (const auto& [kind, fields] : spec->own) {
      for (const auto& [name, field] : fields) {
        MemberMeaning& meaning = own[kind].put(name);
        meaning.role = Role::kField;
        meaning.field = field;
      }
    }
    padded.resize(64 << 10);
  }

  MemberMeaning& meaning_of(std::string_view path) {
    FieldTable* table = &members;
    for (std::size_t dot; (dot = path.find('.')) != std::string_view::npos; path.remove_prefix(dot + 1)) {
      MemberMeaning& parent = table->put(path.substr(0, dot));
      if (!parent.children) parent.children = std::make_unique<FieldTable>();
      table = parent.children.get();
    }
    return table->put(path);
  }

  const LogEvent& parse(std::string_view line);
  bool parse_json(std::string_view line);
  void read_member(std::string_view key, const dom::element& value, const FieldTable& table, std::string_view path);
  void read_field(Field field, const dom::element& value);
  void read_text_field(Field field, std::string_view text);
  bool read_status(std::string_view text);
  void finish_kind();
  void finish_status(bool unknown_event);
  void read_own_members(const dom::object& object, const FieldTable& fields);
  std::uint32_t add_node(std::string_view key, const dom::element& value);

  // Text that no buffer of the line holds; the deque keeps views stable.
  std::string_view keep(std::string text) { return kept.emplace_back(std::move(text)); }
  // What a word of the line means, without allocating for short ones.
  std::string_view fold(std::string_view word) {
    folded.clear();
    for (const char c : word) {
      folded += c == ' ' || c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
    return folded;
  }

  std::vector<DialectSpec> dialects;
  const DialectSpec* spec = nullptr;
  const TimeZone* zone = nullptr;  // of the line being parsed
  FieldTable members;
  std::map<EventKind, FieldTable> own;
  dom::parser json;
  std::string padded;
  std::deque<std::string> kept;
  std::string folded, event_word, phase_word;
  std::uint8_t ts_preference = 0, level_preference = 0, event_preference = 0;
  bool has_nul_escape = false, status_is_word = false;
  LogEvent event;
};

const LogEvent& Parser::State::parse(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  kept.clear();
  event.kind = EventKind::kPlain;
  event.level = Level::kInfo;
  event.level_stated = false;
  event.status.reset();
  event.attempt_failed = false;
  event.ts.reset();
  event.fields.clear();
  event.rest.clear();
  event.text = {};
  event.repaired = false;
  event.violations = 0;
  const std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) {
    event.shape = LineShape::kEmpty;
    event.dialect = "text";
    return event;
  }
  if (line[first] == '{') {
    if (parse_json(line)) return event;
    const std::string repaired = repair_json(line);
    if (repaired != line && parse_json(repaired)) {
      event.repaired = true;
      return event;
    }
  }
  event.shape = LineShape::kText;
  event.dialect = "text";
  event.fields.clear();
  event.rest.clear();
  event.status.reset();
  event.ts.reset();
  event.kind = EventKind::kPlain;
  event.level = Level::kInfo;
  event.violations = 0;
  if (line[first] == '{' && line.find('\\') != std::string_view::npos) line = keep(decode_escapes(line));
  event.text = is_clean_text(line) ? line : keep(repair_text(line, event.repaired));
  return event;
}

bool Parser::State::parse_json(std::string_view line) {
  if (padded.size() < line.size() + simdjson::SIMDJSON_PADDING) padded.resize(line.size() + simdjson::SIMDJSON_PADDING);
  std::memcpy(padded.data(), line.data(), line.size());
  std::memset(padded.data() + line.size(), 0, simdjson::SIMDJSON_PADDING);
  dom::element root;
  dom::object object;
  if (json.parse(padded.data(), line.size(), false).get(root) != simdjson::SUCCESS ||
      root.get(object) != simdjson::SUCCESS) {
    return false;
  }
  // Most lines hold no escape at all.
  has_nul_escape = std::memchr(line.data(), '\\', line.size()) && line.find("\\u0000") != std::string_view::npos;
  event.shape = LineShape::kJson;
  event.dialect = spec->name;
  event_word.clear();
  phase_word.clear();
  ts_preference = level_preference = event_preference = 0xFF;
  for (const auto [key, value] : object) read_member(key, value, members, {});
  finish_kind();
  if (const auto found = own.find(event.kind); found != own.end()) read_own_members(object, found->second);
  if (!event.ts) mark(event, ContractViolation::kTs);
  if (!event.level_stated) mark(event, ContractViolation::kLevel);
  if (!event.fields.has(Field::kMsg)) mark(event, ContractViolation::kMsg);
  if (event.kind >= EventKind::kRunQueued && event.kind <= EventKind::kTaskFinished) {
    if (!event.fields.has(Field::kJobId)) mark(event, ContractViolation::kJobId);
    if (!event.fields.has(Field::kRunId)) mark(event, ContractViolation::kRunId);
  }
  return true;
}

void Parser::State::read_member(std::string_view key, const dom::element& value, const FieldTable& table,
                                std::string_view path) {
  const MemberMeaning* meaning = table.find(key);
  if (meaning && value.is_null()) return;
  if (meaning && meaning->children && value.is_object()) {
    const std::string_view below = path.empty() ? key : keep(std::string(path) + "." + std::string(key));
    for (const auto [child_key, child] : dom::object(value)) read_member(child_key, child, *meaning->children, below);
    return;
  }
  std::string_view text;
  switch (meaning ? meaning->role : Role::kNone) {
    case Role::kField:
      read_field(meaning->field, value);
      return;
    case Role::kTs:
      if (meaning->preference <= ts_preference) {
        if (const auto time = time_of(value, zone)) {
          event.ts = time;
          ts_preference = meaning->preference;
        } else {
          mark(event, ContractViolation::kBadType);
        }
      }
      return;
    case Role::kLevel:
      if (meaning->preference <= level_preference && value.get(text) == simdjson::SUCCESS) {
        if (const auto found = spec->levels.find(std::string(fold(text))); found != spec->levels.end()) {
          event.level = found->second;
          event.level_stated = true;
          level_preference = meaning->preference;
        }
      }
      return;
    case Role::kEvent:
      if (meaning->preference <= event_preference && value.get(text) == simdjson::SUCCESS) {
        event_word = fold(text);
        event_preference = meaning->preference;
      }
      return;
    case Role::kStatus:
      status_is_word = value.get(text) == simdjson::SUCCESS;
      read_text_field(Field::kStatusText, status_is_word ? text : keep(simdjson::minify(value)));
      return;
    case Role::kPhase:
      if (value.get(text) == simdjson::SUCCESS && text.size() <= 64) phase_word = fold(text);
      return;
    case Role::kNone:
      break;
  }
  add_node(path.empty() ? key : keep(std::string(path) + "." + std::string(key)), value);
}

void Parser::State::read_field(Field field, const dom::element& value) {
  std::string_view text;
  switch (spec_of(field).type) {
    case FieldType::kInt:
      if (const auto integer = integer_of(value); integer && in_range(field, *integer)) {
        event.fields.put_int(field, *integer);
      } else {
        mark(event, ContractViolation::kBadType);
      }
      return;
    case FieldType::kReal:
      if (const auto number = number_of(value); number && in_range(field, *number)) {
        // Whole milliseconds, as nearly all are, stay spelled as such.
        if (field == Field::kDurationMs && *number == std::floor(*number)) {
          event.fields.put_int(field, static_cast<std::int64_t>(*number));
        } else {
          event.fields.put_real(field, *number);
        }
      } else {
        mark(event, ContractViolation::kBadType);
      }
      return;
    case FieldType::kTime:
      if (const auto time = time_of(value, zone)) {
        event.fields.put_int(field, to_micros(*time), FieldValue::Kind::kTime);
      } else {
        mark(event, ContractViolation::kBadType);
      }
      return;
    case FieldType::kBool: {
      bool truth = false;
      if (value.get(truth) != simdjson::SUCCESS) {
        if (value.get(text) != simdjson::SUCCESS || (fold(text) != "true" && folded != "false")) {
          mark(event, ContractViolation::kBadType);
          return;
        }
        truth = folded == "true";
      }
      event.fields.put_int(field, truth, FieldValue::Kind::kBool);
      return;
    }
    case FieldType::kJson:
      if (value.is_object() || value.is_array()) {
        event.rest[add_node(spec_of(field).name, value)].is_field = true;
      } else {
        mark(event, ContractViolation::kBadType);
      }
      return;
    case FieldType::kId:
    case FieldType::kName:
    case FieldType::kWord:
    case FieldType::kFreeText:
      break;
  }
  if (value.get(text) != simdjson::SUCCESS) {
    // A number, a boolean or a tree where text is expected: its JSON text, scanned like any text.
    text = keep(simdjson::minify(value));
  }
  read_text_field(field, text);
}

void Parser::State::read_text_field(Field field, std::string_view text) {
  if (has_nul_escape && text.find('\0') != std::string_view::npos) {
    bool changed = false;
    text = keep(repair_text(text, changed));
    event.repaired = event.repaired || changed;
  }
  if (text.empty()) return;
  const FieldType type = spec_of(field).type;
  if (type == FieldType::kId) {
    if (const auto uuid = parse_uuid(text)) {
      event.fields.put_uuid(field, *uuid, text);
      return;
    }
  } else if (type == FieldType::kWord && field != Field::kStatusText) {
    fold(text);
    if (!is_known_word(field, folded)) {
      mark(event, ContractViolation::kBadType);
      return;
    }
    text = folded == text ? text : keep(folded);
  }
  event.fields.put_text(field, text);
}

// False: an unknown word, which changes nothing.
bool Parser::State::read_status(std::string_view text) {
  const auto found = spec->statuses.find(std::string(fold(text)));
  if (found == spec->statuses.end()) return false;
  event.status = found->second.status;
  event.attempt_failed = found->second.attempt_failed;
  if (found->second.end_reason != EndReason::kNone && !event.fields.has(Field::kEndReason)) {
    event.fields.put_text(Field::kEndReason, to_string(found->second.end_reason));
  }
  return true;
}

// Kind and status from the words seen; they may stand anywhere on the line, so this comes last.
void Parser::State::finish_kind() {
  FieldSet& fields = event.fields;
  bool unknown_event = false;
  if (!event_word.empty()) {
    const auto found = spec->events.find(event_word);
    unknown_event = found == spec->events.end();
    if (!unknown_event) event.kind = found->second;
  }
  if (!phase_word.empty()) {
    if (is_known_word(Field::kPhase, phase_word)) {
      fields.put_text(Field::kPhase, keep(phase_word));
    } else if (!spec->phase_events.contains(phase_word)) {
      mark(event, ContractViolation::kBadType);
    } else if (event_word.empty() && fields.has(Field::kRunId)) {
      if (read_status(phase_word)) event.kind = kind_of_status(event);
    }
  }
  finish_status(unknown_event);
  if (!fields.has(Field::kOutcome)) {
    if (const auto http_status = fields.integer(Field::kHttpStatus)) {
      fields.put_text(Field::kOutcome, *http_status >= 400 ? "error" : "success");
    }
  }
}

void Parser::State::finish_status(bool unknown_event) {
  FieldSet& fields = event.fields;
  const std::string_view status = fields.text(Field::kStatusText);
  if (unknown_event || event.kind >= EventKind::kDataset) {
    // The state of something else than a run: it stays as it is.
    if (event.kind == EventKind::kDq) {
      if ((!status.empty() || fields.has(Field::kCheck)) && !dq_status_of(status)) {
        mark(event, ContractViolation::kUnknownStatus);
      }
      return;
    }
    if (event.kind != EventKind::kDataset || status.empty()) return;
  } else if (status.empty()) {
    return;
  }
  const bool expected = is_finish(event.kind) || event.kind == EventKind::kDataset;
  if (!read_status(status)) {
    if (status_is_word || expected) mark(event, ContractViolation::kUnknownStatus);
    // Not nothing, which would mean success: a text may be lost to redaction, this is not.
    if (expected) event.status = RunStatus::kRunning;
  }
  if (event.kind == EventKind::kDataset) return;
  if (event.kind == EventKind::kPlain && event.status && fields.has(Field::kRunId)) event.kind = kind_of_status(event);
  // An end that asks for another attempt is no end of the run.
  if (event.kind == EventKind::kRunFinished && event.attempt_failed) event.kind = EventKind::kAttemptFinished;
  fields.remove(Field::kStatusText);
}

// The kind is known at the end of the line only; the few kinds with fields of their own are read a second time.
void Parser::State::read_own_members(const dom::object& object, const FieldTable& fields) {
  event.rest.clear();
  for (const auto [key, value] : object) {
    const bool is_own = fields.find(key) && !value.is_null();
    read_member(key, value, is_own ? fields : members, {});
  }
}

std::uint32_t Parser::State::add_node(std::string_view key, const dom::element& value) {
  const auto index = static_cast<std::uint32_t>(event.rest.size());
  JsonNode& node = event.rest.emplace_back();
  node.key = key;
  switch (value.type()) {
    case dom::element_type::OBJECT:
      node.kind = JsonNode::Kind::kObject;
      for (const auto [child_key, child] : dom::object(value)) add_node(child_key, child);
      break;
    case dom::element_type::ARRAY:
      node.kind = JsonNode::Kind::kArray;
      for (const dom::element child : dom::array(value)) add_node({}, child);
      break;
    case dom::element_type::STRING:
      node.kind = JsonNode::Kind::kString;
      node.text = std::string_view(value);
      break;
    case dom::element_type::INT64:
      node.kind = JsonNode::Kind::kInt;
      node.integer = std::int64_t(value);
      break;
    case dom::element_type::UINT64:
      node.kind = JsonNode::Kind::kUint;
      node.uinteger = std::uint64_t(value);
      break;
    case dom::element_type::DOUBLE:
      node.kind = JsonNode::Kind::kReal;
      node.real = double(value);
      break;
    case dom::element_type::BOOL:
      node.kind = JsonNode::Kind::kBool;
      node.integer = bool(value);
      break;
    case dom::element_type::NULL_VALUE:
      node.kind = JsonNode::Kind::kNull;
      break;
  }
  event.rest[index].end = static_cast<std::uint32_t>(event.rest.size());  // `node` may have moved
  return index;
}

Parser::Parser(std::vector<DialectSpec> dialects) : state_(std::make_unique<State>(std::move(dialects))) {}
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;
Parser::~Parser() = default;

const LogEvent& Parser::parse(std::string_view line, const TimeZone* zone) {
  state_->zone = zone;
  return state_->parse(line);
}

}  // namespace runtail
