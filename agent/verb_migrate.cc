#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config_file.h"
#include "agent/verbs.h"
#include "core/exit_code.h"
#include "core/time.h"
#include "schema/identity_key.h"
#include "schema/migrate.h"
#include "schema/partitions.h"
#include "schema/pg.h"

namespace runtail {
namespace {

struct MigrateOptions {
  std::string config_path, url, schema, identity_key_file;
  bool print = false, dry_run = false, maintain = false;
  std::optional<int> down_to;
};

// A migration may rewrite a large table; what a frozen server costs is only this wait.
constexpr std::chrono::minutes kAnswerTimeout{30};

int complain(const Error& error) {
  std::fprintf(stderr, "runtail migrate: %s\n", error.message.c_str());
  switch (error.code) {
    case ErrorCode::kInUse:
    case ErrorCode::kUnavailable:
      return kExitUnreachable;
    case ErrorCode::kCorrupt:
      return kExitFindings;
    case ErrorCode::kNotFound:
    case ErrorCode::kInvalidInput:
      break;
  }
  return kExitConfig;
}

Result<PgConnection> connect(const PostgresConfig& config) {
  if (config.url.empty()) {
    return Error{ErrorCode::kInvalidInput, "no database: give --url, or set postgres.url (RUNTAIL_POSTGRES_URL)"};
  }
  PgOptions options;
  options.connect_timeout = config.connect_timeout;
  options.answer_timeout = kAnswerTimeout;
  options.password_file = config.password_file;
  auto connection = PgConnection::connect(config.url, options);
  if (!connection) return to_error(connection.error(), "connect to PostgreSQL");
  auto standby = connection->is_in_recovery();
  if (!standby) return to_error(standby.error(), "ask PostgreSQL");
  if (*standby) return Error{ErrorCode::kUnavailable, "this PostgreSQL is a read-only standby; connect to the primary"};
  return std::move(*connection);
}

void print_report(const std::string& schema, const MigrationReport& report, bool dry_run) {
  if (report.steps.empty()) {
    std::printf("schema %s: at version %d, nothing to do\n", schema.c_str(), report.from);
  } else {
    std::printf("schema %s: version %d -> %d%s\n", schema.c_str(), report.from, report.to,
                dry_run ? ", not done (dry run)" : "");
  }
  for (const std::string& step : report.steps) std::printf("  %s\n", step.c_str());
  if (report.identity_key_made) std::printf("identity key: made\n");
}

int maintain(PgConnection& connection, const std::string& schema) {
  auto made = maintain_partitions(connection, schema, SystemClock().now());
  if (!made) return complain(made.error());
  if (made->empty()) {
    std::printf("partitions: all there\n");
  } else {
    std::printf("partitions: %zu made, the last one %s\n", made->size(), made->back().c_str());
  }
  return kExitOk;
}

int up(PgConnection& connection, const std::string& schema, const MigrateOptions& options) {
  std::optional<HashKey> key;
  if (!options.identity_key_file.empty()) {
    auto read = read_identity_key_file(options.identity_key_file);
    if (!read) return complain(read.error());
    key = *read;
  }
  auto report = options.dry_run ? plan_migration(connection, schema) : migrate_up(connection, schema, key);
  if (!report) return complain(report.error());
  print_report(schema, *report, options.dry_run);
  return options.dry_run ? kExitOk : maintain(connection, schema);
}

int down(PgConnection& connection, const std::string& schema, int version) {
  auto report = migrate_down(connection, schema, version);
  if (!report) return complain(report.error());
  print_report(schema, *report, false);
  return kExitOk;
}

int migrate(const MigrateOptions& options) {
  auto config = config_or_complain(options.config_path);
  if (!config) return kExitConfig;
  if (!options.url.empty()) config->postgres.url = options.url;
  if (!options.schema.empty()) config->postgres.schema = options.schema;
  const std::string& schema = config->postgres.schema;
  if (options.print) {
    std::fputs(print_migrations(schema).c_str(), stdout);
    return kExitOk;
  }
  auto connection = connect(config->postgres);
  if (!connection) return complain(connection.error());
  if (options.maintain) return maintain(*connection, schema);
  if (options.down_to) return down(*connection, schema, *options.down_to);
  return up(*connection, schema, options);
}

}  // namespace

void add_migrate_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb =
      app.add_subcommand("migrate", "Make or update the PostgreSQL schema, its partitions, its identity key");
  const auto options = std::make_shared<MigrateOptions>();
  add_config_option(*verb, options->config_path);
  verb->add_option("--url", options->url, "Connection string or URI, instead of postgres.url")->type_name("CONNINFO");
  verb->add_option("--schema", options->schema, "Schema name, instead of postgres.schema")->type_name("NAME");
  CLI::Option* print = verb->add_flag("--print", options->print, "Print the SQL and touch no database");
  CLI::Option* dry_run = verb->add_flag("--dry-run", options->dry_run, "Say what would be done, and do nothing");
  CLI::Option* down_to =
      verb->add_option("--down-to", options->down_to,
                       "Undo the versions above N; the data of their tables is deleted. 0 undoes all")
          ->type_name("N");
  CLI::Option* maintain = verb->add_flag("--maintain", options->maintain, "Only make the partitions due today");
  CLI::Option* key_file = verb->add_option("--identity-key-file", options->identity_key_file,
                                           "File of 64 hex digits: the key of hashes, instead of a random one")
                              ->type_name("FILE");
  print->excludes(dry_run)->excludes(down_to)->excludes(maintain)->excludes(key_file);
  dry_run->excludes(down_to)->excludes(maintain);
  down_to->excludes(maintain)->excludes(key_file);
  maintain->excludes(key_file);
  verb->footer(
      "Run it before the agents of a new version start, and once a day for the partitions (--maintain). Repeating it\n"
      "is harmless, and so are two at once. Exit codes: 3 configuration or rights, 4 database out of reach or busy,\n"
      "5 the database holds migrations this runtail does not know.\n"
      "\n"
      "Examples:\n"
      "  runtail migrate --url postgresql://runtail_owner@db.internal/etl\n"
      "  runtail migrate --print > schema.sql");
  verb->callback([options, &exit_code] { exit_code = migrate(*options); });
}

}  // namespace runtail
