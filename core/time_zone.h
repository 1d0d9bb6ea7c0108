// Civil times of a place, for lines that state no offset.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "core/time.h"

namespace runtail {

// Immutable and cheap to copy.   Threads: any.
class TimeZone {
 public:
  // `name` as the IANA database has it: "Europe/Rome", "UTC". kInvalidInput: not in the machine's database.
  static Result<TimeZone> load(const std::string& name);

  // `local`: the civil time as if it were UTC. An hour that comes twice (clocks go back) is taken as the first one; an
  // hour that does not exist (clocks go forward) moves on by the gap.
  TimePoint to_utc(TimePoint local) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace runtail
