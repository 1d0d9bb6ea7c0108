// The schema's versions: numbered SQL, embedded in the binary, each applied once, checksummed in schema_migrations.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/result.h"
#include "schema/pg.h"

namespace runtail {

struct Migration {
  int version = 0;      // 1, 2, 3, ... without gaps
  std::string name;     // "runs"
  std::string_view up;  // SQL with {{schema}} where the quoted schema name goes
  std::string_view down;
  Bytes32 checksum{};  // SHA-256 of `up` as it stands
};
// schema/sql/NNN_name.{up,down}.sql, by version.
std::vector<Migration> embedded_migrations();
// `sql` for a schema.
std::string sql_for_schema(std::string_view sql, const std::string& schema);

struct MigrationReport {
  int from = 0;                    // version before
  int to = 0;                      // version after
  std::vector<std::string> steps;  // what was done, in order: "001_delivery up", "004_log_events down"
  bool identity_key_made = false;
};

// Errors: kUnavailable (database or lock out of reach, try later), kInvalidInput (rights, another identity key),
// kCorrupt (the database holds what this binary does not know: a changed or newer migration). After an error the
// database is as before.
// All of it is one transaction under one lock: two at once do it once.

// To the latest version. `identity_key`: use this one; refused if the database has another. Else one is made, unless
// there is one.
Result<MigrationReport> migrate_up(PgConnection& connection, const std::string& schema,
                                   const std::optional<HashKey>& identity_key = {},
                                   const std::vector<Migration>& migrations = embedded_migrations());
// Down to `version`, which stays applied; 0 takes everything away, the data too.
Result<MigrationReport> migrate_down(PgConnection& connection, const std::string& schema, int version,
                                     const std::vector<Migration>& migrations = embedded_migrations());
// What migrate_up() would do; changes nothing.
Result<MigrationReport> plan_migration(PgConnection& connection, const std::string& schema,
                                       const std::vector<Migration>& migrations = embedded_migrations());
// The whole schema as a script for psql, schema_migrations rows and identity key included. Partitions are not: they
// depend on the day.
std::string print_migrations(const std::string& schema);

// BEGIN, and the lock of `schema` that migrations and partition work hold until COMMIT; DDL then waits 5 s at most for
// its locks. kUnavailable when another holds it for a minute. After an error no transaction is open.
Result<void> begin_exclusive(PgConnection& connection, const std::string& schema);

}  // namespace runtail
