#include "config/tool_format.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "config/near_word.h"

namespace runtail {
namespace {

using Kind = MemberTest::Kind;

struct NamedKind {
  std::string_view name;
  Kind kind;
};
// Tests that need no value, and those that do.
constexpr std::array kPlainTests{NamedKind{"present", Kind::kPresent}, NamedKind{"absent", Kind::kAbsent},
                                 NamedKind{"object", Kind::kObject},   NamedKind{"array", Kind::kArray},
                                 NamedKind{"text", Kind::kText},       NamedKind{"number", Kind::kNumber}};
constexpr std::array kValueTests{NamedKind{"not", Kind::kNoneOf}, NamedKind{"begins", Kind::kBegins},
                                 NamedKind{"has", Kind::kHas}, NamedKind{"above", Kind::kAbove},
                                 NamedKind{"below", Kind::kBelow}};

constexpr std::array<std::string_view, 11> kConversions = {
    "none", "seconds",   "nanoseconds", "trailing_integer", "identifier", "last_part",
    "utc",  "exit_code", "signal",      "column_types",     "epoch_parts"};

std::vector<std::string> names_of(const auto& named) {
  std::vector<std::string> names;
  for (const auto& each : named) names.emplace_back(each.name);
  return names;
}

std::optional<double> number_of(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

constexpr double kOrderMax = 10'000;

bool is_drop_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// What example_value() knows beside the fields of the contract.
bool is_example_name(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {"dialect", "event", "level", "ts", "drop", "attempt_failed"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::string index(std::size_t i) { return "[" + std::to_string(i) + "]"; }

}  // namespace

const std::vector<std::string>& ToolFormatReader::parts() {
  static const std::vector<std::string> kParts = {"order", "detect", "rules", "lines",    "broken",
                                                  "inner", "rest",   "run",   "contract", "level_numbers"};
  return kParts;
}

void ToolFormatReader::read(const std::string& part, const YAML::Node& value, ToolFormat& into) {
  if (part == "order") {
    const auto order = number_of(text(value, part));
    if (order && *order >= 0 && *order <= kOrderMax) {
      into.order = static_cast<int>(*order);
    } else {
      complain_(value, part, "expected a number, 0 to 10000; dialects are asked from the lowest up");
    }
  } else if (part == "detect") {
    into.detect = read_detect(value, part);
  } else if (part == "ts") {
    into.ts = read_sources(value, part);
  } else if (part == "level") {
    into.level = read_sources(value, part);
  } else if (part == "fields") {
    into.fields = read_fields(value, part);
  } else if (part == "rules") {
    into.rules = read_rules(value, part);
  } else if (part == "lines") {
    into.lines = read_rules(value, part);
    for (std::size_t i = 0; i < into.lines.size(); ++i) {
      if (into.lines[i].text.empty()) complain_(value[i], part + index(i), "needs a text: the line has no members");
    }
  } else if (part == "broken") {
    into.broken = texts(value, part);
    for (const std::string& mark : into.broken) {
      if (!mark.starts_with('"') || mark.size() < 3 || mark[1] == ' ' || mark[1] == '\\' || mark[1] == '\t') {
        complain_(value, part, "\"" + mark + "\" must begin with a quote and a member's name, as in \"record\":{");
      }
    }
  } else if (part == "inner") {
    into.inner = texts(value, part);
    for (const std::string& path : into.inner) check_path(path, value, part);
  } else if (part == "run") {
    into.run_is_process = text(value, part) == "process";
    if (!into.run_is_process) complain_(value, part, "must be process: a line without run_id is of its process's run");
  } else if (part == "contract") {
    into.contract = text(value, part);
    if (into.contract != ".") check_path(into.contract, value, part);
  } else if (part == "rest") {
    const std::string word = text(value, part);
    if (word != "keep" && word != "drop") complain_(value, part, "must be keep or drop");
    into.keeps_rest = word == "keep";
  } else {
    if (!value.IsMap()) return complain_(value, part, "expected a map from level to the lowest number it has");
    for (const auto& entry : value) {
      const std::string at = part + "." + entry.first.Scalar();
      const auto bound = number_of(text(entry.second, at));
      std::optional<Level> level;
      for (int i = 0; i <= static_cast<int>(Level::kFatal); ++i) {
        if (to_string(static_cast<Level>(i)) == entry.first.Scalar()) level = static_cast<Level>(i);
      }
      if (!bound || !level) {
        complain_(entry.first, at, "expected one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL and a number");
      } else {
        into.level_floor[*bound] = *level;
      }
    }
  }
}

std::vector<std::vector<MemberTest>> ToolFormatReader::read_detect(const YAML::Node& list, const std::string& at) {
  std::vector<std::vector<MemberTest>> ways;
  if (!list.IsSequence() || list.size() == 0) {
    complain_(list, at, "expected a list of {member: test, ...}");
    return ways;
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto& tests = ways.emplace_back(read_tests(list[i], at + index(i)));
    const bool asks_for_some = std::any_of(tests.begin(), tests.end(), [](const MemberTest& test) {
      return test.kind != Kind::kAbsent && test.kind != Kind::kNoneOf;
    });
    if (!asks_for_some && !tests.empty()) {
      complain_(list[i], at + index(i), "needs a member that is there: others must not be asked about every line");
    }
    for (const MemberTest& test : tests) {
      if (test.path.find_first_of("[{") == std::string::npos) continue;
      complain_(list[i], at + index(i) + "." + test.path, "detect looks at members of objects only, not into arrays");
    }
  }
  return ways;
}

std::vector<MemberTest> ToolFormatReader::read_tests(const YAML::Node& map, const std::string& at) {
  std::vector<MemberTest> tests;
  if (!map.IsMap() || map.size() == 0) {
    complain_(map, at, "expected tests of members: {level: present, event: [started]}");
    return tests;
  }
  for (const auto& entry : map) {
    const std::string& path = entry.first.Scalar();
    check_path(path, entry.first, at + "." + path);
    tests.push_back(read_test(path, entry.second, at + "." + path));
  }
  return tests;
}

MemberTest ToolFormatReader::read_test(const std::string& path, const YAML::Node& value, const std::string& at) {
  MemberTest test;
  test.path = path;
  if (value.IsSequence()) {
    test.kind = Kind::kOneOf;
    test.words = texts(value, at);
  } else if (value.IsMap() && value.size() == 1) {
    const auto entry = *value.begin();
    const std::string& name = entry.first.Scalar();
    for (const NamedKind& each : kValueTests) {
      if (each.name != name) continue;
      test.kind = each.kind;
      if (each.kind == Kind::kAbove || each.kind == Kind::kBelow) {
        const auto bound = number_of(text(entry.second, at));
        if (!bound) complain_(entry.second, at, "expected a number");
        test.bound = bound.value_or(0);
      } else {
        test.words = entry.second.IsScalar() ? std::vector{text(entry.second, at)} : texts(entry.second, at);
      }
      return test;
    }
    complain_(entry.first, at, "unknown test" + did_you_mean(name, names_of(kValueTests)));
  } else {
    const std::string name = value.IsScalar() ? value.Scalar() : "";
    for (const NamedKind& each : kPlainTests) {
      if (each.name == name) {
        test.kind = each.kind;
        return test;
      }
    }
    complain_(value, at,
              "expected present, absent, object, array, text, number, a list of values, or one of {not:}, {begins:}, "
              "{has:}, {above:}, {below:}" +
                  did_you_mean(name, names_of(kPlainTests)));
  }
  return test;
}

std::optional<Field> ToolFormatReader::read_field_name(const std::string& name, const YAML::Node& node,
                                                       const std::string& at) const {
  const auto field = find_field(name);
  if (field) return field;
  std::vector<std::string> names;
  for (const FieldSpec& spec : kFieldSpecs) names.emplace_back(spec.name);
  complain_(node, at, "no contract field \"" + name + "\"" + did_you_mean(name, names));
  return std::nullopt;
}

std::vector<FieldSources> ToolFormatReader::read_fields(const YAML::Node& map, const std::string& at) {
  std::vector<FieldSources> fields;
  if (map.IsSequence()) {  // several maps, so that one can stand behind an anchor
    for (const auto& each : map) {
      for (FieldSources& field : read_fields(each, at)) fields.push_back(std::move(field));
    }
    return fields;
  }
  if (!map.IsMap()) {
    complain_(map, at, "expected a map from contract field to where its value stands");
    return fields;
  }
  for (const auto& entry : map) {
    const std::string& name = entry.first.Scalar();
    const std::string key = at + "." + name;
    if (const auto field = read_field_name(name, entry.first, key)) {
      fields.push_back({*field, read_sources(entry.second, key)});
    }
  }
  return fields;
}

std::vector<ValueSource> ToolFormatReader::read_sources(const YAML::Node& node, const std::string& at) {
  std::vector<ValueSource> sources;
  if (!node.IsSequence()) {
    sources.push_back(read_source(node, at));
    return sources;
  }
  for (std::size_t i = 0; i < node.size(); ++i) sources.push_back(read_source(node[i], at + index(i)));
  return sources;
}

ValueSource ToolFormatReader::read_source(const YAML::Node& node, const std::string& at) {
  static const std::vector<std::string> kKeys = {"path", "paths", "with",   "value", "sum",
                                                 "as",   "words", "unless", "after", "before"};
  ValueSource source;
  if (node.IsScalar()) {
    source.paths.push_back(text(node, at));
    check_path(source.paths.back(), node, at);
    return source;
  }
  if (!node.IsMap()) {
    complain_(node, at, "expected a member, or {path: member, as: conversion}, or {value: text}");
    return source;
  }
  bool has_value = false;
  for (const auto& entry : node) {
    const std::string& name = entry.first.Scalar();
    const std::string key = at + "." + name;
    if (name == "path") {
      source.paths.push_back(text(entry.second, key));
    } else if (name == "paths") {
      source.paths = texts(entry.second, key);
    } else if (name == "with") {
      source.with = text(entry.second, key);
    } else if (name == "value") {
      source.constant = text(entry.second, key);
      has_value = true;
    } else if (name == "sum") {
      source.sum = text(entry.second, key);
      check_way(source.sum, entry.second, key);
    } else if (name == "as") {
      source.conversion = read_conversion(text(entry.second, key), entry.second, key);
    } else if (name == "unless") {
      source.unless = texts(entry.second, key);
    } else if (name == "before") {
      source.before = text(entry.second, key);
    } else if (name == "after") {
      source.after = text(entry.second, key);
    } else if (name == "words") {
      if (!entry.second.IsMap()) {
        complain_(entry.second, key, "expected a map from a value to what it means");
        continue;
      }
      for (const auto& word : entry.second) source.words[word.first.Scalar()] = text(word.second, key);
    } else {
      complain_(entry.first, key, "unknown key" + did_you_mean(name, kKeys));
    }
  }
  for (const std::string& path : source.paths) check_path(path, node, at);
  if (!source.paths.empty() + has_value + !source.sum.empty() != 1) {
    complain_(node, at, "needs one of path (or paths), value and sum");
  }
  return source;
}

Conversion ToolFormatReader::read_conversion(const std::string& word, const YAML::Node& node,
                                             const std::string& at) const {
  for (std::size_t i = 0; i < kConversions.size(); ++i) {
    if (kConversions[i] == word) return static_cast<Conversion>(i);
  }
  const std::vector<std::string> names(kConversions.begin(), kConversions.end());
  complain_(node, at, "no conversion \"" + word + "\"" + did_you_mean(word, names));
  return Conversion::kNone;
}

std::vector<EventRule> ToolFormatReader::read_rules(const YAML::Node& list, const std::string& at) {
  std::vector<EventRule> rules;
  if (!list.IsSequence()) {
    complain_(list, at, "expected a list of {when, event, fields, ...}");
    return rules;
  }
  for (std::size_t i = 0; i < list.size(); ++i) rules.push_back(read_rule(list[i], at + index(i)));
  each_ = arrays_ = 0;
  return rules;
}

EventRule ToolFormatReader::read_rule(const YAML::Node& map, const std::string& at) {
  static const std::vector<std::string> kKeys = {"when",    "text", "event", "verdict", "drop", "fields",
                                                 "without", "each", "also",  "ts",      "level"};
  EventRule rule;
  if (!map.IsMap()) {
    complain_(map, at, "expected {when, event, fields, ...}");
    return rule;
  }
  each_ = arrays_ = 0;
  if (const YAML::Node each = map["each"]; each) {
    rule.each = text(each, at + ".each");
    check_way(rule.each, each, at + ".each");
    each_ = ++rules_with_each_;
    arrays_ = 1;
    for (std::size_t i = 0; (i = rule.each.find("[]", i)) != std::string::npos; i += 2) ++arrays_;
    members_.emplace(each_, "@");
  }
  for (const auto& entry : map) {
    const std::string& name = entry.first.Scalar();
    const std::string key = at + "." + name;
    if (name == "also" || name == "each") {
      continue;
    } else if (name == "when") {
      rule.when = read_tests(entry.second, key);
    } else if (name == "text") {
      read_text(entry.second, key, rule);
    } else if (name == "event") {
      const std::string word = text(entry.second, key);
      std::vector<std::string> names;
      for (int i = 0; i <= static_cast<int>(EventKind::kProviderSync); ++i) {
        names.emplace_back(to_string(static_cast<EventKind>(i)));
        if (names.back() == word) rule.kind = static_cast<EventKind>(i);
      }
      if (to_string(rule.kind) != word) {
        complain_(entry.second, key, "no kind of event \"" + word + "\"" + did_you_mean(word, names));
      }
    } else if (name == "verdict") {
      if (text(entry.second, key) == "exit") {
        rule.verdict_source = VerdictSource::kExit;
      } else {
        complain_(entry.second, key, "must be exit: an end is seen, not how it went");
      }
    } else if (name == "drop") {
      rule.drop = text(entry.second, key);
      if (!is_drop_name(rule.drop)) {
        complain_(entry.second, key, "write 1 to 64 small letters, digits or '_': lines are counted under it");
      }
    } else if (name == "fields") {
      rule.fields = read_fields(entry.second, key);
    } else if (name == "ts") {
      rule.ts = read_sources(entry.second, key);
    } else if (name == "level") {
      rule.level = read_sources(entry.second, key);
    } else if (name == "without") {
      for (const std::string& field : texts(entry.second, key)) {
        if (const auto known = read_field_name(field, entry.second, key)) rule.without.push_back(*known);
      }
    } else {
      complain_(entry.first, key, "unknown key" + did_you_mean(name, kKeys));
    }
  }
  if (rule.kind == EventKind::kPlain && rule.drop.empty() && rule.verdict_source == VerdictSource::kExit) {
    complain_(map, at, "verdict belongs to an event that ends something");
  }
  if (const YAML::Node also = map["also"]; also) rule.also = read_rules(also, at + ".also");
  return rule;
}

// ---- paths ----

void ToolFormatReader::check_path(const std::string& path, const YAML::Node& node, const std::string& at) {
  const bool is_of_element = path == "@" || path.starts_with("@.") || path.starts_with("@^");
  if (is_of_element && each_ == 0) {
    return complain_(node, at, '"' + path + "\" is of an element, and the rule has no each");
  }
  members_.emplace(is_of_element ? each_ : 0, path);
  if (path == "@") return;
  std::string_view rest = path;
  if (is_of_element) {
    const std::size_t out = std::min(rest.find_first_not_of('^', 1), rest.size()) - 1;
    if (rest.find('.') != out + 1) return complain_(node, at, '"' + path + "\" needs a member behind it: \"@^.name\"");
    if (out >= arrays_) {
      return complain_(node, at,
                       '"' + path + "\" goes out of " + std::to_string(out) + " elements, and each is in " +
                           std::to_string(arrays_ - 1));
    }
    rest.remove_prefix(out + 2);
  }
  if (rest.empty()) return complain_(node, at, "a path without a member");
  for (std::size_t open = 0; (open = rest.find_first_of("[{", open)) != std::string_view::npos;) {
    const std::size_t close = rest.find(rest[open] == '[' ? ']' : '}', open);
    const std::string_view inside = rest.substr(open + 1, close == std::string_view::npos ? close : close - open - 1);
    if (close == std::string_view::npos || inside.empty() || (rest[open] == '[' && inside != "0")) {
      return complain_(node, at, '"' + path + "\": write [0] for the first element, {key} for the value of that key");
    }
    open = close + 1;
  }
}

void ToolFormatReader::check_way(const std::string& path, const YAML::Node& node, const std::string& at) {
  const std::string top = path.substr(0, path.find_first_of(".["));
  members_.emplace(0, top);
  std::string plain = path;
  for (std::size_t open = 0; (open = plain.find("[]", open)) != std::string::npos;) plain.erase(open, 2);
  if (top.empty() || plain.back() == '.' || plain.find_first_of("[]{}") != std::string::npos ||
      plain.find("..") != std::string::npos) {
    complain_(node, at, '"' + path + "\": write members with dots between them, [] behind each that is an array");
  }
}

// "Starting attempt {attempt} of {max_attempts}"
void ToolFormatReader::read_text(const YAML::Node& node, const std::string& at, EventRule& rule) const {
  const std::string whole = text(node, at);
  std::string_view rest = whole;
  if (rest.starts_with('^')) {
    rule.from_beginning = true;
    rest.remove_prefix(1);
  }
  bool has_literal = false;
  while (!rest.empty()) {
    const std::size_t open = rest.find('{');
    if (open != 0) {
      rule.text.push_back({std::string(rest.substr(0, open)), false, {}, {}});
      has_literal = true;
      rest.remove_prefix(std::min(open, rest.size()));
      continue;
    }
    const std::size_t close = rest.find('}');
    if (close == std::string_view::npos) return complain_(node, at, "a { without its }");
    if (!rule.text.empty() && rule.text.back().is_value) {
      return complain_(node, at, "two values with nothing between them");
    }
    rule.text.push_back(read_value_piece(rest.substr(1, close - 1), node, at));
    rest.remove_prefix(close + 1);
  }
  if (!has_literal) complain_(node, at, "needs some words beside its values");
}

TextPiece ToolFormatReader::read_value_piece(std::string_view name, const YAML::Node& node,
                                             const std::string& at) const {
  TextPiece piece;
  piece.is_value = true;
  const std::size_t colon = name.find(':');
  if (name == "_") return piece;
  piece.field = read_field_name(std::string(name.substr(0, colon)), node, at);
  if (colon != std::string_view::npos) {
    piece.conversion = read_conversion(std::string(name.substr(colon + 1)), node, at);
  }
  return piece;
}

std::vector<DialectExample> ToolFormatReader::read_examples(const YAML::Node& list) {
  std::vector<DialectExample> examples;
  if (!list.IsSequence()) {
    complain_(list, "examples", "expected a list of {line, want}");
    return examples;
  }
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string at = "examples" + index(i);
    const YAML::Node& each = list[i];
    if (!each.IsMap() || !each["line"] || !each["want"] || each.size() != 2) {
      complain_(each, at, "expected {line, want}");
      continue;
    }
    DialectExample& example = examples.emplace_back();
    example.line_number = each.Mark().line + 1;
    example.column = each.Mark().column + 1;
    example.line = text(each["line"], at + ".line");
    const YAML::Node want = each["want"];
    const auto read_want = [&](const YAML::Node& map, const std::string& key) {
      auto& values = example.want.emplace_back();
      if (!map.IsMap() || map.size() == 0) return complain_(map, key, "expected a map from field to value");
      for (const auto& entry : map) {
        const std::string& name = entry.first.Scalar();
        if (!is_example_name(name)) read_field_name(name, entry.first, key + "." + name);
        values[name] = text(entry.second, key);
      }
    };
    if (want.IsSequence() && want.size() > 0) {
      for (std::size_t k = 0; k < want.size(); ++k) read_want(want[k], at + ".want" + index(k));
    } else {
      read_want(want, at + ".want");
    }
  }
  return examples;
}

std::vector<std::string> ToolFormatReader::texts(const YAML::Node& node, const std::string& at) const {
  std::vector<std::string> found;
  if (!node.IsSequence()) {
    complain_(node, at, "expected a list: [one, two]");
    return found;
  }
  for (const auto& item : node) {
    if (item.IsScalar()) {
      found.push_back(item.Scalar());
    } else {
      complain_(item, at, "expected a list of texts");
    }
  }
  return found;
}

std::string ToolFormatReader::text(const YAML::Node& node, const std::string& at) const {
  if (node.IsScalar()) return node.Scalar();
  complain_(node, at, "expected a text");
  return "";
}

}  // namespace runtail
