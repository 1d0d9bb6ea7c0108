// What every reader of YAML in this folder shares. yaml-cpp itself is included by config/*.cc only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace YAML {
class Node;
}

namespace runtail {

struct YamlFault {
  std::string place;    // "runtail.yaml:3:7"
  std::string message;  // "not valid YAML: ..."
};

// Puts the one document in `text` into `root`; leaves it null if there is none. Never throws.
std::optional<YamlFault> parse_yaml(std::string_view text, std::string_view file_name, YAML::Node& root);

// Where a node begins, counted from 1: "runtail.yaml:12:3".
std::string place_of(const YAML::Node& node, std::string_view file_name);

}  // namespace runtail
