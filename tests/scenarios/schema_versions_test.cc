// Agents and schemas one release apart, and a `migrate` that dies in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "core/time.h"
#include "schema/migrate.h"
#include "schema/partitions.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kSchema[] = "observability";

PgConnection connect(const std::string& database) {
  auto connection = PgConnection::connect(PostgresCluster::shared().conninfo(database));
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

// What it says goes nowhere; said() is for those whose words count.
Command migrate_command(const std::string& database, std::vector<std::string> more = {}) {
  Command command;
  command.argv = {RUNTAIL_BINARY, "migrate", "--url", PostgresCluster::shared().conninfo(database)};
  command.argv.insert(command.argv.end(), more.begin(), more.end());
  command.output = command.errors = "/dev/null";
  return command;
}

Finished said(Command command) {
  command.output.clear();
  command.errors.clear();
  return run_to_end(command);
}

std::string line(const std::string& message) {
  return R"({"ts":")" + to_rfc3339(SystemClock().now()) + R"(","level":"INFO","msg":")" + message + R"("})";
}

bool waits_for_a_lock(const Sql& sql) {
  return sql.number(
             "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runtail' AND wait_event_type = "
             "'Lock' AND datname = current_database()") > 0;
}

TEST(SchemaVersions, AnAgentWorksOnASchemaThatHasJustWhatItWrites) {
  Scene scene("small_schema");
  PgConnection owner = connect("small_schema");
  ASSERT_TRUE(migrate_down(owner, kSchema, 5));
  const Finished migrated =
      said(migrate_command("small_schema", {"--without", "traces,chat,documents,aggregates,providers"}));
  ASSERT_EQ(migrated.exit_code, 0) << migrated.errors;
  LogFile(scene.log).append_line(line("one"));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_until([&] { return scene.sql.log_events() == 1; })) << scene.agent.log();
}

TEST(SchemaVersions, AnAgentSaysWhichTableIsMissingAndGoesOnAfterTheMigration) {
  Scene scene("too_old_schema");
  PgConnection owner = connect("too_old_schema");
  ASSERT_TRUE(migrate_down(owner, kSchema, 3));
  LogFile(scene.log).append_line(line("one"));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  std::string status;
  EXPECT_TRUE(wait_until([&] {
    status = scene.agent.ask({"status"}).output;
    return status.find("schema") != std::string::npos;
  })) << scene.agent.log();
  EXPECT_THAT(status, AllOf(HasSubstr("schema observability is at version 3, this runtail needs 17"),
                            HasSubstr("source_facts (version 12)"), HasSubstr("log_events (version 4)"),
                            HasSubstr("runtail migrate")));
  const Finished migrated = said(migrate_command("too_old_schema"));
  ASSERT_EQ(migrated.exit_code, 0) << migrated.errors;
  EXPECT_TRUE(wait_until([&] { return scene.sql.log_events() == 1; })) << scene.agent.log();
}

TEST(SchemaVersions, AnAgentWorksOnANewerSchemaWhichItsMigrateLeavesAlone) {
  Scene scene("newer_schema");
  scene.sql.rows("INSERT INTO observability.schema_migrations VALUES (18, 'later', sha256(''), now(), 'x')");
  scene.sql.rows("ALTER TABLE observability.log_events ADD COLUMN later text");
  LogFile(scene.log).append_line(line("one"));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  EXPECT_TRUE(wait_until([&] { return scene.sql.log_events() == 1; })) << scene.agent.log();
  const Finished migrated = said(migrate_command("newer_schema"));
  EXPECT_EQ(migrated.exit_code, 5);
  EXPECT_THAT(migrated.errors, HasSubstr("18_later is newer than this runtail knows"));
  // Upkeep needs no version.
  EXPECT_EQ(said(migrate_command("newer_schema", {"--maintain"})).exit_code, 0);
}

TEST(SchemaVersions, ASchemaWhoseNameNeedsQuotesIsMigratedAndWrittenInto) {
  const Sql sql(PostgresCluster::shared().create_database("odd_schema"));
  const Finished migrated = said(migrate_command("odd_schema", {"--schema", "order", "--roles", "odd"}));
  ASSERT_EQ(migrated.exit_code, 0) << migrated.errors;
  const TempDir directory;
  AgentSetup setup = tailing(directory, PostgresCluster::shared().conninfo("odd_schema"));
  setup.environment = {{"RUNTAIL_POSTGRES_SCHEMA", "order"}};  // a word of SQL
  AgentProcess agent(setup);
  LogFile(directory / "etl.log").append_line(line("one"));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_TRUE(wait_until([&] { return sql.number("SELECT count(*) FROM \"order\".log_events") == 1; })) << agent.log();
  EXPECT_EQ(said(migrate_command("odd_schema", {"--schema", "order", "--down-to", "0"})).exit_code, 0);
}

