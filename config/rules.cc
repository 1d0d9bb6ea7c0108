#include "config/rules.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <stdexcept>

namespace runtail {
namespace {

// One file being read; its name stands in every message. Throws Fault; load_rules() turns that into an Error.
class RuleReader {
 public:
  struct Fault : std::runtime_error {
    using std::runtime_error::runtime_error;
  };

  explicit RuleReader(std::string_view file_name) : file_name_(file_name) {}

  RuleFile read(const YAML::Node& root) const {
    RuleFile file;
    if (!root.IsMap()) fail(root, "expected a map with pack, rules, keys or key_exceptions");
    for (const auto& member : root) {
      const std::string name = member.first.Scalar();
      if (name == "rules") {
        for (const YAML::Node& node : sequence(member.second)) file.rules.push_back(rule(node));
      } else if (name == "keys") {
        for (const YAML::Node& node : sequence(member.second)) file.keys.push_back(key_rule(node));
      } else if (name == "pack") {
        file.pack = text(member.second);
      } else if (name == "key_exceptions") {
        file.key_exceptions = texts(member.second);
      } else {
        fail(member.first, "unknown member \"" + name + "\"");
      }
    }
    return file;
  }

 private:
  std::string place(const YAML::Node& node) const {
    return file_name_ + ":" + std::to_string(node.Mark().line + 1) + ":" + std::to_string(node.Mark().column + 1);
  }
  [[noreturn]] void fail(const YAML::Node& node, const std::string& message) const {
    throw Fault(place(node) + ": " + message);
  }

  const YAML::Node& sequence(const YAML::Node& node) const {
    if (!node.IsSequence()) fail(node, "expected a list");
    return node;
  }
  std::string text(const YAML::Node& node) const {
    if (!node.IsScalar()) fail(node, "expected a text");
    return node.Scalar();
  }
  std::vector<std::string> texts(const YAML::Node& node) const {
    std::vector<std::string> out;
    for (const YAML::Node& item : sequence(node)) out.push_back(text(item));
    return out;
  }
  std::uint32_t number(const YAML::Node& node) const {
    std::uint32_t out = 0;
    if (!node.IsScalar() || !YAML::convert<std::uint32_t>::decode(node, out)) fail(node, "expected a whole number");
    return out;
  }
  bool flag(const YAML::Node& node) const {
    bool out = false;
    if (!node.IsScalar() || !YAML::convert<bool>::decode(node, out)) fail(node, "expected true or false");
    return out;
  }
  template <typename T>
  T word(const YAML::Node& node, std::initializer_list<std::pair<const char*, T>> words) const {
    std::string known;
    for (const auto& [name, value] : words) {
      if (text(node) == name) return value;
      known += known.empty() ? name : std::string(", ") + name;
    }
    fail(node, "\"" + text(node) + "\" is none of " + known);
  }

  std::string kind(const YAML::Node& node) const {
    const std::string out = text(node);
    const bool good = !out.empty() && std::all_of(out.begin(), out.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!good) fail(node, "a kind is lower-case letters, digits and '_', not \"" + out + "\"");
    return out;
  }

  RulePriority priority(const YAML::Node& node) const {
    return word<RulePriority>(node, {{"secret", RulePriority::kSecret}, {"pii", RulePriority::kPii}});
  }

