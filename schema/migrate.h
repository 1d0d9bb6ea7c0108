// Brings a schema from version to version: each applied once, checksummed in schema_migrations.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/digest.h"
#include "core/result.h"
#include "schema/migrations.h"
#include "schema/pg.h"

namespace runtail {

struct MigrationRequest {
  // Use this one; refused if the database has another. Else one is made, unless there is one.
  std::optional<HashKey> identity_key;
  // Go into a schema in which others have tables already.
  bool adopt = false;
  // Groups (optional_groups()) not to make, and to make although they were left out before. What a schema has and has
  // not is kept by later migrations.
  std::vector<std::string> without, with;
  // Prefix of the roles to make and grant to (schema/roles.h). Roles granted to before get theirs for new tables
  // anyway.
  std::string roles;
  // How long a statement waits for the locks of others; writers queue behind it meanwhile.
  std::chrono::milliseconds lock_timeout{5000};
};

struct MigrationReport {
  int from = 0;                       // newest version before
  int to = 0;                         // newest version after
  std::vector<std::string> steps;     // what was done, in order: "001_delivery up", "004_log_events down"
  std::vector<std::string> left_out;  // groups that the schema has not
  std::vector<std::string> roles;     // prefixes of the roles that were granted to
  bool identity_key_made = false;
};

// Errors: kUnavailable (database or lock out of reach, try later), kInvalidInput (rights, another identity key, names
// that are taken), kCorrupt (the database holds what this binary does not know: a changed or newer migration). After an
// error, and after the death of process or server, the database is as before: all of it is one transaction.
// Under one lock: two at once do it once.

// To the latest version.
Result<MigrationReport> migrate_up(PgConnection& connection, const std::string& schema,
                                   const MigrationRequest& request = {},
                                   const std::vector<Migration>& migrations = embedded_migrations());
// Down to `version`, which stays applied; 0 takes everything away, the data too, but nothing that others have put into
// the schema.
Result<MigrationReport> migrate_down(PgConnection& connection, const std::string& schema, int version,
                                     const MigrationRequest& request = {},
                                     const std::vector<Migration>& migrations = embedded_migrations());
// What migrate_up() would do, or why it would refuse; changes nothing. Rights are not looked at.
Result<MigrationReport> plan_migration(PgConnection& connection, const std::string& schema,
                                       const MigrationRequest& request = {},
                                       const std::vector<Migration>& migrations = embedded_migrations());
// The whole schema as a script for psql, with schema_migrations rows and identity key, without the groups not wanted,
// with the roles if asked for. Partitions are not in it: they depend on the day.
Result<std::string> print_migrations(const std::string& schema, const MigrationRequest& request = {});

// BEGIN, and the lock of `schema` that migrations and partition work hold until COMMIT; DDL then waits `lock_timeout`
// at most for its locks. kUnavailable when another holds it for a minute. After an error no transaction is open.
Result<void> begin_exclusive(PgConnection& connection, const std::string& schema,
                             std::chrono::milliseconds lock_timeout = MigrationRequest{}.lock_timeout);

}  // namespace runtail
