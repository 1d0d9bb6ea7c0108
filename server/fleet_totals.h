// Counters of all agents that write into one database. Writers put what they count into fleet_counts with their rows,
// in the same transaction; here it is added up. An agent that lives for a minute may never be scraped: these are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "schema/pg.h"

namespace runtail {

struct FleetTotal {
  std::string counter;           // "jobs", "failures", "corrections"
  std::string label_1, label_2;  // job_id and status; job_id and error category; verdict before and after
  std::int64_t amount = 0;
  bool operator==(const FleetTotal&) const = default;
};

// Moves what was counted since into the totals; by one of several servers at a time, the others have nothing to do. The
// user needs the rights of the retention role.
Result<void> add_up_fleet_counts(PgConnection& connection, const std::string& schema);
// All there are, whether added up or not, by counter and labels. The user needs the rights of the reader role.
Result<std::vector<FleetTotal>> read_fleet_totals(PgConnection& connection, const std::string& schema);

}  // namespace runtail
