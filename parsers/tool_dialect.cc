#include "parsers/tool_dialect.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "parsers/text_shape.h"

namespace runtail {

namespace dom = simdjson::dom;

namespace {

// "a.b[0]{key}.c" -> a, b, [0], {key}, c
std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments(1);
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '.') {
      segments.emplace_back();
    } else if (c == '[' || c == '{') {
      const char close = c == '[' ? ']' : '}';
      const std::size_t end = std::min(path.find(close, i), path.size() - 1);
      if (!segments.back().empty()) segments.emplace_back();
      segments.back() = path.substr(i, end - i + 1);
      i = end;
    } else {
      segments.back() += c;
    }
  }
  return segments;
}

bool is_plain_dotted(std::string_view path) {
  return path.find('.') != std::string_view::npos && path.find_first_of("[{") == std::string_view::npos;
}

std::string_view top_of(std::string_view path) { return path.substr(0, path.find_first_of(".[")); }

// OTLP writes values as {"stringValue":"x"}, {"intValue":"5"}, ...
dom::element unwrapped(const dom::element& value) {
  dom::object object;
  if (value.get(object) != simdjson::SUCCESS || object.size() != 1) return value;
  return (*object.begin()).value;
}

}  // namespace

// ---- compiling ----

ToolDialect::ToolDialect(const DialectSpec& spec) : spec_(spec), tool_(*spec.tool) {
  fields_.reserve(tool_.fields.size());
  for (const FieldSources& each : tool_.fields) fields_.emplace_back(each.field, compile(each.sources, nullptr));
  for (const auto& [field, sources] : fields_) {
    if (field == Field::kMsg) msg_ = &sources;
  }
  ts_ = compile(tool_.ts, nullptr);
  level_ = compile(tool_.level, nullptr);
  for (const std::string& path : tool_.inner) inner_.push_back(slot_of(path, members_));
  for (const EventRule& rule : tool_.rules) rules_.push_back(compile(rule));
  for (const EventRule& rule : tool_.lines) lines_.push_back(compile(rule));
  static const EventRule kPlain;
  plain_ = std::make_unique<ToolRule>(compile(kPlain));
  found_.resize(slots_);
  for (const auto& alternative : tool_.detect) {
    auto& groups = asks_for_.emplace_back();
    for (const MemberTest& test : alternative) {
      if (test.kind == MemberTest::Kind::kAbsent || test.kind == MemberTest::Kind::kNoneOf) continue;
      Asked& asked = groups.emplace_back();
      asked.names.push_back(segments_of(test.path).front());
      if (is_plain_dotted(test.path)) asked.names.push_back(test.path);
      asked.is_number = test.kind == MemberTest::Kind::kNumber;
    }
  }
}

ToolDialect::ToolDialect(ToolDialect&&) noexcept = default;
ToolDialect::~ToolDialect() = default;

std::int16_t ToolDialect::new_slot(std::string_view path) {
  if (slots_ == kDialectMembersMax) throw std::logic_error(spec_.name + ": too many members, at " + std::string(path));
  return static_cast<std::int16_t>(slots_++);
}

std::int16_t ToolDialect::slot_of(std::string_view path, FieldTable& top) {
  FieldTable* table = &top;
  MemberMeaning* meaning = nullptr;
  const std::vector<std::string> segments = segments_of(path);
  for (const std::string& segment : segments) {
    if (meaning) {
      if (!meaning->children) meaning->children = std::make_unique<FieldTable>();
      table = meaning->children.get();
    }
    meaning = &table->put(segment);
  }
  if (meaning->slot < 0) meaning->slot = new_slot(path);
  const std::int16_t slot = meaning->slot;
  if (is_plain_dotted(path)) top.put(path).slot = slot;  // {"log.level":..} beside {"log":{"level":..}}
  return slot;
}

// Those of all names in it and below them.
void ToolDialect::add_slots(const FieldTable& table, std::vector<std::int16_t>& slots) {
  table.for_each([&](const MemberMeaning& meaning) {
    if (meaning.slot >= 0) slots.push_back(meaning.slot);
    if (meaning.children) add_slots(*meaning.children, slots);
  });
}

std::int16_t ToolDialect::slot_in(std::string_view path, ToolRule* rule) {
  const bool is_of_element = path == "@" || path.starts_with("@.") || path.starts_with("@^");
  if (!rule || !rule->element || !is_of_element) return slot_of(path, members_);
  if (path == "@") return rule->element_itself;
  const std::size_t out = path.find('.') - 1;  // as many "^"
  if (out == 0) return slot_of(path.substr(2), *rule->element);
  while (rule->around.size() < out) rule->around.push_back(std::make_unique<FieldTable>());
  return slot_of(path.substr(out + 2), *rule->around[out - 1]);
}

