// Text a log might hold at its worst: secrets whole, cut, glued together, markers, bytes that are no UTF-8.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "redaction/ruleset.h"

namespace runtail {

inline std::vector<RuleSpec> built_in_specs() {
  std::vector<RuleSpec> specs;
  for (const RuleFile& file : built_in_rules().value()) specs.insert(specs.end(), file.rules.begin(), file.rules.end());
  return specs;
}

class RandomText {
 public:
  explicit RandomText(std::uint64_t seed) : random_(seed) {
    const std::vector<RuleSpec> rules = built_in_specs();
    for (const RuleSpec& rule : rules) {
      for (const auto& [input, output] : rule.positive) {
        fragments_.push_back(input);
        fragments_.push_back(output);
      }
      for (const std::string& text : rule.near_miss) fragments_.push_back(text);
      for (const std::string& text : rule.literals) fragments_.push_back(text);
      for (const std::string& text : rule.keywords) fragments_.push_back(text);
    }
    for (const char* text : {" ",           "=",        ":",          "\"",
                             "'",           "\\\"",     "@",          ".",
                             "-",           "\n",       ",",          "4111 1111 1111 1111",
                             "123-45-6789", "12",       "[REDACTED:", "[REDACTED:email]",
                             "]",           "\xC3\xA9", "\xFF",       "\xE2\x82",
                             "://",         "(",        ")",          "Key (",
                             ")=("}) {
      for (int weight = 0; weight < 4; ++weight) fragments_.emplace_back(text);
    }
  }

  std::string next() {
    std::string text;
    const std::size_t pieces = 1 + random_() % 8;
    for (std::size_t i = 0; i < pieces; ++i) {
      std::string piece = fragments_[random_() % fragments_.size()];
      switch (random_() % 6) {
        case 0:
          piece = piece.substr(random_() % piece.size());
          break;
        case 1:
          piece = piece.substr(0, random_() % piece.size());
          break;
        case 2:
          piece[random_() % piece.size()] = static_cast<char>(random_());
          break;
        default:
          break;
      }
      text += piece;
      if (random_() % 3 == 0) text += ' ';
    }
    return text;
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::string> fragments_;
};

}  // namespace runtail
