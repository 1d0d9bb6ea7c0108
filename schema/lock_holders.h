// Who stands in the way when a lock was not to be had.
#pragma once

#include <string>

#include "schema/pg.h"

namespace runtail {

// "held by pid 4711 (psql, 12 min), pid 5 (pg_dump)": the sessions of this database that hold locks on `table`, on one
// of the tables it refers to or that refer to it; where none does, those with an old snapshot, which DETACH waits for,
// too. At most three, the oldest transaction first; how long only for sessions that the user may look at. "held by
// nobody any more" if they have ended since, or if the question fails.
std::string lock_holders(PgConnection& connection, const std::string& schema, const std::string& table);

}  // namespace runtail
