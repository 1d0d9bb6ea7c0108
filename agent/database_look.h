// A look at the database a configuration names, for `check --connect` and `doctor`: read-only, within seconds.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "core/result.h"

namespace runtail {

struct DatabaseLook {
  std::vector<std::string> facts;   // one line each
  std::vector<std::string> faults;  // what keeps an agent from writing, or rows from belonging together
};

// kUnavailable: it does not answer; the message is PostgreSQL's. `counts_orphans`: look also for rows whose run is
// missing, in the tables that refer to it by value alone; each question ends after postgres.statement_timeout.
Result<DatabaseLook> look_at_database(const PostgresConfig& config, bool counts_orphans);

}  // namespace runtail
