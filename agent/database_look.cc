#include "agent/database_look.h"

#include "schema/applied.h"
#include "schema/pg.h"

namespace runtail {
namespace {

// Those that carry a run_id without a foreign key: it would halve the writer (docs/schema.md).
constexpr const char* kByValue[] = {"log_events", "spans"};
constexpr const char* kGrant = "; GRANT it a role that runtail migrate --roles made";
constexpr int kOrphanDays = 2;  // of the newest rows; a whole table would take minutes

std::string cell(const PgResult& result, int column) { return std::string(result.text(0, column)); }

}  // namespace

Result<DatabaseLook> look_at_database(const PostgresConfig& config, bool counts_orphans) {
  PgOptions options;
  options.connect_timeout = config.connect_timeout;
  options.answer_timeout = config.statement_timeout;
  options.password_file = config.password_file;
  auto connected = PgConnection::connect(config.url, options);
  if (!connected) return Error{ErrorCode::kUnavailable, "connect to PostgreSQL: " + connected.error().message};
  PgConnection connection = std::move(*connected);

  DatabaseLook look;
  const auto server = connection.exec(
      "SELECT current_setting('server_version'), current_database(), current_user, pg_is_in_recovery(), "
      "current_setting('max_connections'), (SELECT count(*) FROM pg_stat_activity), "
      "coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false), "
      "round(extract(epoch FROM clock_timestamp()))::bigint - round(extract(epoch FROM now()))::bigint");
  if (!server) return to_error(server.error(), "ask PostgreSQL");
  look.facts.push_back("PostgreSQL " + cell(*server, 0) + ", database " + cell(*server, 1) + ", user " +
                       cell(*server, 2) + (server->boolean(0, 6) ? ", encrypted" : ", not encrypted"));
  look.facts.push_back("connections: " + cell(*server, 5) + " of " + cell(*server, 4) +
                       "; an agent holds at most 2, and none while it is idle");
  if (server->boolean(0, 3)) look.faults.push_back("this PostgreSQL is a read-only standby; connect to the primary");

  const auto migrations = embedded_migrations();
  const auto applied = read_applied(connection, config.schema, migrations);
  if (!applied) {
    const std::string& message = applied.error().message;
    const bool is_refused = message.find("42501") != std::string::npos;  // a stranger to the schema
    look.faults.push_back(message + (is_refused ? kGrant : ""));
    return look;
  }
  look.facts.push_back("schema " + config.schema + ": version " + std::to_string(applied->newest) +
                       ", this runtail has " + std::to_string(migrations.back().version));
  if (applied->newest == 0) {
    look.faults.push_back("schema " + config.schema + " is not there; run, as its owner: runtail migrate");
    return look;
  }
  if (applied->newest < migrations.back().version) {
    look.faults.push_back("schema " + config.schema + " is at version " + std::to_string(applied->newest) +
                          "; run, as its owner: runtail migrate");
  }
  const std::string schema = quote_identifier(config.schema);
  const std::optional<std::string> params[] = {schema};
  const auto rights = connection.query(
      "SELECT string_agg(t, ', ') FROM unnest(ARRAY['log_events', 'job_runs', 'run_ids', 'source_files']) AS t "
      "WHERE NOT has_table_privilege($1 || '.' || t, 'INSERT')",
      params);
  if (!rights) {
    look.faults.push_back("no right to look into schema " + config.schema + ": " + rights.error().message + kGrant);
    return look;
  }
  if (!rights->is_null(0, 0)) {
    look.faults.push_back("user " + cell(*server, 2) + " may not insert into " + cell(*rights, 0) +
                          "; GRANT the role PREFIX_writer that runtail migrate --roles PREFIX made");
  }
  const auto ahead = connection.exec(
      "SELECT max(substring(c.relname from '([0-9_]+)$')) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
      "WHERE i.inhparent = to_regclass(" +
      quote_literal(schema + ".log_events") + ")");
  if (ahead && !ahead->is_null(0, 0)) look.facts.push_back("log lines have partitions up to " + cell(*ahead, 0));
  if (!counts_orphans) return look;
  for (const char* table : kByValue) {
    const std::string name = schema + "." + table;
    // Runs of the last hour may still be on their way: facts and lines go in transactions of their own.
    const auto orphans = connection.exec(
        "SELECT count(*) FROM " + name + " t WHERE t.run_id IS NOT NULL AND t.ts > now() - interval '" +
        std::to_string(kOrphanDays) + " days' AND t.ts < now() - interval '1 hour' AND NOT EXISTS (SELECT FROM " +
        schema + ".run_ids r WHERE r.run_id = t.run_id)");
    if (!orphans) {
      look.facts.push_back(std::string(table) +
                           ": rows without their run were not counted: " + orphans.error().message);
    } else if (orphans->integer(0, 0) > 0) {
      look.faults.push_back(std::string(table) + ": " + cell(*orphans, 0) + " rows of the last " +
                            std::to_string(kOrphanDays) + " days name a run that is not there");
    } else {
      look.facts.push_back(std::string(table) + ": each row of the last " + std::to_string(kOrphanDays) +
                           " days that names a run has it");
    }
  }
  return look;
}

}  // namespace runtail
