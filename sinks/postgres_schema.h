// Whether the schema in the database is the one this runtail writes, in words for whoever has to mend it.
#pragma once

#include <string>

#include "schema/pg.h"

namespace runtail {

// An error that a schema of another version would explain: a table, column or type is not there or not as expected.
bool is_about_schema(const PgError& error);

// What is wrong with `schema` and what to run: it is missing, of an older or of a newer version, or of this version but
// changed by somebody. Asks the database; no transaction may be open on `connection`.
std::string schema_fault(PgConnection& connection, const std::string& schema);

}  // namespace runtail
