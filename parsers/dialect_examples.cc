#include "parsers/dialect_examples.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace runtail {
namespace {

std::string number_text(double number) {
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  return std::string(digits, error == std::errc() ? end : digits);
}

std::string text_of(const FieldValue& value) {
  switch (value.kind) {
    case FieldValue::Kind::kInt:
      return std::to_string(value.integer);
    case FieldValue::Kind::kBool:
      return value.integer != 0 ? "true" : "false";
    case FieldValue::Kind::kTime:
      return to_rfc3339(from_micros(value.integer));
    case FieldValue::Kind::kReal:
      return number_text(value.real);
    default:
      return std::string(value.text);
  }
}

std::string place_of(const DialectSpec& dialect, const DialectExample& example) {
  return dialect.file + ":" + std::to_string(example.line_number) + ":" + std::to_string(example.column);
}

}  // namespace

std::string example_value(const LogEvent& event, std::string_view name) {
  if (name == "dialect") return std::string(event.dialect);
  if (name == "event") return std::string(to_string(event.kind));
  if (name == "level") return event.level_stated ? std::string(to_string(event.level)) : "";
  if (name == "ts") return event.ts ? to_rfc3339(*event.ts) : "";
  if (name == "drop") return std::string(event.drop);
  if (name == "attempt_failed") return event.attempt_failed ? "true" : "false";
  if (name == "status" && event.status) return std::string(to_string(*event.status));
  const auto field = find_field(name);
  if (!field) return "(no such field)";
  if (const FieldValue* value = event.fields.find(*field)) return text_of(*value);
  for (std::size_t i = 0; i < event.rest.size(); i = event.rest[i].end) {
    if (event.rest[i].is_field && event.rest[i].key == name) return "(json)";
  }
  return "";
}

std::vector<std::string> failed_examples(Parser& parser, const DialectSpec& dialect) {
  std::vector<std::string> failures;
  for (std::size_t i = 0; i < dialect.examples.size(); ++i) {
    const DialectExample& example = dialect.examples[i];
    const auto fail = [&](const std::string& message) {
      failures.push_back(place_of(dialect, example) + ": examples[" + std::to_string(i) + "]: " + message);
    };
    const LogEvent* event = &parser.parse(example.line);
    std::size_t number = 0;
    for (const auto& want : example.want) {
      ++number;
      if (!event) {
        fail("gives " + std::to_string(number - 1) + " events; " + std::to_string(example.want.size()) + " are wanted");
        break;
      }
      const std::string of = example.want.size() > 1 ? " of event " + std::to_string(number) : "";
      if (!want.contains("dialect") && event->dialect != dialect.name) {
        fail("is read as " + std::string(event->dialect) + ", not " + dialect.name +
             "; see whether detect tells it, or whether that one is asked first (order)");
        break;
      }
      for (const auto& [name, value] : want) {
        const std::string got = example_value(*event, name);
        if (got != value)
          fail(name + of + " is \"" + got + "\"; \"" + value + "\" is wanted: mend the rule, or the want");
      }
      event = parser.next();
    }
  }
  return failures;
}

std::vector<std::string> taken_examples(const std::vector<DialectSpec>& all, const std::vector<DialectSpec>& own) {
  std::vector<std::string> messages;
  Parser parser(all);
  for (const DialectSpec& dialect : all) {
    const auto is_own = [&](std::string_view name) {
      return std::any_of(own.begin(), own.end(), [&](const DialectSpec& each) { return each.name == name; });
    };
    if (is_own(dialect.name)) continue;
    std::map<std::string, std::vector<const DialectExample*>> taken;
    for (const DialectExample& example : dialect.examples) {
      const std::string by(parser.parse(example.line).dialect);
      if (is_own(by)) taken[by].push_back(&example);
    }
    for (const auto& [by, examples] : taken) {
      const auto taker = std::find_if(own.begin(), own.end(), [&by = by](const auto& each) { return each.name == by; });
      messages.push_back(taker->file + ": " + by + " claims " + std::to_string(examples.size()) + " of " +
                         std::to_string(dialect.examples.size()) + " examples of " + dialect.name + ", as at " +
                         place_of(dialect, *examples.front()) +
                         "; tell its lines more narrowly (detect), or let it be asked later (order)");
    }
  }
  return messages;
}

}  // namespace runtail
