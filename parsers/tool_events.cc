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

// "1767323045 5000000": seconds and nanoseconds.
std::optional<TimePoint> time_of_parts(std::string_view text) {
  const std::size_t blank = text.find(' ');
  const auto seconds = number_of(text.substr(0, blank));
  const auto nanoseconds = number_of(blank == std::string_view::npos ? "0" : text.substr(blank + 1));
  if (!seconds || !nanoseconds || !(*seconds >= 0 && *seconds < 9e9 && *nanoseconds >= 0 && *nanoseconds < 1e9)) {
    return std::nullopt;
  }
  return from_micros(static_cast<std::int64_t>(*seconds) * 1'000'000 + static_cast<std::int64_t>(*nanoseconds / 1e3));
}

// "a.b[].c" -> "b[].c", "a[].c" -> "[].c"
std::string_view below_top(std::string_view path) {
  path.remove_prefix(std::min(path.find_first_of(".["), path.size()));
  if (path.starts_with('.')) path.remove_prefix(1);
  return path;
}

// Calls visit() for what stands at `path`; "a.b[].c" goes through each element of a.b, which is in `around` meanwhile.
template <typename Visit>
void reach(const dom::element& from, std::string_view path, std::vector<dom::element>& around, Visit&& visit) {
  if (path.empty()) return visit(from);
  dom::array array;
  if (path.starts_with("[]")) {
    path.remove_prefix(2);
    if (path.starts_with('.')) path.remove_prefix(1);
    if (from.get(array) != simdjson::SUCCESS) return;
    for (const dom::element element : array) {
      around.push_back(element);
      reach(element, path, around, visit);
      around.pop_back();
    }
    return;
  }
  const std::size_t end = std::min(path.find_first_of(".["), path.size());
  dom::element next;
  dom::object object;
  if (from.get(object) != simdjson::SUCCESS || object.at_key(path.substr(0, end)).get(next) != simdjson::SUCCESS) {
    return;
  }
  path.remove_prefix(end);
  if (path.starts_with('.')) path.remove_prefix(1);
  reach(next, path, around, visit);
}

// None if there is no number.
LineValue sum_at(const dom::element& top, std::string_view path) {
  std::vector<dom::element> around;
  std::optional<double> sum;
  reach(top, path, around, [&](const dom::element& found) {
    if (const auto number = number_of(found)) sum = sum.value_or(0) + *number;
  });
  LineValue value;
  if (sum) {
    value.kind = LineValue::Kind::kReal;
    value.real = *sum;
  }
  return value;
}

// Texts of an array: ["mart", "orders"] -> "mart.orders".
LineValue joined(const dom::element& tree, std::string_view with, EventBuilder& builder) {
  dom::array array;
  if (tree.get(array) != simdjson::SUCCESS) return {};
  std::string text;
  for (const dom::element element : array) {
    std::string_view part;
    if (element.get(part) != simdjson::SUCCESS) return {};
    if (!text.empty()) text += with;
    text += part;
  }
  return text.empty() ? LineValue() : LineValue(builder.keep(std::move(text)));
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

void ToolDialect::gather(const ToolRule& rule) {
  elements_.clear();
  const dom::element* top = at(rule.array_top);
  if (!top) return;
  std::vector<dom::element> around;
  reach(*top, below_top(rule.spec->each), around, [&](const dom::element& found) {
    dom::array array;
    if (found.get(array) != simdjson::SUCCESS) return;
    for (const dom::element element : array) {
      if (elements_.size() == kElementsMax) return;
      elements_.push_back({element, around});
    }
  });
}

void ToolDialect::begin_stage(const ToolRule& rule) {
  element_ = 0;
  elements_.clear();
  if (rule.element) gather(rule);
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
        const auto& [element, around] = elements_[element_++];
        for (const std::int16_t slot : rule.element_slots) present_.reset(static_cast<std::size_t>(slot));
        found_[static_cast<std::size_t>(rule.element_itself)] = element;
        present_.set(static_cast<std::size_t>(rule.element_itself));
        dom::object object;
        if (element.get(object) == simdjson::SUCCESS) walk(object, *rule.element, "@");
        for (std::size_t out = 0; out < std::min(rule.around.size(), around.size()); ++out) {
          if (around[around.size() - 1 - out].get(object) == simdjson::SUCCESS) walk(object, *rule.around[out], "@");
        }
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
  event.is_further = stage_ > 0 && !is_first_;
  event.verdict_source = rule.spec->verdict_source;
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
    if (!sources.may_have_one(present_)) continue;
    const FieldType type = spec_of(field).type;
    if (rule.without[static_cast<std::size_t>(field)]) continue;
    if (!event.drop.empty() && (type == FieldType::kFreeText || type == FieldType::kJson)) continue;
    take_first(field, sources, builder);
  }
  take_ts(rule.ts, builder);
  take_ts(ts_, builder);
  if (!event.is_further) {  // the level is the line's: each error is one
    take_level(rule.level, builder);
    take_level(level_, builder);
  }
  if (event.drop.empty() && is_first_) {
    for (const Unread& each : unread_)
      builder.add_node(each.path.empty() ? each.key : builder.keep(each.path), each.value);
  }
  finish(rule, builder);
}

