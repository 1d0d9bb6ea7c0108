#include "schema/migrate.h"

#include <algorithm>
#include <charconv>

#include "core/embedded.h"
#include "schema/identity_key.h"

namespace runtail {
namespace {

constexpr std::string_view kPlaceholder = "{{schema}}";
// For multiranges (14) and unique keys in which nulls are equal (15).
constexpr int kServerVersionMin = 150000;

struct AppliedMigration {
  int version;
  std::string name;
  std::string checksum_hex;
};

std::string label(const Migration& migration) {
  const std::string digits = std::to_string(migration.version);
  return std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits + "_" + migration.name;
}

Result<std::vector<AppliedMigration>> read_applied(PgConnection& connection, const std::string& schema) {
  const std::string table = quote_identifier(schema) + ".schema_migrations";
  const std::optional<std::string> params[] = {table};
  auto present = connection.query("SELECT to_regclass($1) IS NOT NULL", params);
  if (!present) return to_error(present.error(), "look for " + schema + ".schema_migrations");
  std::vector<AppliedMigration> applied;
  if (!present->boolean(0, 0)) return applied;
  auto rows = connection.exec("SELECT version, name, encode(checksum, 'hex') FROM " + table + " ORDER BY version");
  if (!rows) return to_error(rows.error(), "read " + schema + ".schema_migrations");
  for (int row = 0; row < rows->rows(); ++row) {
    applied.push_back(
        {static_cast<int>(rows->integer(row, 0)), std::string(rows->text(row, 1)), std::string(rows->text(row, 2))});
  }
  return applied;
}

// The version the database is at, provided that all it has is what `migrations` has.
Result<int> known_version(PgConnection& connection, const std::string& schema,
                          const std::vector<Migration>& migrations) {
  auto applied = read_applied(connection, schema);
  if (!applied) return applied.error();
  for (std::size_t i = 0; i < applied->size(); ++i) {
    const AppliedMigration& row = (*applied)[i];
    const std::string which = "schema " + schema + ": migration " + std::to_string(row.version) + "_" + row.name;
    if (i >= migrations.size()) {
      return Error{ErrorCode::kCorrupt, which +
                                            " is newer than this runtail knows; use the runtail that applied it, or "
                                            "a later one"};
    }
    if (row.version != migrations[i].version) {
      return Error{ErrorCode::kCorrupt, which +
                                            " does not follow the one before it: a row of schema_migrations is "
                                            "missing; restore it"};
    }
    if (row.checksum_hex != to_hex(migrations[i].checksum)) {
      return Error{ErrorCode::kCorrupt, which + " was applied from another text than this runtail's " +
                                            label(migrations[i]) + ".up.sql (checksum " +
                                            row.checksum_hex.substr(0, 12) + ", ours " +
                                            to_hex(migrations[i].checksum).substr(0, 12) +
                                            "); an applied migration must not change: use the runtail that applied it"};
    }
  }
  return static_cast<int>(applied->size());
}

// One row, on its way in or for a script.
std::string record_statement(const std::string& schema, const Migration& migration) {
  return "INSERT INTO " + quote_identifier(schema) +
         ".schema_migrations (version, name, checksum, applied_at, applied_by) VALUES (" +
         std::to_string(migration.version) + ", " + quote_literal(migration.name) + ", decode('" +
         to_hex(migration.checksum) + "', 'hex'), now(), current_user);\n";
}

// Gives whether the key was made now.
Result<bool> settle_identity_key(PgConnection& connection, const std::string& schema,
                                 const std::optional<HashKey>& given) {
  auto key = given ? Result<HashKey>(*given) : new_identity_key();
  if (!key) return key.error();
  const std::optional<std::string> params[] = {to_hex(key->bytes)};
  auto inserted = connection.query("INSERT INTO " + quote_identifier(schema) +
                                       ".identity_key (key, created_at) VALUES (decode($1, 'hex'), now()) "
                                       "ON CONFLICT (only_row) DO NOTHING",
                                   params);
  if (!inserted) return to_error(inserted.error(), "write " + schema + ".identity_key");
  if (inserted->affected() == 1) return true;
  if (!given) return false;
  auto present = read_identity_key(connection, schema);
  if (!present) return present.error();
  if (present->bytes == given->bytes) return false;
  return Error{ErrorCode::kInvalidInput,
               "schema " + schema +
                   " already has another identity key than the file given; every file known to the "
                   "database is named by that key, so it cannot change: leave the option out, or use a new schema"};
}

Result<void> apply(PgConnection& connection, const std::string& schema, std::string_view sql, const std::string& step) {
  if (auto done = connection.exec(sql_for_schema(sql, schema)); !done) {
    return to_error(done.error(), "schema " + schema + ": migration " + step);
  }
  return {};
}

Result<MigrationReport> up_in_transaction(PgConnection& connection, const std::string& schema,
                                          const std::optional<HashKey>& identity_key,
                                          const std::vector<Migration>& migrations) {
  auto server = connection.exec("SHOW server_version_num");
  if (!server) return to_error(server.error(), "ask PostgreSQL for its version");
  if (server->integer(0, 0) < kServerVersionMin) {
    return Error{ErrorCode::kInvalidInput,
                 "PostgreSQL 15 or later is needed, this one is " + std::to_string(server->integer(0, 0) / 10000)};
  }
  auto version = known_version(connection, schema, migrations);
  if (!version) return version.error();
  MigrationReport report{*version, static_cast<int>(migrations.size()), {}, false};
  for (std::size_t i = static_cast<std::size_t>(*version); i < migrations.size(); ++i) {
    const std::string step = label(migrations[i]) + " up";
    const std::string sql = std::string(migrations[i].up) + record_statement(schema, migrations[i]);
    if (auto done = apply(connection, schema, sql, step); !done) return done.error();
    report.steps.push_back(step);
  }
  auto made = settle_identity_key(connection, schema, identity_key);
  if (!made) return made.error();
  report.identity_key_made = *made;
  return report;
}

Result<MigrationReport> down_in_transaction(PgConnection& connection, const std::string& schema, int version,
                                            const std::vector<Migration>& migrations) {
  auto now_at = known_version(connection, schema, migrations);
  if (!now_at) return now_at.error();
  if (version < 0 || version > *now_at) {
    return Error{ErrorCode::kInvalidInput, "schema " + schema + " is at version " + std::to_string(*now_at) +
                                               ": it cannot go down to " + std::to_string(version)};
  }
  MigrationReport report{*now_at, version, {}, false};
  for (int current = *now_at; current > version; --current) {
    const Migration& migration = migrations[static_cast<std::size_t>(current - 1)];
    const std::string step = label(migration) + " down";
    std::string sql(migration.down);
    // The first one takes the table of versions with it.
    if (current > 1) {
      sql += "DELETE FROM {{schema}}.schema_migrations WHERE version = " + std::to_string(current) + ";\n";
    }
    if (auto done = apply(connection, schema, sql, step); !done) return done.error();
    report.steps.push_back(step);
  }
  return report;
}

// Commits what succeeded, undoes what did not.
Result<MigrationReport> end_transaction(PgConnection& connection, const std::string& schema,
                                        Result<MigrationReport> report) {
  auto ended = connection.exec(report ? "COMMIT" : "ROLLBACK");
  if (report && !ended) return to_error(ended.error(), "commit migration of schema " + schema);
  return report;
}

}  // namespace

std::vector<Migration> embedded_migrations() {
  constexpr std::string_view kUp = ".up.sql", kDown = ".down.sql";
  std::vector<Migration> migrations;
  for (const embedded::File& file : embedded::runtail_migrations()) {  // by name: down before up
    int version = 0;
    std::from_chars(file.name.data(), file.name.data() + 3, version);
    if (migrations.empty() || migrations.back().version != version) migrations.push_back({version, "", {}, {}, {}});
    Migration& migration = migrations.back();
    if (file.name.ends_with(kDown)) migration.down = file.text;
    if (!file.name.ends_with(kUp)) continue;
    migration.name = file.name.substr(4, file.name.size() - 4 - kUp.size());
    migration.up = file.text;
    migration.checksum = sha256(file.text);
  }
  return migrations;
}

std::string sql_for_schema(std::string_view sql, const std::string& schema) {
  const std::string name = quote_identifier(schema);
  std::string text;
  for (std::size_t at; (at = sql.find(kPlaceholder)) != std::string_view::npos;) {
    text.append(sql.substr(0, at)).append(name);
    sql.remove_prefix(at + kPlaceholder.size());
  }
  return text.append(sql);
}

Result<void> begin_exclusive(PgConnection& connection, const std::string& schema) {
  // lock_timeout holds for advisory locks too. The lock's name is the schema's, so two schemas do not wait for each
  // other.
  auto locked = connection.exec(
      "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '60s'; SET LOCAL client_min_messages = "
      "'warning'; "
      "SELECT pg_advisory_xact_lock(hashtextextended(" +
      quote_literal("runtail " + schema) +
      ", 0)); "
      "SET LOCAL lock_timeout = '5s'");
  if (locked) return {};
  if (connection.is_alive()) static_cast<void>(connection.exec("ROLLBACK"));
  return to_error(locked.error(), locked.error().sqlstate == "55P03"
                                      ? "another runtail migrate works on schema " + schema + " for over a minute"
                                      : "lock schema " + schema);
}

Result<MigrationReport> migrate_up(PgConnection& connection, const std::string& schema,
                                   const std::optional<HashKey>& identity_key,
                                   const std::vector<Migration>& migrations) {
  if (auto locked = begin_exclusive(connection, schema); !locked) return locked.error();
  return end_transaction(connection, schema, up_in_transaction(connection, schema, identity_key, migrations));
}

Result<MigrationReport> migrate_down(PgConnection& connection, const std::string& schema, int version,
                                     const std::vector<Migration>& migrations) {
  if (auto locked = begin_exclusive(connection, schema); !locked) return locked.error();
  return end_transaction(connection, schema, down_in_transaction(connection, schema, version, migrations));
}

Result<MigrationReport> plan_migration(PgConnection& connection, const std::string& schema,
                                       const std::vector<Migration>& migrations) {
  auto version = known_version(connection, schema, migrations);
  if (!version) return version.error();
  MigrationReport report{*version, static_cast<int>(migrations.size()), {}, false};
  for (std::size_t i = static_cast<std::size_t>(*version); i < migrations.size(); ++i) {
    report.steps.push_back(label(migrations[i]) + " up");
  }
  return report;
}

std::string print_migrations(const std::string& schema) {
  std::string script = "-- Then, and once a day: runtail migrate --maintain (it makes the partitions).\nBEGIN;\n\n";
  for (const Migration& migration : embedded_migrations()) {
    script += "-- " + label(migration) + "\n" + sql_for_schema(migration.up, schema) +
              record_statement(schema, migration) + "\n";
  }
  // Two random UUIDs hold 244 bits of the server's strong randomness.
  script += "INSERT INTO " + quote_identifier(schema) +
            ".identity_key (key, created_at) VALUES\n"
            "  (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')), now());\n\nCOMMIT;\n";
  return script;
}

}  // namespace runtail