ToolSources ToolDialect::compile(const std::vector<ValueSource>& sources, ToolRule* rule) {
  ToolSources compiled;
  for (const ValueSource& source : sources) {
    ToolSource& made = compiled.list.emplace_back();
    made.spec = &source;
    for (const std::string& path : source.paths) made.slots.push_back(slot_in(path, rule));
    if (!source.sum.empty()) made.slots.push_back(slot_of(top_of(source.sum), members_));
    for (const std::int16_t slot : made.slots) compiled.slots.set(static_cast<std::size_t>(slot));
    compiled.has_constant |= made.slots.empty();
  }
  return compiled;
}

ToolRule ToolDialect::compile(const EventRule& rule) {
  ToolRule compiled;
  compiled.spec = &rule;
  if (!rule.each.empty()) {
    compiled.array_top = slot_of(top_of(rule.each), members_);
    compiled.element = std::make_unique<FieldTable>();
    compiled.element_itself = new_slot("@");
  }
  for (const MemberTest& test : rule.when) {
    compiled.when.push_back({slot_in(test.path, &compiled), &test});
    const bool may_lack = test.kind == MemberTest::Kind::kAbsent || test.kind == MemberTest::Kind::kNoneOf;
    if (!may_lack) compiled.needs.set(static_cast<std::size_t>(compiled.when.back().slot));
  }
  for (const FieldSources& each : rule.fields) {
    compiled.fields.emplace_back(each.field, compile(each.sources, &compiled));
    compiled.has_status |= each.field == Field::kStatusText;
  }
  compiled.ts = compile(rule.ts, &compiled);
  compiled.level = compile(rule.level, &compiled);
  for (const TextPiece& piece : rule.text) compiled.has_status |= piece.field == Field::kStatusText;
  if (compiled.element) add_slots(*compiled.element, compiled.element_slots);
  for (const auto& table : compiled.around) add_slots(*table, compiled.element_slots);
  for (const Field field : rule.without) compiled.without.set(static_cast<std::size_t>(field));
  for (const EventRule& also : rule.also) compiled.also.push_back(compile(also));
  return compiled;
}

// ---- which lines ----

bool ToolDialect::drops_lines() const {
  return std::any_of(tool_.rules.begin(), tool_.rules.end(), [](const EventRule& rule) { return !rule.drop.empty(); });
}

bool ToolDialect::holds(const MemberTest& test, const dom::element* value) const {
  using Kind = MemberTest::Kind;
  if (!value) return test.kind == Kind::kAbsent || test.kind == Kind::kNoneOf;
  std::string_view text;
  double number = 0;
  const auto any = [&](auto&& fits) { return std::any_of(test.words.begin(), test.words.end(), fits); };
  const auto is_one = [&] {
    if (value->get(text) == simdjson::SUCCESS) return any([&](const std::string& word) { return word == text; });
    if (value->is_object() || value->is_array()) return false;
    const std::string written = simdjson::minify(*value);
    return any([&](const std::string& word) { return word == written; });
  };
  switch (test.kind) {
    case Kind::kPresent:
      return true;
    case Kind::kAbsent:
      return false;
    case Kind::kObject:
      return value->is_object();
    case Kind::kArray:
      return value->is_array();
    case Kind::kText:
      return value->is_string();
    case Kind::kNumber:
      return value->is_number();
    case Kind::kOneOf:
      return is_one();
    case Kind::kNoneOf:
      return !is_one();
    case Kind::kBegins:
      return value->get(text) == simdjson::SUCCESS &&
             any([&](const std::string& word) { return text.starts_with(word); });
    case Kind::kHas:
      return value->get(text) == simdjson::SUCCESS &&
             any([&](const std::string& word) { return text.find(word) != std::string_view::npos; });
    case Kind::kAbove:
      return value->get(number) == simdjson::SUCCESS && number > test.bound;
    case Kind::kBelow:
      return value->get(number) == simdjson::SUCCESS && number < test.bound;
  }
  return false;
}

bool ToolDialect::find(const dom::object& line, const std::string& path, dom::element& out) {
  dom::element at;
  bool is_top = true, is_found = true;
  for (std::size_t from = 0; is_found && from <= path.size();) {
    const std::size_t dot = std::min(path.find('.', from), path.size());
    const std::string_view name = std::string_view(path).substr(from, dot - from);
    dom::object object = line;
    is_found = (is_top || at.get(object) == simdjson::SUCCESS) && object.at_key(name).get(at) == simdjson::SUCCESS;
    is_top = false;
    from = dot + 1;
  }
  if (!is_found) is_found = is_plain_dotted(path) && line.at_key(path).get(at) == simdjson::SUCCESS;
  out = at;
  return is_found && !at.is_null();
}

bool ToolDialect::claims(const dom::object& line) const {
  return std::any_of(tool_.detect.begin(), tool_.detect.end(), [&](const std::vector<MemberTest>& alternative) {
    return std::all_of(alternative.begin(), alternative.end(), [&](const MemberTest& test) {
      dom::element value;
      return holds(test, find(line, test.path, value) ? &value : nullptr);
    });
  });
}

