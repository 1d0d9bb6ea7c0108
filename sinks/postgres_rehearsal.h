// What files would write, written into temporary tables of the same shape, and held against the tables themselves: so
// a verification says exactly what the writer would have said, and changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "schema/pg.h"

namespace runtail {

// The schema the rehearsal's statements name.
inline constexpr const char* kRehearsalSchema = "pg_temp";

// Empty tables like those of `schema`, but for `absent` ones, gone with the connection. Needs TEMP on the database, and
// a session of its own: no pooler in transaction mode.
PgOutcome<void> make_rehearsal_tables(PgConnection& connection, const std::string& schema,
                                      const std::vector<std::string>& absent);

// Rows of one table that differ in one way.
struct RowDifference {
  std::string table;  // "job_runs"
  std::string what;   // "missing", "changed" or "extra"
  std::uint64_t rows = 0;
  std::vector<std::string> examples;  // keys; of changed rows with the columns: "9f... (status, finished_at)"
};

// Runs with attempts and tasks, observations and reported check results, log lines, spans, chats and documents. Who
// wrote a row and by which rules does not count. With `all_lines` every line has to be there, else warnings and errors.
// Extra: lines of the same streams within the time of the files; what hangs on their runs; runs of their jobs within
// their time that no other stream names.
PgOutcome<std::vector<RowDifference>> compare_rehearsal(PgConnection& connection, const std::string& schema,
                                                        const std::vector<std::string>& absent, bool all_lines);

}  // namespace runtail
