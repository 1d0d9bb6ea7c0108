#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config_file.h"
#include "agent/verbs.h"
#include "config/quantity.h"
#include "config/setting.h"
#include "core/exit_code.h"
#include "core/time.h"
#include "schema/definitions.h"
#include "schema/identity_key.h"
#include "schema/migrate.h"
#include "schema/migrations.h"
#include "schema/partitions.h"
#include "schema/pg.h"
#include "schema/retention.h"
#include "schema/roles.h"
#include "schema/summaries.h"
#include "server/fleet_totals.h"

namespace runtail {
namespace {

struct MigrateOptions {
  std::string config_path, url, schema, identity_key_file, print_roles, lock_timeout;
  MigrationRequest request;
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
  const std::string versions = report.from == report.to
                                   ? std::to_string(report.to)
                                   : std::to_string(report.from) + " -> " + std::to_string(report.to);
  if (report.steps.empty()) {
    std::printf("schema %s: at version %d, nothing to do\n", schema.c_str(), report.from);
  } else {
    std::printf("schema %s: version %s%s\n", schema.c_str(), versions.c_str(), dry_run ? ", not done (dry run)" : "");
  }
  for (const std::string& step : report.steps) std::printf("  %s\n", step.c_str());
  for (const std::string& group : report.left_out) {
    std::printf("left out: %s (runtail migrate --with %s adds it)\n", group.c_str(), group.c_str());
  }
  for (const std::string& prefix : report.roles) {
    std::printf("granted to: %s_writer, %s_reader, %s_retention\n", prefix.c_str(), prefix.c_str(), prefix.c_str());
  }
  if (report.identity_key_made) std::printf("identity key: made\n");
}

int make_partitions(PgConnection& connection, const std::string& schema, const MigrateOptions& options,
                    const RetentionConfig& retention) {
  auto made = maintain_partitions(connection, schema, SystemClock().now(), options.request.lock_timeout, retention);
  if (!made) return complain(made.error());
  if (made->empty()) {
    std::printf("partitions: all there\n");
  } else {
    std::printf("partitions: %zu made, the last one %s\n", made->size(), made->back().c_str());
  }
  return kExitOk;
}

int remove_what_is_old(PgConnection& connection, const std::string& schema, const MigrateOptions& options,
                       const RetentionConfig& retention) {
  auto report = apply_retention(connection, schema, SystemClock().now(), options.request.lock_timeout, retention);
  if (!report) return complain(report.error());
  std::string removed, rows;
  if (!report->dropped.empty()) {
    removed =
        "partitions dropped: " + std::to_string(report->dropped.size()) + ", the last one " + report->dropped.back();
  }
  for (const auto& [table, count] : report->deleted)
    rows += (rows.empty() ? "" : ", ") + table + " " + std::to_string(count);
  if (!rows.empty()) removed += (removed.empty() ? "rows deleted: " : "; rows deleted: ") + rows;
  std::printf("retention: %s\n", removed.empty() ? "nothing to remove" : removed.c_str());
  for (const std::string& stray : report->strays) {
    std::printf("left alone: %s has the name of an old partition, but runtail did not detach it; drop or rename it\n",
                stray.c_str());
  }
  for (const std::string& undone : report->undone) {
    std::printf("left undone: %s; the next run goes on with it\n", undone.c_str());
  }
  return report->undone.empty() ? kExitOk : kExitIncomplete;
}

int compute_summaries(PgConnection& connection, const std::string& schema, const MigrateOptions& options) {
  auto days = refresh_summaries(connection, schema, SystemClock().now(), options.request.lock_timeout);
  if (!days) return complain(days.error());
  if (*days == 0) {
    std::printf("summaries: up to date\n");
  } else {
    std::printf("summaries: %lld days of jobs computed\n", static_cast<long long>(*days));
  }
  return kExitOk;
}

// One that fails does not keep the others from their work.
int maintain(PgConnection& connection, const std::string& schema, const MigrateOptions& options,
             const RetentionConfig& retention) {
  int exit_code = make_partitions(connection, schema, options, retention);
  const auto then = [&](int code) {
    if (exit_code == kExitOk) exit_code = code;
  };
  if (connection.is_alive()) then(remove_what_is_old(connection, schema, options, retention));
  if (connection.is_alive()) then(compute_summaries(connection, schema, options));
  if (connection.is_alive()) {
    if (const auto added = add_up_fleet_counts(connection, schema); !added) then(complain(added.error()));
  }
  return exit_code;
}

int define(PgConnection& connection, const std::string& schema, const MigrateOptions& options, const Config& config) {
  if (!has_definitions(config)) return kExitOk;
  auto counts = store_definitions(connection, schema, config, SystemClock().now(), options.request.lock_timeout);
  if (!counts) return complain(counts.error());
  std::printf("definitions: %zu added, %zu changed, %zu as before, %zu switched off\n", counts->added, counts->changed,
              counts->same, counts->switched_off);
  return kExitOk;
}

int up(PgConnection& connection, const std::string& schema, const MigrateOptions& options, const Config& config) {
  MigrationRequest request = options.request;
  if (!options.identity_key_file.empty()) {
    auto read = read_identity_key_file(options.identity_key_file);
    if (!read) return complain(read.error());
    request.identity_key = *read;
  }
  auto report = options.dry_run ? plan_migration(connection, schema, request) : migrate_up(connection, schema, request);
  if (!report) return complain(report.error());
  print_report(schema, *report, options.dry_run);
  if (options.dry_run) return kExitOk;
  const int made = make_partitions(connection, schema, options, config.retention);
  return made == kExitOk ? define(connection, schema, options, config) : made;
}

int down(PgConnection& connection, const std::string& schema, const MigrateOptions& options) {
  auto report = migrate_down(connection, schema, *options.down_to, options.request);
  if (!report) return complain(report.error());
  print_report(schema, *report, false);
  return kExitOk;
}

int print_script(const Result<std::string>& script) {
  if (!script) return complain(script.error());
  std::fputs(script->c_str(), stdout);
  return kExitOk;
}

int migrate(const MigrateOptions& options) {
  auto config = config_or_complain(options.config_path);
  if (!config) return kExitConfig;
  if (!options.url.empty()) config->postgres.url = options.url;
  if (!options.schema.empty()) config->postgres.schema = options.schema;
  const std::string& schema = config->postgres.schema;
  if (!options.print_roles.empty()) return print_script(roles_script(schema, options.print_roles));
  if (options.print) return print_script(print_migrations(schema, options.request));
  auto connection = connect(config->postgres);
  if (!connection) return complain(connection.error());
  if (options.maintain) return maintain(*connection, schema, options, config->retention);
  if (options.down_to) return down(*connection, schema, options);
  return up(*connection, schema, options, *config);
}

// A duration as everywhere else: "500ms", "10s", "2m". Zero would be for ever.
std::string read_lock_timeout(const std::string& text, MigrationRequest& request) {
  const auto read = parse_duration(text);
  if (!read || *read <= std::chrono::milliseconds::zero()) return "is a duration above zero, such as 5s";
  request.lock_timeout = *read;
  return {};
}

// No agent could be configured to use another.
std::string wrong_schema_name(const std::string& name) {
  for (const Setting<Config>& setting : settings()) {
    if (setting.path == "postgres.schema") return setting.check(name);
  }
  return {};
}

}  // namespace

void add_migrate_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand(
      "migrate", "Make or update the PostgreSQL schema, its partitions, its roles, its identity key");
  const auto options = std::make_shared<MigrateOptions>();
  MigrationRequest& request = options->request;
  add_config_option(*verb, options->config_path);
  verb->add_option("--url", options->url, "Connection string or URI, instead of postgres.url")->type_name("CONNINFO");
  verb->add_option("--schema", options->schema, "Schema name, instead of postgres.schema")
      ->type_name("NAME")
      ->check(wrong_schema_name);
  CLI::Option* print = verb->add_flag("--print", options->print, "Print the SQL and touch no database");
  CLI::Option* dry_run = verb->add_flag("--dry-run", options->dry_run, "Say what would be done, and do nothing");
  CLI::Option* down_to =
      verb->add_option("--down-to", options->down_to,
                       "Undo the versions above N; the data of their tables is deleted. 0 undoes all")
          ->type_name("N");
  CLI::Option* maintain = verb->add_flag("--maintain", options->maintain,
                                         "Daily upkeep instead: make the partitions due, remove what is older than the "
                                         "settings retention.* keep it, compute the daily summaries");
  CLI::Option* adopt =
      verb->add_flag("--adopt", request.adopt, "Make the tables in a schema that holds tables of others already");
  const auto known = optional_groups();
  const CLI::IsMember is_group(std::vector<std::string>(known.begin(), known.end()));
  CLI::Option* without =
      verb->add_option("--without", request.without,
                       "Leave out these tables, now and later: traces, chat, documents, aggregates, providers")
          ->delimiter(',')
          ->type_name("GROUPS")
          ->check(is_group);
  CLI::Option* with = verb->add_option("--with", request.with, "Add what was left out")
                          ->delimiter(',')
                          ->type_name("GROUPS")
                          ->check(is_group);
  CLI::Option* roles = verb->add_option("--roles", request.roles,
                                        "Make the roles PREFIX_writer, _reader and _retention and grant them their "
                                        "rights; later migrations grant what new tables need by themselves")
                           ->type_name("PREFIX");
  CLI::Option* print_roles =
      verb->add_option("--print-roles", options->print_roles, "Print the SQL of --roles and touch no database")
          ->type_name("PREFIX");
  CLI::Option* key_file = verb->add_option("--identity-key-file", options->identity_key_file,
                                           "File of 64 hex digits: the key of hashes, instead of a random one")
                              ->type_name("FILE");
  verb->add_option("--lock-timeout", options->lock_timeout,
                   "How long a statement waits for locks of others, who queue behind it (5s)")
      ->type_name("TIME")
      ->each([&request](const std::string& text) {
        if (const std::string wrong = read_lock_timeout(text, request); !wrong.empty()) {
          throw CLI::ValidationError("--lock-timeout", wrong);
        }
      });
  print->excludes(dry_run)->excludes(down_to)->excludes(maintain)->excludes(key_file)->excludes(adopt);
  dry_run->excludes(down_to)->excludes(maintain)->excludes(roles);
  for (CLI::Option* other : {adopt, without, with, roles, key_file}) {
    down_to->excludes(other);
    maintain->excludes(other);
  }
  down_to->excludes(maintain);
  for (CLI::Option* other : {print, dry_run, down_to, maintain, adopt, without, with, roles, key_file}) {
    print_roles->excludes(other);
  }
  verb->footer(
      "Run it before the agents of a new version start. Repeating it is harmless, and so are two at once; after a\n"
      "failure the database is as before.\n"
      "It also writes the jobs, quality checks, alert channels and rules of the configuration into their tables.\n"
      "Run --maintain once a day, or every hour for fresher summaries, connected to PostgreSQL itself and not to a\n"
      "pooler in transaction mode. Writers go on meanwhile. It says who holds what it waits for, and goes on next "
      "time.\n"
      "Exit codes: 1 --maintain left something undone, 3 configuration, rights or names that are taken, 4 database "
      "out\n"
      "of reach or busy, 5 the database holds migrations this runtail does not know.\n"
      "\n"
      "Examples:\n"
      "  runtail migrate --url postgresql://runtail_owner@db.internal/etl --roles runtail\n"
      "  runtail migrate --maintain --url postgresql://runtail_upkeep@db.internal/etl\n"
      "  runtail migrate --print-roles runtail | psql -d etl\n"
      "  runtail migrate --print > schema.sql");
  verb->callback([options, &exit_code] { exit_code = migrate(*options); });
}

}  // namespace runtail