TEST(SchemaVersions, MigrateKilledInTheMiddleLeavesTheVersionBeforeOrAfter) {
  const Sql sql(PostgresCluster::shared().create_migrated_database("migrate_killed"));
  PgConnection owner = connect("migrate_killed"), writer = connect("migrate_killed");
  ASSERT_TRUE(
      owner.exec("INSERT INTO observability.etl_jobs (id, job_id, source, created_at, updated_at) VALUES "
                 "(gen_random_uuid(), 'orders', 'line', now(), now())"));
  ASSERT_TRUE(migrate_down(owner, kSchema, 5));
  // Five versions are made when the sixth has to wait for this writer.
  ASSERT_TRUE(writer.exec("BEGIN; LOCK TABLE observability.etl_jobs IN ROW EXCLUSIVE MODE"));
  {
    ChildProcess migrate(migrate_command("migrate_killed", {"--lock-timeout", "1m"}));
    ASSERT_TRUE(wait_until([&] { return waits_for_a_lock(sql); }));
    migrate.signal(SIGKILL);
    EXPECT_EQ(migrate.wait(), 128 + SIGKILL);
  }
  EXPECT_EQ(sql.number("SELECT max(version) FROM observability.schema_migrations"), 5);
  ASSERT_TRUE(writer.exec("COMMIT"));
  const Finished again = said(migrate_command("migrate_killed"));
  ASSERT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_THAT(again.output, AllOf(HasSubstr("version 5 -> 17"), HasSubstr("partitions: 198 made")));
  EXPECT_EQ(sql.rows("SELECT job_id FROM observability.etl_jobs"), std::vector<std::string>{"orders"});
}

TEST(SchemaVersions, MaintainKilledInTheMiddleIsGoneOnWith) {
  const Sql sql(PostgresCluster::shared().create_database("maintain_killed"));
  PgConnection owner = connect("maintain_killed"), other = connect("maintain_killed");
  ASSERT_TRUE(migrate_up(owner, kSchema));
  ASSERT_TRUE(other.exec("BEGIN; LOCK TABLE observability.log_events IN SHARE UPDATE EXCLUSIVE MODE"));
  {
    ChildProcess maintain(migrate_command("maintain_killed", {"--maintain", "--lock-timeout", "1m"}));
    ASSERT_TRUE(wait_until([&] { return waits_for_a_lock(sql); }));
    maintain.signal(SIGKILL);
    EXPECT_EQ(maintain.wait(), 128 + SIGKILL);
  }
  ASSERT_TRUE(other.exec("COMMIT"));
  EXPECT_EQ(sql.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'observability.job_runs'::regclass"), 28);
  EXPECT_EQ(sql.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'observability.log_events'::regclass"), 0);
  const Finished again = said(migrate_command("maintain_killed", {"--maintain"}));
  EXPECT_THAT(again.output, HasSubstr("partitions: " + std::to_string(316 - 3 * 28) + " made")) << again.errors;
}

// At any moment: what is there is a version as a whole, and the next one finishes the work.
TEST(SchemaVersions, MigrateKilledAtAnyMomentIsFinishedByTheNext) {
  const Sql sql(PostgresCluster::shared().create_database("killed_anywhere"));
  std::uint64_t state = seed();
  const int rounds = by_scale(4, 60);
  for (int round = 0; round < rounds; ++round) {
    ChildProcess migrate(migrate_command("killed_anywhere"));
    state = state * 6364136223846793005u + 1442695040888963407u;
    static_cast<void>(migrate.wait(Deadline(static_cast<int>((state >> 33) % 400))));
    if (migrate.running()) migrate.signal(SIGKILL);
    static_cast<void>(migrate.wait());
    const std::string versions =
        sql.rows("SELECT to_regclass('observability.schema_migrations') IS NOT NULL").at(0) == "t"
            ? sql.rows("SELECT count(*) FROM observability.schema_migrations").at(0)
            : "0";
    EXPECT_TRUE(versions == "0" || versions == "17") << versions;
    if (round % 2 == 0) continue;
    // Two at once, after whatever was left behind.
    ChildProcess one(migrate_command("killed_anywhere")), two(migrate_command("killed_anywhere"));
    EXPECT_EQ(one.wait(), 0);
    EXPECT_EQ(two.wait(), 0);
    EXPECT_EQ(sql.number("SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = inhparent WHERE relkind = 'p'"),
              316);
    EXPECT_EQ(said(migrate_command("killed_anywhere", {"--down-to", "0"})).exit_code, 0);
  }
}

}  // namespace
}  // namespace runtail::test
