// What was measured of a run: numbers by name, of its highest attempt that states any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace runtail {

// Of several facts about one attempt the members are united, and of two values of a name the greater stays; beyond
// kMembersMax the names that come first in byte order do. So the order of facts does not matter.
struct RunMetrics {
  static constexpr std::size_t kMembersMax = 32;

  std::int32_t attempt = 0;  // 0: nothing was measured
  std::map<std::string, double> values;
  bool operator==(const RunMetrics&) const = default;

  // `object`: JSON. Its members that are numbers and whose names are 1 to 64 of letters, digits and "_.:/-" count; the
  // name "attempt" is taken.
  void apply(std::int32_t of_attempt, std::string_view object);
  // {"attempt":2,"cpu_seconds":1.5,...}; "" if nothing was measured.
  std::string json() const;
};

}  // namespace runtail
