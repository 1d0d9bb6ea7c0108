// Reads the parts of a dialect file that are not of the native contract.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/dialect_rule.h"

namespace YAML {
class Node;
}

namespace runtail {

class ToolFormatReader {
 public:
  // Gets the node at fault, its key path, and what is wrong.
  using Complain = std::function<void(const YAML::Node&, const std::string& key, const std::string& message)>;
  explicit ToolFormatReader(Complain complain) : complain_(std::move(complain)) {}

  // Keys of a dialect file that read() takes.
  static const std::vector<std::string>& parts();
  void read(const std::string& part, const YAML::Node& value, ToolFormat& into) const;
  std::vector<DialectExample> read_examples(const YAML::Node& list) const;

 private:
  std::vector<MemberTest> read_tests(const YAML::Node& map, const std::string& at) const;
  MemberTest read_test(const std::string& path, const YAML::Node& value, const std::string& at) const;
  std::vector<FieldSources> read_fields(const YAML::Node& map, const std::string& at) const;
  std::vector<ValueSource> read_sources(const YAML::Node& node, const std::string& at) const;
  ValueSource read_source(const YAML::Node& node, const std::string& at) const;
  std::vector<EventRule> read_rules(const YAML::Node& list, const std::string& at) const;
  EventRule read_rule(const YAML::Node& map, const std::string& at) const;
  void read_text(const YAML::Node& node, const std::string& at, EventRule& rule) const;
  TextPiece read_value_piece(std::string_view name, const YAML::Node& node, const std::string& at) const;
  Conversion read_conversion(const std::string& word, const YAML::Node& node, const std::string& at) const;
  std::optional<Field> read_field_name(const std::string& name, const YAML::Node& node, const std::string& at) const;
  std::vector<std::string> texts(const YAML::Node& node, const std::string& at) const;
  std::string text(const YAML::Node& node, const std::string& at) const;

  const Complain complain_;
};

}  // namespace runtail
