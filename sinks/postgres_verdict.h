// What follows from an SQLSTATE, and what to tell the operator.
#pragma once

#include <string>
#include <string_view>

#include "schema/pg.h"

namespace runtail {

enum class PgVerdict {
  kBadRow,            // one row is wrong: bisect, set it aside, its neighbours go on
  kDuplicateRow,      // an insert-only row is there already: the position was lost, the rows were not
  kParentGone,        // job or run was removed under us: once more from the parents
  kPartitionMissing,  // no partition for a time: reload the bounds
  kRetry,             // passes by itself: the same batch later
  kOperator,          // somebody must act; nothing is set aside
};
PgVerdict judge(const PgError& error);

// One that a schema of another version would explain: a table, column or type is not there or not as expected.
bool is_about_schema(const PgError& error);

// Reason of a dead letter for a row that is wrong: bad_value, constraint or too_large.
std::string_view dead_letter_reason(const PgError& error);

// "permission denied ... (SQLSTATE 42501); grant ...". Names the remedy where there is one to
// name; of an error about the schema the database has to be asked: schema_fault() (schema/applied.h).
std::string explain(const PgError& error, const std::string& schema);

// No partition of `table` holds the time of a row, in the words the server would use.
PgError partition_missing(std::string_view table);

}  // namespace runtail
