#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <fstream>

#include "agent/verbs.h"
#include "core/exit_code.h"
#include "schema/pg.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using test::PostgresCluster;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Ran {
  int exit_code = -1;
  std::string output, errors;
};

class MigrateVerbTest : public testing::Test {
 protected:
  Ran migrate(std::vector<std::string> arguments) {
    CLI::App app;
    Ran ran;
    add_migrate_verb(app, ran.exit_code);
    const std::string config = directory_ / "runtail.yaml";
    std::ofstream(config) << "version: 1\nname: test\nsources:\n  - name: etl\n    include: [/var/log/etl.log]\n";
    arguments.insert(arguments.begin(), {"migrate", "--config", config});
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      ran.errors = error.what();
      ran.exit_code = kExitUsage;
    }
    ran.output = testing::internal::GetCapturedStdout();
    ran.errors += testing::internal::GetCapturedStderr();
    return ran;
  }
  std::string new_database() {
    static int count = 0;
    return PostgresCluster::shared().create_database("verb_" + std::to_string(++count));
  }
  test::TempDir directory_;
};

TEST_F(MigrateVerbTest, SaysWhatItDidAndThenThatNothingIsLeft) {
  const std::string url = new_database();
  const Ran first = migrate({"--url", url});
  EXPECT_EQ(first.exit_code, kExitOk) << first.errors;
  EXPECT_THAT(first.output, AllOf(HasSubstr("schema observability: version 0 -> 17\n  001_delivery up\n"),
                                  HasSubstr("identity key: made"), HasSubstr("partitions: 316 made")));
  const Ran second = migrate({"--url", url});
  EXPECT_EQ(second.exit_code, kExitOk) << second.errors;
  EXPECT_EQ(second.output, "schema observability: at version 17, nothing to do\npartitions: all there\n");
  EXPECT_EQ(migrate({"--url", url, "--maintain"}).output,
            "partitions: all there\nretention: nothing to remove\nsummaries: up to date\n");
  const Ran down = migrate({"--url", url, "--down-to", "4"});
  EXPECT_THAT(down.output, HasSubstr("version 17 -> 4\n  017_fleet down\n"));
}

TEST_F(MigrateVerbTest, DryRunChangesNothing) {
  const std::string url = new_database();
  for (int time = 0; time < 2; ++time) {
    const Ran dry = migrate({"--url", url, "--dry-run"});
    EXPECT_EQ(dry.exit_code, kExitOk) << dry.errors;
    EXPECT_THAT(dry.output, HasSubstr("version 0 -> 17, not done (dry run)"));
  }
}

TEST_F(MigrateVerbTest, PrintNeedsNoDatabase) {
  const Ran printed = migrate({"--print", "--schema", "mine"});
  EXPECT_EQ(printed.exit_code, kExitOk) << printed.errors;
  EXPECT_THAT(printed.output, AllOf(HasSubstr("CREATE TABLE \"mine\".job_runs"), Not(HasSubstr("{{"))));
}

TEST_F(MigrateVerbTest, AnUnreachableDatabaseIsExitCodeFour) {
  const Ran ran = migrate({"--url", "host=" + directory_.path().string() + " password=hunter2"});
  EXPECT_EQ(ran.exit_code, kExitUnreachable);
  EXPECT_THAT(ran.errors, AllOf(HasSubstr("connect to PostgreSQL"), HasSubstr(directory_.path().string()),
                                Not(HasSubstr("hunter2"))));
}

TEST_F(MigrateVerbTest, WhatTheOperatorMustMendIsExitCodeThree) {
  const Ran none = migrate({});
  EXPECT_EQ(none.exit_code, kExitConfig);
  EXPECT_THAT(none.errors, HasSubstr("--url"));
  EXPECT_EQ(migrate({"--url", PostgresCluster::shared().conninfo("no_such_database")}).exit_code, kExitConfig);
}

TEST_F(MigrateVerbTest, AChangedMigrationIsAFinding) {
  const std::string url = new_database();
  ASSERT_EQ(migrate({"--url", url}).exit_code, kExitOk);
  auto connection = PgConnection::connect(url);
  ASSERT_TRUE(connection);
  ASSERT_TRUE(connection->exec("UPDATE observability.schema_migrations SET checksum = sha256('x') WHERE version = 2"));
  const Ran ran = migrate({"--url", url});
  EXPECT_EQ(ran.exit_code, kExitFindings);
  EXPECT_THAT(ran.errors, HasSubstr("002_runs"));
}

