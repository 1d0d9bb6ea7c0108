// Which versions a database has.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "schema/migrations.h"
#include "schema/pg.h"

namespace runtail {

struct Applied {
  std::vector<bool> has;              // by version - 1; as long as the list of migrations asked about
  int newest = 0;                     // 0: none
  std::vector<std::string> left_out;  // groups that an earlier migration was told to leave out

  bool left_out_group(const std::string& group) const;
};

// All that the database has must be what `migrations` has, and must follow from them: else kCorrupt, saying which
// version. kInvalidInput: its schema_migrations is another tool's.
Result<Applied> read_applied(PgConnection& connection, const std::string& schema,
                             const std::vector<Migration>& migrations);

// Whether `tables`, which somebody is about to write, are there. Gives those that are not because their group was left
// out. kNotFound names what else is missing, the versions and the command. A schema newer than this binary is no error:
// no release takes away what the one before it writes.
Result<std::vector<std::string>> check_tables(PgConnection& connection, const std::string& schema,
                                              std::span<const std::string_view> tables);

// After an error that a missing table, column or type would explain: what is wrong with `schema` and what to run, for
// whoever has to mend it. `tables` are those somebody writes. Asks the database; no transaction may be open.
std::string schema_fault(PgConnection& connection, const std::string& schema, std::span<const std::string_view> tables);

}  // namespace runtail
