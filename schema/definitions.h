// The registry tables filled from the configuration: etl_jobs, dq_check_definitions, alert_channels, alert_rules,
// alert_rule_channels.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "config/config.h"
#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

// False: there is nothing to store. Then a caller leaves the tables alone, since perhaps it only was not given the
// file.
bool has_definitions(const Config& config);

struct DefinitionCounts {
  std::size_t added = 0, changed = 0, same = 0;
  std::size_t switched_off = 0;  // no longer configured; kept, since history refers to it
};

// One transaction. What the configuration defines wins over what lines or an older configuration said; rows of source
// api are left alone, and a name that one of them holds is an error that names it. Needs the owner's rights.
Result<DefinitionCounts> store_definitions(PgConnection& connection, const std::string& schema, const Config& config,
                                           TimePoint now, std::chrono::milliseconds lock_timeout);

}  // namespace runtail
