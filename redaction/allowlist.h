// Which members outside the log contract may be stored: dotted paths. Whatever no path names is dropped.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace runtail {

// A path lets through the member it names and all below it. Elements of an array have the path of the array. A dot in
// a member's own name counts as a step: "batch.size" names {"batch": {"size": 1}} and {"batch.size": 1}.
class Allowlist {
 public:
  // One step of a path; what is below it.
  struct Step {
    bool whole = false;  // a path ends here
    std::map<std::string, Step, std::less<>> next;
  };

  // kInvalidInput: 'redaction.allow[2]: "a..b" has an empty step'.
  static Result<Allowlist> make(const std::vector<std::string>& paths);
  // Lets everything through.
  static Allowlist all();

  const Step& root() const { return root_; }
  // Where member `key` below `from` leads; nullptr: not listed.
  static const Step* step(const Step& from, std::string_view key);

 private:
  Step root_;
};

}  // namespace runtail
