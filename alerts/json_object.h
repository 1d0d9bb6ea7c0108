// A JSON object in the making: of results, of alerts and of the messages that say them.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_text.h"
#include "core/time.h"
#include "core/uuid.h"

namespace runtail {

class JsonObject {
 public:
  JsonObject& text(std::string_view name, std::string_view value) {
    begin(name);
    append_json_string(out_, value);
    return *this;
  }
  JsonObject& integer(std::string_view name, std::integral auto value) {
    begin(name);
    out_ += std::to_string(value);
    return *this;
  }
  // Shortest text that reads back the same; null where it is not finite.
  JsonObject& real(std::string_view name, double value) {
    begin(name);
    char buffer[40];
    const auto [end, fault] = std::to_chars(buffer, buffer + sizeof buffer, value);
    out_ += std::isfinite(value) && fault == std::errc() ? std::string(buffer, end) : "null";
    return *this;
  }
  JsonObject& boolean(std::string_view name, bool value) { return json(name, value ? "true" : "false"); }
  JsonObject& uuid(std::string_view name, const Uuid& value) { return text(name, to_string(value)); }
  JsonObject& time(std::string_view name, TimePoint value) { return text(name, to_rfc3339(value)); }
  // `value` is JSON.
  JsonObject& json(std::string_view name, std::string_view value) {
    begin(name);
    out_ += value;
    return *this;
  }
  JsonObject& texts(std::string_view name, const std::vector<std::string>& values) {
    begin(name);
    out_ += '[';
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i) out_ += ',';
      append_json_string(out_, values[i]);
    }
    out_ += ']';
    return *this;
  }
  JsonObject& texts(std::string_view name, const std::map<std::string, std::string>& members) {
    JsonObject object;
    for (const auto& [key, value] : members) object.text(key, value);
    return json(name, object.take());
  }
  std::string take() { return (out_.empty() ? "{" : std::move(out_)) + '}'; }

 private:
  void begin(std::string_view name) {
    out_ += out_.empty() ? '{' : ',';
    append_json_string(out_, name);
    out_ += ':';
  }
  std::string out_;
};

// "[a,b]" of JSON values.
inline std::string json_array(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const std::string& value : values) out += (out.size() > 1 ? "," : "") + value;
  return out + ']';
}

}  // namespace runtail
