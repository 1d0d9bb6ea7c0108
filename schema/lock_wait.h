// Waiting for locks beside writers, and who stands in the way when one was not to be had.
#pragma once

#include <chrono>
#include <string>

#include "schema/pg.h"

namespace runtail {

// Writers queue behind a waiting lock, so it waits less than they notice, and less than the second after which
// PostgreSQL looks for deadlocks: in one with a writer, it is this side that gives way. Then they go first, and it is
// tried again.
inline constexpr std::chrono::milliseconds kShortWait{400};
inline constexpr std::chrono::milliseconds kPauseBetweenWaits{100};

// A lock was not to be had, or only in a circle.
inline bool was_locked(const PgError& error) { return error.sqlstate == "55P03" || error.sqlstate == "40P01"; }

// "held by pid 4711 (psql, 12 min), pid 5 (pg_dump)": the sessions of this database that hold locks on `table`, on one
// of the tables it refers to or that refer to it; where none does, those with an old snapshot, which DETACH waits for,
// too. At most three, the oldest transaction first; how long only for sessions that the user may look at. "held by
// nobody any more" if they have ended since, or if the question fails.
std::string lock_holders(PgConnection& connection, const std::string& schema, const std::string& table);

}  // namespace runtail
