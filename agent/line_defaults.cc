#include "agent/line_defaults.h"

#include <algorithm>
#include <charconv>

#include "core/json_text.h"
#include "core/uuid.h"

namespace runtail {
namespace {

// Where the string that begins `json` ends, with its quotes.
std::size_t string_size(std::string_view json) {
  std::size_t at = 1;
  while (at < json.size() && json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return std::min(at + 1, json.size());
}

// Takes the first member off `members`, and the comma after it.
std::string_view take_member(std::string_view& members) {
  std::size_t at = 0;
  int depth = 0;
  while (at < members.size() && (depth > 0 || members[at] != ',')) {
    const char c = members[at];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    at += c == '"' ? string_size(members.substr(at)) : 1;
  }
  const std::string_view member = members.substr(0, at);
  members.remove_prefix(std::min(at + 1, members.size()));
  return member;
}

bool has_member(std::string_view members, std::string_view quoted_name) {
  while (!members.empty()) {
    const std::string_view member = take_member(members);
    if (member.substr(0, string_size(member)) == quoted_name) return true;
  }
  return false;
}

}  // namespace

Result<LineDefaults> line_defaults(const SourceConfig& source) {
  LineDefaults defaults;
  defaults.dialect = source.dialect;
  for (const auto& [name, text] : source.fields) {
    if (const auto field = find_field(name)) {
      defaults.fields.emplace_back(*field, text);
      continue;
    }
    if (!defaults.context.empty()) defaults.context += ',';
    append_json_string(defaults.context, name);
    defaults.context += ':';
    append_json_string(defaults.context, text);
  }
  if (!source.timezone.empty()) {
    auto zone = TimeZone::load(source.timezone);
    if (!zone) return zone.error().in("source " + source.name + ": time zone " + source.timezone);
    defaults.time_zone = std::move(*zone);
  }
  return defaults;
}

void put_default(FieldSet& fields, Field field, std::string_view text) {
  switch (spec_of(field).type) {
    case FieldType::kId:
      if (const auto uuid = parse_uuid(text)) {
        fields.put_uuid(field, *uuid, text);
      } else {
        fields.put_text(field, text);
      }
      return;
    case FieldType::kFreeText:
    case FieldType::kName:
    case FieldType::kWord:
      fields.put_text(field, text);
      return;
    case FieldType::kInt: {
      std::int64_t number = 0;
      const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (fault == std::errc() && end == text.data() + text.size()) fields.put_int(field, number);
      return;
    }
    case FieldType::kReal:
    case FieldType::kBool:
    case FieldType::kTime:
    case FieldType::kJson:
      return;
  }
}

void append_missing_members(std::string& object, std::string_view members, std::string_view stated) {
  if (members.empty()) return;
  if (stated.size() <= 2) {
    if (object.back() != '{') object += ',';
    object += members;
    return;
  }
  const std::string_view inner = stated.substr(1, stated.size() - 2);
  while (!members.empty()) {
    const std::string_view member = take_member(members);
    if (has_member(inner, member.substr(0, string_size(member)))) continue;
    if (object.back() != '{') object += ',';
    object += member;
  }
}

// The configuration's words, so they need no redaction.
void put_defaults(const LineDefaults& defaults, Output output, RedactedEvent& event, std::string& context) {
  for (const auto& [field, text] : defaults.fields) {
    if (!event.fields.has(field)) put_default(event.fields, field, text);
  }
  const std::string_view stdio = output == Output::kStdout   ? "\"stdio\":\"stdout\""
                                 : output == Output::kStderr ? "\"stdio\":\"stderr\""
                                                             : "";
  if (defaults.context.empty() && stdio.empty()) return;
  // A member the line states itself wins.
  context = '{';
  append_missing_members(context, defaults.context, event.context);
  append_missing_members(context, stdio, event.context);
  append_missing_members(context, event.context.size() > 2 ? event.context.substr(1, event.context.size() - 2) : "",
                         "");
  context += '}';
  event.context = context;
}

void put_process_run(const LineBlock& block, RedactedEvent& event, std::string& text) {
  if (block.has_many_processes || event.fields.has(Field::kRunId)) return;
  if (!block.wrapper_run.is_nil()) {
    text = to_string(block.wrapper_run);
    event.fields.put_uuid(Field::kRunId, block.wrapper_run, text);
    if (!block.wrapper_job.empty() && !event.fields.has(Field::kJobId)) {
      put_default(event.fields, Field::kJobId, block.wrapper_job);
    }
    return;
  }
  const bool is_named = block.defaults && !block.defaults->process.empty();
  const FileIdentity& file = block.position.file;
  text = is_named ? block.defaults->process : to_hex(file.file_key) + "." + std::to_string(file.generation);
  put_default(event.fields, Field::kRunId, text);
}

}  // namespace runtail
