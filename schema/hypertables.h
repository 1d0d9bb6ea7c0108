// TimescaleDB, where the database has it: the optional tables of traces, messages, documents and aggregates are then
// made as hypertables, whose chunks take the place of partitions. Needs nothing beyond its Apache edition.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

// Schema of the extension's functions; none where the database has not the extension.
PgOutcome<std::optional<std::string>> timescale_schema(PgConnection& connection);

// `up` (SQL of a migration, {{schema}} not yet replaced) with the tables that are to be hypertables made so, in chunks
// as long as their partitions would be. Others stay as they are.
std::string with_hypertables(std::string_view up, const std::string& timescale);

// Tables of `schema` that are hypertables.
PgOutcome<std::set<std::string, std::less<>>> hypertables(PgConnection& connection, const std::string& schema);

// Drops the chunks all of whose rows are before `bound`; gives how many. A chunk is locked against readers and writers
// while it is dropped, the others are not. Runs as who owns the table.
PgOutcome<std::int64_t> drop_chunks(PgConnection& connection, const std::string& schema, const std::string& table,
                                    TimePoint bound, std::chrono::milliseconds lock_timeout);

}  // namespace runtail