LineValue ToolDialect::value_of(const ToolSource& source, EventBuilder& builder) const {
  const ValueSource& spec = *source.spec;
  LineValue value;
  if (!spec.sum.empty()) {
    if (const dom::element* top = at(source.slots[0])) value = sum_at(*top, below_top(spec.sum));
  } else if (spec.paths.empty()) {
    value = LineValue(spec.constant);
  } else if (source.slots.size() == 1) {
    if (const dom::element* found = at(source.slots[0])) value = LineValue(*found);
    if (value.kind == LineValue::Kind::kTree && !spec.with.empty()) value = joined(value.tree, spec.with, builder);
  } else {
    std::string joined;
    for (const std::int16_t slot : source.slots) {
      const dom::element* found = at(slot);
      const std::string_view part = found ? LineValue(*found).as_text(builder) : std::string_view{};
      if (part.empty() || std::find(spec.unless.begin(), spec.unless.end(), part) != spec.unless.end()) continue;
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
  if (!spec.before.empty()) return LineValue(builder.keep(spec.before + std::string(value.as_text(builder))));
  return value;
}

bool ToolDialect::take_first(Field field, const ToolSources& sources, EventBuilder& builder) {
  if (builder.event.fields.has(field)) return true;
  if (!sources.may_have_one(present_)) return false;
  return std::any_of(sources.list.begin(), sources.list.end(), [&](const ToolSource& source) {
    if (source.slots.size() == 1 && !at(source.slots[0])) return false;
    const LineValue value = value_of(source, builder);
    return value.kind != LineValue::Kind::kNone && take(field, value, source.spec->conversion, builder);
  });
}

bool ToolDialect::take_time(const LineValue& value, Conversion conversion, EventBuilder& builder,
                            std::optional<TimePoint>& into) const {
  if (conversion == Conversion::kEpochParts) {
    into = time_of_parts(value.text);
  } else if (value.kind == LineValue::Kind::kText) {
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

void ToolDialect::take_ts(const ToolSources& sources, EventBuilder& builder) {
  std::optional<TimePoint>& ts = builder.event.ts;
  if (ts || !sources.may_have_one(present_)) return;
  for (const ToolSource& source : sources.list) {
    if (!ts) take_time(value_of(source, builder), source.spec->conversion, builder, ts);
  }
}

// Words, and numbers with a list of their own.
void ToolDialect::take_level(const ToolSources& sources, EventBuilder& builder) {
  if (builder.event.level_stated || !sources.may_have_one(present_)) return;
  for (const ToolSource& source : sources.list) {
    if (builder.event.level_stated) return;
    const LineValue value = value_of(source, builder);
    if (value.kind == LineValue::Kind::kNone || value.kind == LineValue::Kind::kTree) continue;
    if (builder.set_level(value.as_text(builder))) return;
    if (const auto number = value.number(); number && !tool_.level_floor.empty()) {
      auto above = tool_.level_floor.upper_bound(*number);
      if (above != tool_.level_floor.begin()) --above;
      builder.event.level = above->second;
      builder.event.level_stated = true;
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
