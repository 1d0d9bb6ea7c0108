// Reads the parts of a dialect file that are not of the native contract.
#pragma once

#include <functional>
#include <set>
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
  void read(const std::string& part, const YAML::Node& value, ToolFormat& into);
  std::vector<DialectExample> read_examples(const YAML::Node& list);
  // Different members read so far, those of elements counted for each rule: never fewer than a compiled dialect has.
  std::size_t members() const { return members_.size(); }

 private:
  std::vector<std::vector<MemberTest>> read_detect(const YAML::Node& list, const std::string& at);
  std::vector<MemberTest> read_tests(const YAML::Node& map, const std::string& at);
  MemberTest read_test(const std::string& path, const YAML::Node& value, const std::string& at);
  std::vector<FieldSources> read_fields(const YAML::Node& map, const std::string& at);
  std::vector<ValueSource> read_sources(const YAML::Node& node, const std::string& at);
  ValueSource read_source(const YAML::Node& node, const std::string& at);
  std::vector<EventRule> read_rules(const YAML::Node& list, const std::string& at);
  EventRule read_rule(const YAML::Node& map, const std::string& at);
  // A path of one value; one through arrays (`each`, `sum`) is checked by check_way().
  void check_path(const std::string& path, const YAML::Node& node, const std::string& at);
  void check_way(const std::string& path, const YAML::Node& node, const std::string& at);
  void read_text(const YAML::Node& node, const std::string& at, EventRule& rule) const;
  TextPiece read_value_piece(std::string_view name, const YAML::Node& node, const std::string& at) const;
  Conversion read_conversion(const std::string& word, const YAML::Node& node, const std::string& at) const;
  std::optional<Field> read_field_name(const std::string& name, const YAML::Node& node, const std::string& at) const;
  std::vector<std::string> texts(const YAML::Node& node, const std::string& at) const;
  std::string text(const YAML::Node& node, const std::string& at) const;

  const Complain complain_;
  std::set<std::pair<std::size_t, std::string>> members_;  // of which rule with `each`, 0 for the line; path
  std::size_t rules_with_each_ = 0;
  // Of the rule being read: its number among those, and how many arrays its `each` goes through; 0: it has none.
  std::size_t each_ = 0, arrays_ = 0;
};

}  // namespace runtail
