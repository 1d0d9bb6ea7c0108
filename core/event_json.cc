#include "core/event_json.h"

#include <charconv>
#include <cmath>

#include "core/json_text.h"

namespace runtail {
namespace {

void append_name(std::string& out, std::string_view name) {
  if (out.back() != '{') out += ',';
  append_json_string(out, name);
  out += ':';
}

void append_text(std::string& out, std::string_view name, std::string_view text) {
  append_name(out, name);
  append_json_string(out, text);
}

template <typename Number>
void append_number(std::string& out, Number number) {
  char digits[32];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end.ptr);
}

void append_value(std::string& out, const FieldValue& value) {
  switch (value.kind) {
    case FieldValue::Kind::kText:
    case FieldValue::Kind::kUuid:
      append_json_string(out, value.text);
      return;
    case FieldValue::Kind::kInt:
      append_number(out, value.integer);
      return;
    case FieldValue::Kind::kReal:
      if (std::isfinite(value.real)) {
        append_number(out, value.real);
      } else {
        out += "null";
      }
      return;
    case FieldValue::Kind::kBool:
      out += value.integer != 0 ? "true" : "false";
      return;
    case FieldValue::Kind::kTime:
      append_json_string(out, to_rfc3339(from_micros(value.integer)));
      return;
    case FieldValue::Kind::kJson:
      out += value.text;
      return;
  }
}

}  // namespace

void append_event_json(std::string& out, const RedactedEvent& event, std::span<const std::string> kinds) {
  out += event.redaction_state == RedactionState::kClean ? "{\"redacted\":false" : "{\"redacted\":true";
  append_text(out, "state", to_string(event.redaction_state));
  append_name(out, "counts");
  out += '{';
  for (const RedactionCount& count : event.counts) {
    if (count.kind >= kinds.size()) continue;
    append_name(out, kinds[count.kind]);
    append_number(out, count.count);
  }
  out += '}';
  if (event.ts != TimePoint{}) append_text(out, "ts", to_rfc3339(event.ts));
  append_text(out, "level", to_string(event.level));
  if (event.kind != EventKind::kPlain) append_text(out, "event", to_string(event.kind));
  if (event.status) append_text(out, "status", to_string(*event.status));
  event.fields.for_each([&](Field field, const FieldValue& value) {
    if (field == Field::kStatusText && event.status) return;
    append_name(out, spec_of(field).name);
    append_value(out, value);
  });
  if (!event.context.empty()) {
    append_name(out, "context");
    out += event.context;
  }
  if (!event.raw_text.empty()) append_text(out, "text", event.raw_text);
  out += '}';
}

}  // namespace runtail
