// LogEvents made by hand: what the parser would make of a line.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <string_view>

#include "core/event.h"
#include "redaction/redactor.h"
#include "redaction/ruleset.h"

namespace runtail {

// Owns the texts its event points into.
class LineBuilder {
 public:
  LineBuilder() { event_.shape = LineShape::kJson; }

  LineBuilder& text(Field field, std::string_view value) {
    event_.fields.put_text(field, keep(value));
    return *this;
  }
  LineBuilder& integer(Field field, std::int64_t value) {
    event_.fields.put_int(field, value);
    return *this;
  }
  LineBuilder& uuid(Field field, std::string_view value) {
    const std::string_view kept = keep(value);
    event_.fields.put_uuid(field, parse_uuid(kept).value(), kept);
    return *this;
  }
  LineBuilder& plain_text(std::string_view value) {
    event_.shape = LineShape::kText;
    event_.text = keep(value);
    return *this;
  }

  // Members outside the contract. object() and array() stay open until close().
  LineBuilder& object(std::string_view key) { return open(JsonNode::Kind::kObject, key); }
  LineBuilder& array(std::string_view key) { return open(JsonNode::Kind::kArray, key); }
  // The one opened last stands for a contract field of type kJson.
  LineBuilder& field() {
    event_.rest[open_.back()].is_field = true;
    return *this;
  }
  LineBuilder& close() {
    event_.rest[open_.back()].end = static_cast<std::uint32_t>(event_.rest.size());
    open_.pop_back();
    return *this;
  }
  LineBuilder& string(std::string_view key, std::string_view value) {
    leaf(JsonNode::Kind::kString, key).text = keep(value);
    return *this;
  }
  LineBuilder& number(std::string_view key, std::int64_t value) {
    leaf(JsonNode::Kind::kInt, key).integer = value;
    return *this;
  }
  LineBuilder& big(std::string_view key, std::uint64_t value) {
    leaf(JsonNode::Kind::kUint, key).uinteger = value;
    return *this;
  }
  LineBuilder& real(std::string_view key, double value) {
    leaf(JsonNode::Kind::kReal, key).real = value;
    return *this;
  }
  LineBuilder& boolean(std::string_view key, bool value) {
    leaf(JsonNode::Kind::kBool, key).integer = value ? 1 : 0;
    return *this;
  }
  LineBuilder& null(std::string_view key) {
    leaf(JsonNode::Kind::kNull, key);
    return *this;
  }

  LogEvent& event() { return event_; }

 private:
  std::string_view keep(std::string_view text) { return texts_.emplace_back(text); }
  JsonNode& leaf(JsonNode::Kind kind, std::string_view key) {
    JsonNode& node = event_.rest.emplace_back();
    node.kind = kind;
    node.key = keep(key);
    node.end = static_cast<std::uint32_t>(event_.rest.size());
    return node;
  }
  LineBuilder& open(JsonNode::Kind kind, std::string_view key) {
    leaf(kind, key);
    open_.push_back(event_.rest.size() - 1);
    return *this;
  }

  LogEvent event_;
  std::deque<std::string> texts_;
  std::vector<std::size_t> open_;
};

inline Redactor make_redactor(const RedactionConfig& config = {}) {
  Result<Redactor> redactor = Redactor::make(config);
  if (!redactor) ADD_FAILURE() << redactor.error().message;
  return std::move(*redactor);
}

// Only these rules, no packs.
inline std::shared_ptr<const Ruleset> ruleset_of(const std::vector<RuleSpec>& rules) {
  auto ruleset = std::make_shared<Ruleset>();
  auto detectors = Detectors::compile(rules, ruleset->kinds);
  if (!detectors) ADD_FAILURE() << detectors.error().message;
  ruleset->scan = std::make_unique<ScanRules>(std::move(*detectors), KeyRules());
  ruleset->actions = Actions::make({}, ruleset->kinds).value();
  return ruleset;
}

inline RedactionConfig allowing(std::vector<std::string> paths) {
  RedactionConfig config;
  config.allow = std::move(paths);
  return config;
}

}  // namespace runtail