TEST_F(MigrateVerbTest, TheIdentityKeyFileIsTakenAndNeverShown) {
  const std::string url = new_database(), digits(64, 'd');
  const std::string path = directory_ / "key";
  std::ofstream(path) << digits << '\n';
  EXPECT_EQ(migrate({"--url", url, "--identity-key-file", path}).exit_code, kExitOk);
  auto connection = PgConnection::connect(url);
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->exec("SELECT encode(key, 'hex') FROM observability.identity_key")->text(0, 0), digits);
  std::ofstream(path) << std::string(64, 'e');
  const Ran refused = migrate({"--url", url, "--identity-key-file", path});
  EXPECT_EQ(refused.exit_code, kExitConfig);
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("another identity key"), Not(HasSubstr("dddd")), Not(HasSubstr("eeee"))));
}

TEST_F(MigrateVerbTest, GroupsAreLeftOutAndAddedByName) {
  const std::string url = new_database();
  const Ran dry = migrate({"--url", url, "--dry-run", "--without", "traces,chat"});
  EXPECT_THAT(dry.output, AllOf(HasSubstr("left out: traces (runtail migrate --with traces adds it)"),
                                Not(HasSubstr("006_traces")), HasSubstr("008_documents up")));
  EXPECT_EQ(migrate({"--url", url, "--without", "traces,chat"}).exit_code, kExitOk);
  const Ran added = migrate({"--url", url, "--with", "traces", "--with", "chat"});
  EXPECT_THAT(added.output, AllOf(HasSubstr("schema observability: version 17\n  006_traces up\n  007_chat up\n"),
                                  HasSubstr("partitions: 84 made"), Not(HasSubstr("left out"))));
  const Ran wrong = migrate({"--url", url, "--without", "runs"});
  EXPECT_EQ(wrong.exit_code, kExitUsage);
  EXPECT_THAT(wrong.errors, HasSubstr("--without: runs not in {traces,chat,documents,aggregates,providers}"));
  EXPECT_THAT(migrate({"--print", "--without", "chat"}).output,
              AllOf(HasSubstr("CREATE TABLE \"observability\".spans"), Not(HasSubstr("chat_messages"))));
}

TEST_F(MigrateVerbTest, AForeignSchemaIsEnteredWithAdoptOnly) {
  const std::string url = new_database();
  auto connection = PgConnection::connect(url);
  ASSERT_TRUE(connection);
  ASSERT_TRUE(connection->exec("CREATE SCHEMA observability; CREATE TABLE observability.alembic_version (v text)"));
  for (const char* how : {"--dry-run", "--lock-timeout=1s"}) {
    const Ran refused = migrate({"--url", url, how});
    EXPECT_EQ(refused.exit_code, kExitConfig);
    EXPECT_THAT(refused.errors, AllOf(HasSubstr("alembic_version"), HasSubstr("--adopt")));
  }
  EXPECT_EQ(migrate({"--url", url, "--adopt"}).exit_code, kExitOk);
}

TEST_F(MigrateVerbTest, RolesAreMadeAndSaidOrPrinted) {
  const std::string url = new_database();
  EXPECT_THAT(migrate({"--url", url, "--roles", "verb"}).output,
              HasSubstr("granted to: verb_writer, verb_reader, verb_retention\n"));
  const Ran printed = migrate({"--print-roles", "verb"});
  EXPECT_EQ(printed.exit_code, kExitOk);
  auto connection = PgConnection::connect(url);
  ASSERT_TRUE(connection);
  EXPECT_TRUE(connection->exec(printed.output)) << "the script may be run again";
  EXPECT_THAT(migrate({"--print", "--roles", "verb"}).output, HasSubstr(printed.output));
  EXPECT_EQ(migrate({"--print-roles", std::string(60, 'x')}).exit_code, kExitConfig);
}

TEST_F(MigrateVerbTest, OptionsThatContradictAreUsageErrors) {
  EXPECT_EQ(migrate({"--print", "--dry-run"}).exit_code, kExitUsage);
  EXPECT_EQ(migrate({"--maintain", "--down-to", "3"}).exit_code, kExitUsage);
  EXPECT_EQ(migrate({"--down-to", "3", "--without", "chat"}).exit_code, kExitUsage);
  EXPECT_EQ(migrate({"--lock-timeout", "soon"}).exit_code, kExitUsage);
  EXPECT_EQ(migrate({"--lock-timeout", "0s"}).exit_code, kExitUsage);
  EXPECT_EQ(migrate({"--print", "--schema", "Not For Agents"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace runtail
