// What the tables hold, as one digest each: two databases that say the same are told by it.
#pragma once

#include <map>
#include <string>

#include "tests/support/delivered.h"

namespace runtail::test {

// By table of schema observability, of all that hangs on what was read and not on when, by whom, or in which order:
// without columns of bookkeeping, without run_state_changes, which tells what arrived when, and without what an agent
// tells of itself. Empty tables are left out.
std::map<std::string, std::string> table_digests(const Sql& sql);

}  // namespace runtail::test
