// Names with their values inside text: {"password": "x"}, password=x, Password: x, <password>x</password>,
// 'X-Api-Key', 'x', --token x, name: DB_PASSWORD value: x. What a key rule names goes, whichever of these it stands in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "redaction/detectors.h"
#include "redaction/key_rules.h"
#include "redaction/span.h"

namespace runtail {

// Of one thread. `rules` is not owned and outlives this.
class PairScanner {
 public:
  explicit PairScanner(const KeyRules& rules) : known_(rules) {}

  // `hits`: where literals of key names stand, each its begin and end. `spans` from `own_from` on is what value rules
  // found in this text. Appends what goes.
  void find(std::string_view text, const std::vector<Window>& hits, std::size_t own_from, WorkBudget& budget,
            std::vector<Span>& spans);

 private:
  struct Key {
    std::size_t begin = 0, end = 0;
    bool quoted = false;
    bool option = false;  // --password
  };
  struct Value {
    std::size_t begin = 0, end = 0;
    bool quoted = false;
  };

  static void cut_at_spans(Key& key, const std::vector<Span>& spans, std::size_t first, WorkBudget& budget);
  // password="" x: the word behind the quotes, if it is one that a secret may be and no key.
  static Value word_after_empty(std::string_view text, std::size_t at);
  // Unless the value is a placeholder, or a count.
  static void add_span(std::string_view text, const KeyRule& rule, const Value& value, std::vector<Span>& spans);
  bool has_needs(std::string_view text, const KeyRule& rule);
  const KeyRule* rule_of(std::string_view text, const Key& key);

  KnownKeys known_;
  std::string path_;        // memory of rule_of()
  std::string_view needs_;  // looked for last
  bool has_needs_ = false;
};

}  // namespace runtail
