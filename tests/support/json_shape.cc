#include "tests/support/json_shape.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "core/time.h"
#include "core/uuid.h"

namespace runtail::test {
namespace {

namespace json = boost::json;

std::string kind_of(const json::value& value) {
  if (value.is_null()) return "null";
  if (value.is_bool()) return "boolean";
  if (value.is_int64() || value.is_uint64()) return "integer";
  if (value.is_double()) return "number";
  if (value.is_string()) return "string";
  return value.is_array() ? "array" : "object";
}

bool is_kind(const json::value& value, std::string_view wanted) {
  const std::string kind = kind_of(value);
  return kind == wanted || (kind == "integer" && wanted == "number");
}

bool has_format(std::string_view text, std::string_view format) {
  if (format == "uuid") return parse_uuid(text).has_value();
  // As RFC 3339 writes it in UTC, and not only as it can be read.
  if (format == "date-time") return parse_rfc3339(text) && to_rfc3339(*parse_rfc3339(text)) == text;
  if (format == "date") return text.size() == 10 && text[4] == '-' && text[7] == '-';
  return false;
}

}  // namespace

const json::value& at_pointer(const json::value& document, std::string_view pointer) {
  boost::system::error_code error;
  const json::value* found = document.find_pointer(pointer, error);
  if (!found) throw std::runtime_error("nothing at " + std::string(pointer));
  return *found;
}

std::string shape_fault(const json::value& value, const json::value& schema, const json::value& document,
                        const std::string& place) {
  static const std::set<std::string_view> kKnown = {
      "$ref",      "type",    "properties", "required",    "additionalProperties",
      "items",     "enum",    "format",     "description", "minLength",
      "maxLength", "minimum", "maximum",    "default"};
  const json::object& rules = schema.as_object();
  for (const auto& [word, rule] : rules) {
    if (!kKnown.contains(std::string_view(word))) return place + ": schema word " + std::string(word) + " is not known";
  }
  if (const json::value* reference = rules.if_contains("$ref")) {
    return shape_fault(value, at_pointer(document, std::string_view(reference->as_string()).substr(1)), document,
                       place);
  }
  if (const json::value* type = rules.if_contains("type")) {
    const json::array kinds = type->is_array() ? type->as_array() : json::array{*type};
    if (std::none_of(kinds.begin(), kinds.end(),
                     [&](const json::value& kind) { return is_kind(value, std::string_view(kind.as_string())); })) {
      return place + ": " + kind_of(value) + " is not of " + json::serialize(kinds);
    }
  }
  if (const json::value* words = rules.if_contains("enum")) {
    const json::array& all = words->as_array();
    if (std::find(all.begin(), all.end(), value) == all.end())
      return place + ": " + json::serialize(value) + " is no word of the set";
  }
  if (const json::value* format = rules.if_contains("format"); format && value.is_string()) {
    if (!has_format(std::string_view(value.as_string()), std::string_view(format->as_string()))) {
      return place + ": " + json::serialize(value) + " is no " + json::serialize(*format);
    }
  }
  if (const json::value* items = rules.if_contains("items"); items && value.is_array()) {
    for (std::size_t at = 0; at < value.as_array().size(); ++at) {
      if (auto fault = shape_fault(value.as_array()[at], *items, document, place + "/" + std::to_string(at));
          !fault.empty())
        return fault;
    }
  }
  const json::value* properties = rules.if_contains("properties");
  if (!properties || !value.is_object()) return "";
  for (const auto& [name, member] : value.as_object()) {
    const json::value* rule = properties->as_object().if_contains(name);
    if (!rule) return place + "/" + std::string(name) + ": not in the schema";
    if (auto fault = shape_fault(member, *rule, document, place + "/" + std::string(name)); !fault.empty())
      return fault;
  }
  for (const json::value& name : rules.at("required").as_array()) {
    if (!value.as_object().contains(name.as_string())) return place + "/" + std::string(name.as_string()) + ": missing";
  }
  return "";
}

}  // namespace runtail::test