bool ToolDialect::holds_all(const ToolRule& rule) {
  if ((present_ & rule.needs) != rule.needs) return false;
  if (!std::all_of(rule.when.begin(), rule.when.end(),
                   [&](const ToolRule::Test& test) { return holds(*test.spec, at(test.slot)); })) {
    return false;
  }
  if (rule.spec->text.empty()) return true;
  if (!match_text(rule.spec->text, rule.spec->from_beginning, message_, captured_)) return false;
  captures_of_ = &rule;
  return true;
}

// ---- one look at all members ----

void ToolDialect::visit(std::string_view key, const dom::element& value, const MemberMeaning& meaning,
                        std::string_view path) {
  if (value.is_null()) return;
  if (meaning.slot >= 0) {
    found_[static_cast<std::size_t>(meaning.slot)] = value;
    present_.set(static_cast<std::size_t>(meaning.slot));
  }
  if (!meaning.children) return;
  dom::object object;
  dom::array array;
  if (value.get(object) == simdjson::SUCCESS) {
    walk(object, *meaning.children,
         tool_.keeps_rest ? (path.empty() ? std::string(key) : std::string(path) + "." + std::string(key))
                          : std::string());
  } else if (value.get(array) == simdjson::SUCCESS) {
    if (const MemberMeaning* first = meaning.children->find("[0]")) {
      for (const dom::element element : array) {
        visit("[0]", element, *first, path);
        break;
      }
    }
    std::string name;
    for (const dom::element element : array) {
      dom::object pair;
      std::string_view text;
      dom::element pair_value;
      if (element.get(pair) != simdjson::SUCCESS || pair.at_key("key").get(text) != simdjson::SUCCESS) break;
      name.assign("{").append(text).append("}");
      const MemberMeaning* named = meaning.children->find(name);
      if (named && pair.at_key("value").get(pair_value) == simdjson::SUCCESS) {
        visit(name, unwrapped(pair_value), *named, path);
      }
    }
  }
}

void ToolDialect::walk(const dom::object& object, const FieldTable& table, std::string_view path) {
  for (const auto [key, value] : object) {
    if (const MemberMeaning* meaning = table.find(key)) {
      visit(key, value, *meaning, path);
    } else if (tool_.keeps_rest) {
      unread_.push_back({key, path.empty() ? std::string() : std::string(path) + "." + std::string(key), value});
    }
  }
}

void ToolDialect::read(const dom::object& line, EventBuilder& builder) {
  present_.reset();
  unread_.clear();
  walk(line, members_, {});
  message_.clear();
  if (msg_) {
    for (const ToolSource& source : msg_->list) {
      message_ = value_of(source, builder).as_text(builder);
      if (!message_.empty()) break;
    }
  }
  const ToolRule* rule = plain_.get();
  captures_of_ = nullptr;
  for (const ToolRule& each : rules_) {
    // The tests of a rule for each element are asked of the elements.
    if (each.element ? at(each.array_top) != nullptr : holds_all(each)) {
      rule = &each;
      break;
    }
  }
  stages_.assign(1, rule);
  for (const ToolRule& also : rule->also) stages_.push_back(&also);
  stage_ = 0;
  is_first_ = true;
  begin_stage(*rule);
  if (!make_next(builder)) make(*plain_, builder);
}

std::optional<dom::object> ToolDialect::contract_members(const dom::object& line) const {
  if (tool_.contract == ".") return line;
  dom::element found;
  dom::object members;
  if (!find(line, tool_.contract, found) || found.get(members) != simdjson::SUCCESS) return std::nullopt;
  return members;
}

void ToolDialect::amend(const dom::object& line, EventBuilder& builder) {
  present_.reset();
  unread_.clear();
  walk(line, members_, {});
  LogEvent& event = builder.event;
  builder.go_on(spec_);
  for (const auto& [field, sources] : fields_) take_first(field, sources, builder);
  take_ts(ts_, builder);
  take_level(level_, builder);
  if (event.ts) builder.unmark(ContractViolation::kTs);
  if (event.level_stated) builder.unmark(ContractViolation::kLevel);
  if (event.fields.has(Field::kMsg)) builder.unmark(ContractViolation::kMsg);
  message_ = event.fields.text(Field::kMsg);
  stages_.clear();
  stage_ = 0;
}

bool ToolDialect::read_next(EventBuilder& builder) { return make_next(builder); }

bool ToolDialect::read_text(std::string_view text, EventBuilder& builder) {
  if (lines_.empty()) return false;
  present_.reset();
  unread_.clear();
  message_ = text;
  captures_of_ = nullptr;
  for (const ToolRule& each : lines_) {
    if (!holds_all(each)) continue;
    stages_.assign(1, &each);
    for (const ToolRule& also : each.also) stages_.push_back(&also);
    stage_ = 0;
    is_first_ = true;
    begin_stage(each);
    make_next(builder);
    return true;
  }
  return false;
}

void ToolDialect::inner_texts(std::vector<std::string_view>& out) const {
  out.clear();
  std::string_view text;
  for (const std::int16_t slot : inner_) {
    if (const dom::element* value = at(slot); value && value->get(text) == simdjson::SUCCESS) out.push_back(text);
  }
  if (inner_.empty()) out.push_back(message_);
}

}  // namespace runtail
