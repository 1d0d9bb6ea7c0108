// The events of a line that ToolDialect has walked: values out of slots into fields.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "parsers/json_value.h"
#include "parsers/text_shape.h"
#include "parsers/tool_dialect.h"

namespace runtail {

namespace dom = simdjson::dom;

namespace {

constexpr std::size_t kColumnsMax = 2000;

std::string_view last_part(std::string_view text) { return text.substr(text.rfind('.') + 1); }

std::optional<std::int64_t> trailing_integer(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  std::size_t first = text.size();
  while (first > 0 && text[first - 1] >= '0' && text[first - 1] <= '9') --first;
  if (first == text.size() || text.size() - first > 15 || (first > 0 && text[first - 1] != ' ')) return std::nullopt;
  std::int64_t number = 0;
  std::from_chars(text.data() + first, text.data() + text.size(), number);
  return number;
}

bool names_run_or_task(Field field) {
  return field == Field::kRunId || field == Field::kJobId || field == Field::kTaskRunId || field == Field::kTask ||
         field == Field::kParentRunId || field == Field::kDataset;
}

// "integer" of {"type": "integer"}, "null|integer" of {"type": ["null", "integer"]}; "" if it says none.
std::string type_of_column(const dom::element& column) {
  std::string_view text;
  dom::element type;
  dom::object object;
  dom::array several;
  if (column.get(text) == simdjson::SUCCESS) return std::string(text);
  if (column.get(object) != simdjson::SUCCESS || object.at_key("type").get(type) != simdjson::SUCCESS) return "";
  if (type.get(text) == simdjson::SUCCESS) return std::string(text);
  std::string joined;
  if (type.get(several) != simdjson::SUCCESS) return "";
  for (const dom::element each : several) {
    if (each.get(text) != simdjson::SUCCESS) continue;
    if (!joined.empty()) joined += '|';
    joined += text;
  }
  return joined;
}

// As a member of the line: names and types of columns, nothing else of what describes them.
bool put_columns(Field field, const dom::element& columns, EventBuilder& builder) {
  std::vector<JsonNode>& rest = builder.event.rest;
  const std::size_t top = rest.size();
  JsonNode& whole = rest.emplace_back();
  whole.kind = JsonNode::Kind::kObject;
  whole.is_field = true;
  whole.key = spec_of(field).name;
  const auto add = [&](std::string_view name, const dom::element& column) {
    if (rest.size() - top > kColumnsMax) return;
    JsonNode& node = rest.emplace_back();
    node.kind = JsonNode::Kind::kString;
    node.key = name;
    node.text = builder.keep(type_of_column(column));
    node.end = static_cast<std::uint32_t>(rest.size());
  };
  dom::object by_name;
  dom::array list;
  if (columns.get(by_name) == simdjson::SUCCESS) {
    for (const auto [name, column] : by_name) add(name, column);
  } else if (columns.get(list) == simdjson::SUCCESS) {
    for (const dom::element column : list) {
      dom::object object;
      std::string_view name;
      if (column.get(object) != simdjson::SUCCESS || object.at_key("name").get(name) != simdjson::SUCCESS) continue;
      add(name, column);
    }
  }
  rest[top].end = static_cast<std::uint32_t>(rest.size());
  if (rest.size() == top + 1) rest.pop_back();
  return rest.size() > top;
}

}  // namespace

// Elements of every array at `path`: "a.b[].c" goes through each element of a.b.
void ToolDialect::gather(const dom::element& from, std::string_view path) {
  dom::array array;
  if (path.empty()) {
    if (from.get(array) != simdjson::SUCCESS) return;
    for (const dom::element element : array) {
      if (elements_.size() == kElementsMax) return;
      elements_.push_back(element);
    }
    return;
  }
  if (path.starts_with("[]")) {
    path.remove_prefix(2);
    if (path.starts_with('.')) path.remove_prefix(1);
    if (from.get(array) != simdjson::SUCCESS) return;
    for (const dom::element element : array) gather(element, path);
    return;
  }
  const std::size_t end = std::min(path.find_first_of(".["), path.size());
  dom::element next;
  dom::object object;
  if (from.get(object) != simdjson::SUCCESS || object.at_key(path.substr(0, end)).get(next) != simdjson::SUCCESS)
    return;
  path.remove_prefix(end);
  if (path.starts_with('.')) path.remove_prefix(1);
  gather(next, path);
}

void ToolDialect::begin_stage(const ToolRule& rule) {
  element_ = 0;
  elements_.clear();
  if (!rule.element) return;
  const std::string& path = rule.spec->each;
  const dom::element* value = at(rule.array_top);
  if (!value) return;
  const std::size_t end = std::min(path.find_first_of(".["), path.size());
  std::string_view rest = std::string_view(path).substr(end);
  if (rest.starts_with('.')) rest.remove_prefix(1);
  gather(*value, rest);
}

bool ToolDialect::make_next(EventBuilder& builder) {
  while (stage_ < stages_.size()) {
    const ToolRule& rule = *stages_[stage_];
    bool is_made = false;
    if (!rule.element) {
      // The first one was asked when it was chosen.
      is_made = stage_ == 0 || holds_all(rule);
      if (is_made) make(rule, builder);
    } else {
      while (!is_made && element_ < elements_.size()) {
        const dom::element element = elements_[element_++];
        for (const std::int16_t slot : rule.element_slots) present_.reset(static_cast<std::size_t>(slot));
        found_[static_cast<std::size_t>(rule.element_itself)] = element;
        present_.set(static_cast<std::size_t>(rule.element_itself));
        dom::object object;
        if (element.get(object) == simdjson::SUCCESS) walk(object, *rule.element, "@");
        is_made = holds_all(rule);
        if (is_made) make(rule, builder);
      }
    }
    if (!rule.element || element_ == elements_.size()) {
      if (++stage_ < stages_.size()) begin_stage(*stages_[stage_]);
    }
    if (is_made) {
      is_first_ = false;
      return true;
    }
  }
  return false;
}

void ToolDialect::make(const ToolRule& rule, EventBuilder& builder) {
  builder.begin_event(LineShape::kJson, spec_);
  LogEvent& event = builder.event;
  event.kind = rule.spec->kind;
  event.drop = rule.spec->drop;
  event.is_further = stage_ > 0;
  if (captures_of_ == &rule) {
    for (std::size_t i = 0; i < rule.spec->text.size(); ++i) {
      const TextPiece& piece = rule.spec->text[i];
      if (piece.field && !captured_[i].empty()) {
        take(*piece.field, LineValue(builder.keep(std::string(captured_[i]))), piece.conversion, builder);
      }
    }
  }
  for (const auto& [field, sources] : rule.fields) take_first(field, sources, builder);
  for (const auto& [field, sources] : fields_) {
    const FieldType type = spec_of(field).type;
    if (rule.without[static_cast<std::size_t>(field)]) continue;
    if (!event.drop.empty() && (type == FieldType::kFreeText || type == FieldType::kJson)) continue;
    take_first(field, sources, builder);
  }
  for (const ToolSource& source : ts_) {
    if (!event.ts) take_time(value_of(source, builder), source.spec->conversion, builder, event.ts);
  }
  take_level(builder);
  if (event.drop.empty() && is_first_) {
    for (const Unread& each : unread_) builder.add_node(builder.keep(each.path), each.value);
  }
  finish(rule, builder);
}

LineValue ToolDialect::value_of(const ToolSource& source, EventBuilder& builder) const {
  const ValueSource& spec = *source.spec;
  LineValue value;
  if (spec.paths.empty()) {
    value = LineValue(spec.constant);
  } else if (source.slots.size() == 1) {
    if (const dom::element* found = at(source.slots[0])) value = LineValue(*found);
  } else {
    std::string joined;
    for (const std::int16_t slot : source.slots) {
      const dom::element* found = at(slot);
      const std::string_view part = found ? LineValue(*found).as_text(builder) : std::string_view{};
      if (part.empty()) continue;
      if (!joined.empty()) joined += spec.with;
      joined += part;
    }
    if (!joined.empty()) value = LineValue(builder.keep(std::move(joined)));
  }
  if (value.kind == LineValue::Kind::kNone) return value;
  if (!spec.after.empty()) {
    const std::size_t found =
        value.kind == LineValue::Kind::kText ? value.text.find(spec.after) : std::string_view::npos;
    if (found == std::string_view::npos) return {};
    value.text.remove_prefix(found + spec.after.size());
  }
  if (!spec.unless.empty() || !spec.words.empty()) {
    const std::string text(value.as_text(builder));
    if (std::find(spec.unless.begin(), spec.unless.end(), text) != spec.unless.end()) return {};
    if (!spec.words.empty()) {
      const auto word = spec.words.find(text);
      return word == spec.words.end() ? LineValue() : LineValue(std::string_view(word->second));
    }
  }
  return value;
}

bool ToolDialect::take_first(Field field, const Sources& sources, EventBuilder& builder) {
  if (builder.event.fields.has(field)) return true;
  return std::any_of(sources.begin(), sources.end(), [&](const ToolSource& source) {
    const LineValue value = value_of(source, builder);
    return value.kind != LineValue::Kind::kNone && take(field, value, source.spec->conversion, builder);
  });
}

bool ToolDialect::take_time(const LineValue& value, Conversion conversion, EventBuilder& builder,
                            std::optional<TimePoint>& into) const {
  if (value.kind == LineValue::Kind::kText) {
    into = time_of(value.text, conversion == Conversion::kUtc ? nullptr : builder.zone());
  } else if (const auto number = value.number()) {
    into = time_of_number(*number);
  }
  return into.has_value();
}

bool ToolDialect::take(Field field, const LineValue& value, Conversion conversion, EventBuilder& builder) {
  LogEvent& event = builder.event;
  const FieldType type = spec_of(field).type;
  if (type == FieldType::kInt || type == FieldType::kReal) {
    std::optional<double> number = conversion == Conversion::kTrailingInteger ? std::nullopt : value.number();
    if (conversion == Conversion::kTrailingInteger) {
      if (value.kind != LineValue::Kind::kText) return false;
      if (const auto trailing = trailing_integer(value.text)) number = static_cast<double>(*trailing);
    }
    if (!number) return false;
    if (conversion == Conversion::kSeconds) number = std::round(*number * 1e6) / 1e3;
    if (conversion == Conversion::kNanoseconds) number = std::round(*number / 1e3) / 1e3;
    if (conversion == Conversion::kExitCode && *number < 0) return false;
    if (conversion == Conversion::kSignal) {
      if (*number >= 0) return false;
      number = -*number;
    }
    const auto whole = conversion == Conversion::kNone ? value.whole() : integer_of(*number);
    if (type == FieldType::kInt || (field == Field::kDurationMs && whole)) {
      if (!whole || !in_range(field, *whole)) return false;
      event.fields.put_int(field, *whole);
      return true;
    }
    if (!in_range(field, *number)) return false;
    event.fields.put_real(field, *number);
    return true;
  }
  if (type == FieldType::kTime) {
    std::optional<TimePoint> time;
    if (!take_time(value, conversion, builder, time)) return false;
    event.fields.put_int(field, to_micros(*time), FieldValue::Kind::kTime);
    return true;
  }
  if (type == FieldType::kBool) {
    const std::string_view text = value.as_text(builder);
    if (text != "true" && text != "false") return false;
    event.fields.put_int(field, text == "true", FieldValue::Kind::kBool);
    return true;
  }
  if (type == FieldType::kJson) {
    if (value.kind != LineValue::Kind::kTree) return false;
    if (conversion == Conversion::kColumnTypes) return put_columns(field, value.tree, builder);
    builder.put(field, value.tree);
    return true;
  }
  std::string_view text = value.kind == LineValue::Kind::kTree ? builder.keep(std::string(simdjson::minify(value.tree)))
                                                               : value.as_text(builder);
  if (conversion == Conversion::kLastPart) text = last_part(text);
  if (conversion == Conversion::kIdentifier && text.find_first_of("\"`[]") != std::string_view::npos) {
    std::string plain(text);
    std::erase_if(plain, [](char c) { return c == '"' || c == '`' || c == '[' || c == ']'; });
    text = builder.keep(std::move(plain));
  }
  builder.put_text(field, text);
  return event.fields.has(field);
}

// Words, numbers with a list of their own, and those with a difference: "ERROR+2".
void ToolDialect::take_level(EventBuilder& builder) {
  for (const ToolSource& source : level_) {
    const LineValue value = value_of(source, builder);
    if (value.kind == LineValue::Kind::kNone || value.kind == LineValue::Kind::kTree) continue;
    std::string_view text = value.as_text(builder);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    if (builder.set_level(text)) return;
    if (const auto number = value.number(); number && !tool_.level_floor.empty()) {
      auto above = tool_.level_floor.upper_bound(*number);
      if (above != tool_.level_floor.begin()) --above;
      builder.event.level = above->second;
      builder.event.level_stated = true;
      return;
    }
    if (const std::size_t sign = text.find_first_of("+-"); sign != std::string_view::npos && sign > 0) {
      if (builder.set_level(text.substr(0, sign))) return;
    }
  }
}

void ToolDialect::finish(const ToolRule& rule, EventBuilder& builder) {
  LogEvent& event = builder.event;
  FieldSet& fields = event.fields;
  const std::string_view status = fields.text(Field::kStatusText);
  if (!event.drop.empty()) {
    fields.for_each([&](Field field, const FieldValue& value) {
      if (value.kind == FieldValue::Kind::kText && !names_run_or_task(field)) fields.remove(field);
    });
  }
  if (!fields.has(Field::kOutcome)) {
    if (const auto http_status = fields.integer(Field::kHttpStatus)) {
      fields.put_text(Field::kOutcome, *http_status >= 400 ? "error" : "success");
    }
  }
  if (event.kind == EventKind::kPlain) return fields.remove(Field::kStatusText);
  if (event.kind > EventKind::kDataset) {
    if (event.kind == EventKind::kDq && fields.has(Field::kCheck) && !dq_status_of(status)) {
      builder.mark(ContractViolation::kUnknownStatus);
    }
    return;
  }
  if (status.empty() ? rule.has_status : !builder.set_status(status)) {
    builder.mark(ContractViolation::kUnknownStatus);
    // Not nothing, which would mean success.
    if (is_finish(event.kind) || event.kind == EventKind::kDataset) event.status = RunStatus::kRunning;
  }
  if (event.kind == EventKind::kDataset) return;
  if (event.kind == EventKind::kRunFinished && event.attempt_failed) event.kind = EventKind::kAttemptFinished;
  fields.remove(Field::kStatusText);
}

}  // namespace runtail
