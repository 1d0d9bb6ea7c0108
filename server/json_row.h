// A row of the history as a JSON object, and the schema of such objects, both from the row's own columns
// (schema/row.h): what is documented is what is sent.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/json_text.h"
#include "core/truncate.h"
#include "schema/row.h"

namespace runtail {

// How much of a text is shown; the rest is in the database. A JSON value larger than kJsonShown is replaced by
// {"truncated":true,"bytes":N}.
inline constexpr std::size_t kTextShown = 4096, kErrorShown = 2048, kErrorShownInLists = 256, kJsonShown = 16 * 1024;

namespace json_row {

// Stamps that say which fact won: of use to the writer alone.
inline bool is_bookkeeping(std::string_view name) {
  constexpr std::string_view kNames[] = {"state_attempt", "state_rank", "state_at", "state_event",
                                         "error_attempt", "error_rank", "error_at", "error_event"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

template <typename T>
struct Unwrapped {
  using type = T;
  static constexpr bool kOptional = false;
};
template <typename T>
struct Unwrapped<std::optional<T>> {
  using type = T;
  static constexpr bool kOptional = true;
};

struct Write {
  std::string& out;
  std::size_t error_shown;
  bool first = true;

  template <typename T>
  void operator()(std::string_view name, const T& value) {
    if (is_bookkeeping(name)) return;
    out += first ? "\"" : ",\"";
    first = false;
    out += name;
    out += "\":";
    if constexpr (Unwrapped<T>::kOptional) {
      if (!value) {
        out += name == "dq_findings" ? "[]" : "null";
      } else {
        write(name, *value);
      }
    } else {
      write(name, value);
    }
  }
  void computed(std::string_view name, const auto& value) { (*this)(name, value); }

 private:
  template <typename T>
  void write(std::string_view name, const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      append_json_string(out, truncate_redacted(value, name == "error_message" ? error_shown : kTextShown));
    } else if constexpr (std::is_same_v<T, bool>) {
      out += value ? "true" : "false";
    } else if constexpr (std::is_integral_v<T>) {
      out += std::to_string(value);
    } else if constexpr (std::is_same_v<T, double>) {
      if (!std::isfinite(value)) {
        out += "null";
        return;
      }
      char text[32];
      out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
    } else if constexpr (std::is_same_v<T, Json>) {
      if (value.text.size() <= kJsonShown) {
        out += value.text;
      } else if (name == "dq_findings") {
        out += "[]";
      } else {
        out += "{\"truncated\":true,\"bytes\":" + std::to_string(value.text.size()) + "}";
      }
    } else if constexpr (std::is_same_v<T, TimePoint>) {
      out += '"' + to_rfc3339(value) + '"';
    } else if constexpr (std::is_same_v<T, UsdMicros>) {
      out += pg_text::write(value);  // a decimal number
    } else {
      static_assert(std::is_same_v<T, Uuid> || std::is_same_v<T, std::chrono::sys_days>);
      out += '"' + pg_text::write(value) + '"';
    }
  }
};

struct Schema {
  std::string properties, required;

  template <typename T>
  void operator()(std::string_view name, const T&) {
    if (is_bookkeeping(name)) return;
    const std::string quoted = "\"" + std::string(name) + "\"";
    properties += (properties.empty() ? "" : ",") + quoted + ":{" + type_of<T>(name) + "}";
    required += (required.empty() ? "" : ",") + quoted;
  }
  void computed(std::string_view name, const auto& value) { (*this)(name, value); }

 private:
  template <typename T>
  static std::string type_of(std::string_view name) {
    using Value = typename Unwrapped<T>::type;
    std::string type, more;
    if constexpr (std::is_same_v<Value, bool>) {
      type = "boolean";
    } else if constexpr (std::is_integral_v<Value>) {
      type = "integer";
    } else if constexpr (std::is_same_v<Value, double> || std::is_same_v<Value, UsdMicros>) {
      type = "number";
    } else if constexpr (std::is_same_v<Value, Json>) {
      if (name == "dq_findings") return R"("type":"array","items":{"type":"object"})";
      type = "object";
    } else {
      type = "string";
      if constexpr (std::is_same_v<Value, TimePoint>) more = R"(,"format":"date-time")";
      if constexpr (std::is_same_v<Value, Uuid>) more = R"(,"format":"uuid")";
      if constexpr (std::is_same_v<Value, std::chrono::sys_days>) more = R"(,"format":"date")";
    }
    if (Unwrapped<T>::kOptional || std::is_same_v<Value, double>) {
      return "\"type\":[\"" + type + "\",\"null\"]" + more;
    }
    return "\"type\":\"" + type + "\"" + more;
  }
};

}  // namespace json_row

// `error_shown`: bytes of an error_message.
template <typename Row>
void append_json_row(std::string& out, const Row& row, std::size_t error_shown) {
  out += '{';
  json_row::Write write{out, error_shown};
  Row::columns(row, write);
  out += '}';
}

// JSON Schema of what append_json_row() writes: these members, all of them, and no others.
template <typename Row>
std::string json_schema_of() {
  json_row::Schema schema;
  const Row row{};
  Row::columns(row, schema);
  return R"({"type":"object","additionalProperties":false,"properties":{)" + schema.properties + R"(},"required":[)" +
         schema.required + "]}";
}

}  // namespace runtail
