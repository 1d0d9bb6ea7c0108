#include "schema/migrate.h"

#include <algorithm>

#include "schema/applied.h"
#include "schema/hypertables.h"
#include "schema/identity_key.h"
#include "schema/roles.h"

namespace runtail {
namespace {

// For multiranges (14) and unique keys in which nulls are equal (15).
constexpr int kServerVersionMin = 150000;

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::string join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

// One row, on its way in or for a script.
std::string record_statement(const std::string& schema, const Migration& migration) {
  return "INSERT INTO " + quote_identifier(schema) +
         ".schema_migrations (version, name, checksum, applied_at, applied_by) VALUES (" +
         std::to_string(migration.version) + ", " + quote_literal(migration.name) + ", decode('" +
         to_hex(migration.checksum) + "', 'hex'), now(), current_user);\n";
}

Result<void> check_groups(const MigrationRequest& request) {
  const auto known = optional_groups();
  std::string names;
  for (const std::string_view group : known) (names += names.empty() ? "" : ", ") += group;
  for (const auto* list : {&request.without, &request.with}) {
    for (const std::string& group : *list) {
      if (std::find(known.begin(), known.end(), group) != known.end()) continue;
      return Error{ErrorCode::kInvalidInput, "there is no group " + group + "; what can be left out: " + names};
    }
  }
  for (const std::string& group : request.with) {
    if (!contains(request.without, group)) continue;
    return Error{ErrorCode::kInvalidInput, "group " + group + " is both asked for and left out"};
  }
  return {};
}

struct Plan {
  int from = 0;
  std::vector<const Migration*> pending;
  std::vector<std::string> left_out;
};

Result<Plan> pending_of(const std::string& schema, const Applied& applied, const MigrationRequest& request,
                        const std::vector<Migration>& migrations) {
  Plan plan;
  plan.from = applied.newest;
  for (const Migration& migration : migrations) {
    const bool present = applied.has[static_cast<std::size_t>(migration.version) - 1];
    if (present && contains(request.without, migration.group)) {
      return Error{ErrorCode::kInvalidInput, "schema " + schema + " has the tables of group " + migration.group +
                                                 " already, and --without removes nothing; runtail migrate --down-to " +
                                                 std::to_string(migration.version - 1) +
                                                 " would, with all later versions and their data"};
    }
    if (present) continue;
    const bool unwanted = applied.left_out_group(migration.group) ? !contains(request.with, migration.group)
                                                                  : contains(request.without, migration.group);
    if (!unwanted) {
      plan.pending.push_back(&migration);
    } else if (!contains(plan.left_out, migration.group)) {
      plan.left_out.push_back(migration.group);
    }
  }
  return plan;
}

// Others' tables in the schema: may they be there, and is a name taken that is to be made?
Result<void> check_neighbours(PgConnection& connection, const std::string& schema, const Plan& plan, bool adopt) {
  if (plan.pending.empty()) return {};
  const std::optional<std::string> params[] = {schema};
  auto rows = connection.query(
      "SELECT n.nspname, c.relname, c.relkind IN ('r', 'p', 'v', 'm', 'f') FROM pg_catalog.pg_class c "
      "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ($1, 'monitoring') "
      "ORDER BY n.nspname, c.relname",
      params);
  if (!rows) return to_error(rows.error(), "look into schema " + schema);
  std::vector<MadeRelation> to_make;
  for (const Migration* migration : plan.pending) {
    for (MadeRelation& made : relations_made_by(*migration, schema)) to_make.push_back(std::move(made));
  }
  std::vector<std::string> taken, foreign;
  for (int row = 0; row < rows->rows(); ++row) {
    const std::string_view in = rows->text(row, 0), name = rows->text(row, 1);
    if (in == schema && rows->boolean(row, 2)) foreign.emplace_back(name);
    if (std::any_of(to_make.begin(), to_make.end(),
                    [&](const MadeRelation& made) { return made.schema == in && made.name == name; })) {
      taken.push_back(std::string(in) + "." + std::string(name));
    }
  }
  if (!taken.empty()) {
    return Error{ErrorCode::kInvalidInput,
                 "these names are taken by others: " + join(taken) +
                     "; rename or drop what has them, or give runtail another schema (--schema, postgres.schema)"};
  }
  constexpr std::size_t kNamed = 5;
  if (plan.from > 0 || adopt || foreign.empty()) return {};
  const std::string more = foreign.size() > kNamed ? ", and " + std::to_string(foreign.size() - kNamed) + " more" : "";
  foreign.resize(std::min(foreign.size(), kNamed));
  return Error{ErrorCode::kInvalidInput,
               "schema " + schema + " holds tables of others (" + join(foreign) + more +
                   "), none of which is in the way; to make runtail's beside them: runtail migrate --adopt; else give "
                   "it another schema (--schema, postgres.schema)"};
}

Result<Plan> make_plan(PgConnection& connection, const std::string& schema, const MigrationRequest& request,
                       const std::vector<Migration>& migrations) {
  if (auto known = check_groups(request); !known) return known.error();
  auto applied = read_applied(connection, schema, migrations);
  if (!applied) return applied.error();
  auto plan = pending_of(schema, *applied, request, migrations);
  if (!plan) return plan;
  if (auto free = check_neighbours(connection, schema, *plan, request.adopt); !free) return free.error();
  return plan;
}

MigrationReport report_of(const Plan& plan) {
  MigrationReport report;
  report.from = plan.from;
  report.to = plan.from;
  report.left_out = plan.left_out;
  for (const Migration* migration : plan.pending) {
    report.steps.push_back(label(*migration) + " up");
    report.to = std::max(report.to, migration->version);
  }
  return report;
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
  auto done = connection.exec(sql_for_schema(sql, schema));
  if (done) return {};
  Error error = to_error(done.error(), "schema " + schema + ": migration " + step);
  if (done.error().sqlstate == "55P03") {
    error.message += "; nothing was changed: try again, or let it wait longer with --lock-timeout";
  } else if (done.error().sqlstate == "2BP01") {
    error.message += "; a view or foreign key of others depends on it: drop that first";
  }
  return error;
}

Result<MigrationReport> up_in_transaction(PgConnection& connection, const std::string& schema,
                                          const MigrationRequest& request, const std::vector<Migration>& migrations) {
  auto server = connection.exec("SHOW server_version_num");
  if (!server) return to_error(server.error(), "ask PostgreSQL for its version");
  if (server->integer(0, 0) < kServerVersionMin) {
    return Error{ErrorCode::kInvalidInput,
                 "PostgreSQL 15 or later is needed, this one is " + std::to_string(server->integer(0, 0) / 10000)};
  }
  auto plan = make_plan(connection, schema, request, migrations);
  if (!plan) return plan.error();
  MigrationReport report = report_of(*plan);
  auto timescale = timescale_schema(connection);
  if (!timescale) return to_error(timescale.error(), "look for TimescaleDB");
  for (const Migration* migration : plan->pending) {
    const std::string up = *timescale ? with_hypertables(migration->up, **timescale) : std::string(migration->up);
    const std::string sql = up + record_statement(schema, *migration);
    if (auto done = apply(connection, schema, sql, label(*migration) + " up"); !done) return done.error();
  }
  auto made = settle_identity_key(connection, schema, request.identity_key);
  if (!made) return made.error();
  report.identity_key_made = *made;
  auto roles = granted_roles(connection, schema);
  if (!roles) return roles.error();
  if (plan->pending.empty()) roles->clear();  // they have what they need
  if (!request.roles.empty() && !contains(*roles, request.roles)) roles->push_back(request.roles);
  for (const std::string& prefix : *roles) {
    if (auto granted = grant_roles(connection, schema, prefix); !granted) return granted.error();
  }
  report.roles = std::move(*roles);
  return report;
}

Result<MigrationReport> down_in_transaction(PgConnection& connection, const std::string& schema, int version,
                                            const std::vector<Migration>& migrations) {
  auto applied = read_applied(connection, schema, migrations);
  if (!applied) return applied.error();
  if (version < 0 || version > applied->newest) {
    return Error{ErrorCode::kInvalidInput, "schema " + schema + " is at version " + std::to_string(applied->newest) +
                                               ": it cannot go down to " + std::to_string(version)};
  }
  MigrationReport report;
  report.from = applied->newest;
  for (int current = applied->newest; current > 0; --current) {
    if (!applied->has[static_cast<std::size_t>(current - 1)]) continue;
    if (current <= version) {
      report.to = current;
      break;
    }
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

Result<void> begin_exclusive(PgConnection& connection, const std::string& schema,
                             std::chrono::milliseconds lock_timeout) {
  // lock_timeout holds for advisory locks too. The lock's name is the schema's, so two schemas do not wait for each
  // other.
  auto locked = connection.exec(
      "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '60s'; SET LOCAL client_min_messages = "
      "'warning'; "
      "SELECT pg_advisory_xact_lock(hashtextextended(" +
      quote_literal("runtail " + schema) +
      ", 0)); "
      "SET LOCAL lock_timeout = " +
      std::to_string(lock_timeout.count()));
  if (locked) return {};
  if (connection.is_alive()) static_cast<void>(connection.exec("ROLLBACK"));
  return to_error(locked.error(), locked.error().sqlstate == "55P03"
                                      ? "another runtail migrate works on schema " + schema + " for over a minute"
                                      : "lock schema " + schema);
}

Result<MigrationReport> migrate_up(PgConnection& connection, const std::string& schema, const MigrationRequest& request,
                                   const std::vector<Migration>& migrations) {
  if (auto locked = begin_exclusive(connection, schema, request.lock_timeout); !locked) return locked.error();
  return end_transaction(connection, schema, up_in_transaction(connection, schema, request, migrations));
}

Result<MigrationReport> migrate_down(PgConnection& connection, const std::string& schema, int version,
                                     const MigrationRequest& request, const std::vector<Migration>& migrations) {
  if (auto locked = begin_exclusive(connection, schema, request.lock_timeout); !locked) return locked.error();
  return end_transaction(connection, schema, down_in_transaction(connection, schema, version, migrations));
}

Result<MigrationReport> plan_migration(PgConnection& connection, const std::string& schema,
                                       const MigrationRequest& request, const std::vector<Migration>& migrations) {
  auto plan = make_plan(connection, schema, request, migrations);
  if (!plan) return plan.error();
  return report_of(*plan);
}

Result<std::string> print_migrations(const std::string& schema, const MigrationRequest& request) {
  if (auto known = check_groups(request); !known) return known.error();
  std::string script =
      "-- Then, and once a day: runtail migrate --maintain (partitions, retention, summaries).\nBEGIN;\n\n";
  for (const Migration& migration : embedded_migrations()) {
    if (contains(request.without, migration.group)) continue;
    script += "-- " + label(migration) + "\n" + sql_for_schema(migration.up, schema) +
              record_statement(schema, migration) + "\n";
  }
  // Two random UUIDs hold 244 bits of the server's strong randomness.
  script += "INSERT INTO " + quote_identifier(schema) +
            ".identity_key (key, created_at) VALUES\n"
            "  (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')), now());\n\n";
  if (!request.roles.empty()) {
    auto roles = roles_script(schema, request.roles);
    if (!roles) return roles.error();
    script += *roles + "\n";
  }
  return script + "COMMIT;\n";
}

}  // namespace runtail