  RuleSpec rule(const YAML::Node& node) const {
    if (!node.IsMap()) fail(node, "a rule is a map");
    RuleSpec rule;
    rule.place = place(node);
    for (const auto& member : node) {
      const std::string name = member.first.Scalar();
      const YAML::Node& value = member.second;
      if (name == "id") {
        rule.id = text(value);
      } else if (name == "kind") {
        rule.kind = kind(value);
      } else if (name == "priority") {
        rule.priority = priority(value);
      } else if (name == "literals") {
        rule.literals = texts(value);
      } else if (name == "words") {
        rule.words = flag(value);
      } else if (name == "begins") {
        rule.begins = flag(value);
      } else if (name == "contains") {
        rule.contains = text(value);
      } else if (name == "reach") {
        rule.reach = number(value);
      } else if (name == "feature") {
        rule.feature = word<RuleFeature>(value, {{"at", RuleFeature::kAt},
                                                 {"letters_digits", RuleFeature::kLettersDigits},
                                                 {"colons", RuleFeature::kColons},
                                                 {"dotted", RuleFeature::kDotted},
                                                 {"plus", RuleFeature::kPlus}});
      } else if (name == "digit_run") {
        rule.digit_run = number(value);
      } else if (name == "pattern") {
        rule.pattern = text(value);
      } else if (name == "scope") {
        rule.scope = text(value);
      } else if (name == "boundary") {
        rule.boundary = word<RuleBoundary>(
            value, {{"none", RuleBoundary::kNone}, {"digit", RuleBoundary::kDigit}, {"alnum", RuleBoundary::kAlnum}});
      } else if (name == "validator") {
        rule.validator = text(value);
      } else if (name == "keywords") {
        rule.keywords = texts(value);
      } else if (name == "window") {
        rule.window = number(value);
      } else if (name == "unless") {
        rule.unless = texts(value);
      } else if (name == "examples") {
        read_examples(value, rule);
      } else {
        fail(member.first, "unknown member \"" + name + "\"");
      }
    }
    if (rule.id.empty()) fail(node, "a rule needs an id");
    if (rule.kind.empty()) fail(node, "rule " + rule.id + ": a rule needs a kind");
    if (rule.pattern.empty()) fail(node, "rule " + rule.id + ": a rule needs a pattern");
    const bool anywhere = rule.literals.empty() && rule.keywords.empty() && rule.digit_run == 0;
    if (anywhere && rule.feature == RuleFeature::kNone) {
      fail(node, "rule " + rule.id + ": a rule needs a gate: literals, digit_run, feature or keywords");
    }
    if (rule.begins && rule.literals.empty()) fail(node, "rule " + rule.id + ": begins needs literals");
    if (!rule.contains.empty() && (rule.contains.size() != 1 || !rule.begins)) {
      fail(node, "rule " + rule.id + ": contains is one byte, of a rule with begins");
    }
    if (rule.positive.empty() || rule.near_miss.empty()) {
      fail(node, "rule " + rule.id + ": a rule needs examples, both positive and near_miss");
    }
    return rule;
  }

  void read_examples(const YAML::Node& node, RuleSpec& rule) const {
    if (!node.IsMap()) fail(node, "examples are a map of positive and near_miss");
    for (const auto& member : node) {
      if (member.first.Scalar() == "near_miss") {
        rule.near_miss = texts(member.second);
      } else if (member.first.Scalar() == "positive") {
        for (const YAML::Node& pair : sequence(member.second)) {
          if (!pair.IsSequence() || pair.size() != 2) fail(pair, "a positive example is [input, output]");
          rule.positive.emplace_back(text(pair[0]), text(pair[1]));
        }
      } else {
        fail(member.first, "unknown member \"" + member.first.Scalar() + "\"");
      }
    }
  }

  KeyRuleSpec key_rule(const YAML::Node& node) const {
    if (!node.IsMap()) fail(node, "a key rule is a map");
    KeyRuleSpec rule;
    rule.place = place(node);
    for (const auto& member : node) {
      const std::string name = member.first.Scalar();
      if (name == "id") {
        rule.id = text(member.second);
      } else if (name == "kind") {
        rule.kind = kind(member.second);
      } else if (name == "priority") {
        rule.priority = priority(member.second);
      } else if (name == "names") {
        rule.names = texts(member.second);
      } else if (name == "exact") {
        rule.exact = texts(member.second);
      } else if (name == "needs") {
        rule.needs = text(member.second);
      } else if (name == "validator") {
        rule.validator = text(member.second);
      } else if (name == "phrase") {
        rule.phrase = flag(member.second);
      } else if (name == "text") {
        rule.text = flag(member.second);
      } else if (name == "containers") {
        rule.containers = flag(member.second);
      } else if (name == "scalars") {
        rule.scalars = flag(member.second);
      } else if (name == "digits_min") {
        rule.digits_min = number(member.second);
      } else if (name == "examples") {
        for (const auto& example : member.second) {
          const std::string which = example.first.Scalar();
          if (which != "positive" && which != "near_miss") fail(example.first, "unknown member \"" + which + "\"");
          (which == "positive" ? rule.positive : rule.near_miss) = texts(example.second);
        }
      } else {
        fail(member.first, "unknown member \"" + name + "\"");
      }
    }
    if (rule.kind.empty() || (rule.names.empty() && rule.exact.empty())) {
      fail(node, "a key rule needs a kind and names");
    }
    if (rule.positive.empty() || rule.near_miss.empty()) {
      fail(node, "key rule " + rule.kind + ": needs examples, both positive and near_miss");
    }
    if (rule.id.empty()) rule.id = rule.kind;
    return rule;
  }

  std::string file_name_;
};

}  // namespace

Result<RuleFile> load_rules(std::string_view yaml, std::string_view file_name) {
  try {
    return RuleReader(file_name).read(YAML::Load(std::string(yaml)));
  } catch (const RuleReader::Fault& fault) {
    return Error{ErrorCode::kInvalidInput, fault.what()};
  } catch (const YAML::Exception& error) {
    return Error{ErrorCode::kInvalidInput, std::string(file_name) + ":" + std::to_string(error.mark.line + 1) + ":" +
                                               std::to_string(error.mark.column + 1) + ": " + error.msg};
  }
}

}  // namespace runtail
