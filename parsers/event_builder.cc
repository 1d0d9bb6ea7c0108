#include "parsers/event_builder.h"

#include <algorithm>
#include <cmath>

#include "parsers/json_value.h"
#include "parsers/repair.h"

namespace runtail {

namespace dom = simdjson::dom;

bool is_known_word(Field field, std::string_view folded) {
  if (field == Field::kEndReason) return parse_end_reason(folded).has_value();
  const auto words = words_of(field);
  return words.empty() || std::find(words.begin(), words.end(), folded) != words.end();
}

bool is_finish(EventKind kind) {
  return kind == EventKind::kRunFinished || kind == EventKind::kAttemptFinished || kind == EventKind::kTaskFinished;
}

void EventBuilder::begin_line(const TimeZone* zone) {
  zone_ = zone;
  kept_.clear();
  has_nul_escape_ = false;
  event.repaired = false;
}

void EventBuilder::go_on(const DialectSpec& spec) {
  spec_ = &spec;
  event.dialect = spec.name;
}

void EventBuilder::begin_event(LineShape shape, const DialectSpec& spec) {
  spec_ = &spec;
  event.shape = shape;
  event.dialect = spec.name;
  event.drop = {};
  event.run_is_process = spec.tool && spec.tool->run_is_process;
  event.is_further = false;
  event.kind = EventKind::kPlain;
  event.level = Level::kInfo;
  event.level_stated = false;
  event.status.reset();
  event.attempt_failed = false;
  event.verdict_source = VerdictSource::kLog;
  event.ts.reset();
  event.fields.clear();
  event.rest.clear();
  event.text = {};
  event.violations = 0;
}

std::string_view EventBuilder::fold(std::string_view word) {
  folded_.clear();
  for (const char c : word) {
    folded_ += c == ' ' || c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return folded_;
}

bool EventBuilder::set_level(std::string_view word) {
  if (set_level_word(word)) return true;
  // Padded ones, and those with a difference to a level: " WARN", "ERROR+2".
  const std::size_t first = word.find_first_not_of(' ');
  if (first == std::string_view::npos) return false;
  const std::string_view plain = word.substr(first, std::min(word.find_first_of(" +-", first), word.size()) - first);
  return plain.size() < word.size() && set_level_word(plain);
}

bool EventBuilder::set_level_word(std::string_view word) {
  const std::string_view key = fold(word);
  auto found = spec_->levels.find(key);
  if (found == spec_->levels.end()) {
    if (spec_ == &native_ || (found = native_.levels.find(key)) == native_.levels.end()) return false;
  }
  event.level = found->second;
  event.level_stated = true;
  return true;
}

bool EventBuilder::set_status(std::string_view word) {
  const std::string_view key = fold(word);
  auto found = spec_->statuses.find(key);
  if (found == spec_->statuses.end()) {
    if (spec_ == &native_ || (found = native_.statuses.find(key)) == native_.statuses.end()) return false;
  }
  event.status = found->second.status;
  event.attempt_failed = found->second.attempt_failed;
  if (found->second.end_reason != EndReason::kNone && !event.fields.has(Field::kEndReason)) {
    event.fields.put_text(Field::kEndReason, to_string(found->second.end_reason));
  }
  return true;
}

void EventBuilder::put(Field field, const dom::element& value) {
  std::string_view text;
  switch (spec_of(field).type) {
    case FieldType::kInt:
      if (const auto integer = integer_of(value); integer && in_range(field, *integer)) {
        event.fields.put_int(field, *integer);
      } else {
        mark(ContractViolation::kBadType);
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
        mark(ContractViolation::kBadType);
      }
      return;
    case FieldType::kTime:
      if (const auto time = time_of(value, zone_)) {
        event.fields.put_int(field, to_micros(*time), FieldValue::Kind::kTime);
      } else {
        mark(ContractViolation::kBadType);
      }
      return;
    case FieldType::kBool: {
      bool truth = false;
      if (value.get(truth) != simdjson::SUCCESS) {
        if (value.get(text) != simdjson::SUCCESS || (fold(text) != "true" && folded_ != "false")) {
          mark(ContractViolation::kBadType);
          return;
        }
        truth = folded_ == "true";
      }
      event.fields.put_int(field, truth, FieldValue::Kind::kBool);
      return;
    }
    case FieldType::kJson:
      if (value.is_object() || value.is_array()) {
        event.rest[add_node(spec_of(field).name, value)].is_field = true;
      } else {
        mark(ContractViolation::kBadType);
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
  put_text(field, text);
}

void EventBuilder::put_text(Field field, std::string_view text) {
  if (has_nul_escape_ && text.find('\0') != std::string_view::npos) {
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
    if (!is_known_word(field, folded_)) {
      mark(ContractViolation::kBadType);
      return;
    }
    text = folded_ == text ? text : keep(folded_);
  }
  event.fields.put_text(field, text);
}

std::uint32_t EventBuilder::add_node(std::string_view key, const dom::element& value) {
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

}  // namespace runtail
