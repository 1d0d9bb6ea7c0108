// A value as it stands on a line, or was made of several.
#pragma once

#include <simdjson.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "parsers/event_builder.h"
#include "parsers/json_value.h"

namespace runtail {

struct LineValue {
  enum class Kind : std::uint8_t { kNone, kText, kInteger, kReal, kBool, kTree };
  Kind kind = Kind::kNone;
  std::string_view text;
  std::int64_t integer = 0;  // kBool: 0 or 1
  double real = 0;
  simdjson::dom::element tree;

  LineValue() = default;
  explicit LineValue(std::string_view given) : kind(Kind::kText), text(given) {}
  explicit LineValue(const simdjson::dom::element& value) {
    using Type = simdjson::dom::element_type;
    switch (value.type()) {
      case Type::STRING:
        kind = Kind::kText;
        text = std::string_view(value);
        break;
      case Type::INT64:
        kind = Kind::kInteger;
        integer = std::int64_t(value);
        break;
      case Type::UINT64:
        kind = Kind::kReal;
        real = static_cast<double>(std::uint64_t(value));
        break;
      case Type::DOUBLE:
        kind = Kind::kReal;
        real = double(value);
        break;
      case Type::BOOL:
        kind = Kind::kBool;
        integer = bool(value);
        break;
      case Type::ARRAY:
      case Type::OBJECT:
        kind = Kind::kTree;
        tree = value;
        break;
      case Type::NULL_VALUE:
        break;
    }
  }

  std::optional<double> number() const {
    switch (kind) {
      case Kind::kText:
        return number_of(text);
      case Kind::kInteger:
        return static_cast<double>(integer);
      case Kind::kReal:
        return real;
      default:
        return std::nullopt;
    }
  }
  std::optional<std::int64_t> whole() const {
    if (kind == Kind::kInteger) return integer;
    const auto value = number();
    return value ? integer_of(*value) : std::nullopt;
  }
  // As JSON writes it; of a tree nothing.
  std::string_view as_text(EventBuilder& builder) const {
    switch (kind) {
      case Kind::kText:
        return text;
      case Kind::kBool:
        return integer != 0 ? "true" : "false";
      case Kind::kInteger:
        return builder.keep(std::to_string(integer));
      case Kind::kReal: {
        char digits[32];
        const auto [end, error] = std::to_chars(digits, digits + sizeof digits, real);
        return builder.keep(std::string(digits, error == std::errc() ? end : digits));
      }
      default:
        return {};
    }
  }
};

}  // namespace runtail
