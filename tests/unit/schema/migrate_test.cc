#include "schema/migrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "schema/identity_key.h"
#include "schema/partitions.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using test::PostgresCluster;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kSchema[] = "observability";
constexpr int kNewest = 17;

MigrationRequest with_key(const HashKey& key) {
  MigrationRequest request;
  request.identity_key = key;
  return request;
}

std::string new_database() {
  static int count = 0;
  return PostgresCluster::shared().create_database("migrate_" + std::to_string(++count));
}

PgConnection must_connect(const std::string& conninfo) {
  auto connection = PgConnection::connect(conninfo);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

class MigrateTest : public testing::Test {
 protected:
  // One text per row, columns joined by a space.
  std::vector<std::string> rows(const std::string& sql) {
    auto answer = connection_.exec(sql);
    if (!answer) throw std::runtime_error(sql + ": " + answer.error().message);
    std::vector<std::string> all;
    for (int row = 0; row < answer->rows(); ++row) {
      std::string line;
      for (int column = 0; column < answer->columns(); ++column) {
        line += (column ? " " : "") + std::string(answer->text(row, column));
      }
      all.push_back(line);
    }
    return all;
  }
  std::vector<std::string> relations() {
    return rows(
        "SELECT n.nspname || '.' || c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON "
        "n.oid = c.relnamespace WHERE n.nspname IN ('observability', 'monitoring') ORDER BY 1");
  }
  MigrationReport must_migrate() {
    auto report = migrate_up(connection_, kSchema);
    if (!report) throw std::runtime_error(report.error().message);
    return *report;
  }

  std::string conninfo_ = new_database();
  PgConnection connection_ = must_connect(conninfo_);
};

TEST_F(MigrateTest, UpSaysWhatItDidAndTheSecondTimeDoesNothing) {
  const MigrationReport first = must_migrate();
  EXPECT_EQ(first.from, 0);
  EXPECT_EQ(first.to, kNewest);
  EXPECT_THAT(first.steps,
              ElementsAre("001_delivery up", "002_runs up", "003_quality up", "004_log_events up", "005_views up",
                          "006_traces up", "007_chat up", "008_documents up", "009_aggregates up", "010_providers up",
                          "011_alerts up", "012_service up", "013_history_indexes up", "014_durations up",
                          "015_nested_runs up", "016_evaluation up", "017_fleet up"));
  EXPECT_TRUE(first.identity_key_made);
  EXPECT_THAT(
      rows("SELECT version, name, octet_length(checksum), applied_by FROM observability.schema_migrations "
           "ORDER BY version"),
      ElementsAre("1 delivery 32 runtail", "2 runs 32 runtail", "3 quality 32 runtail", "4 log_events 32 runtail",
                  "5 views 32 runtail", "6 traces 32 runtail", "7 chat 32 runtail", "8 documents 32 runtail",
                  "9 aggregates 32 runtail", "10 providers 32 runtail", "11 alerts 32 runtail", "12 service 32 runtail",
                  "13 history_indexes 32 runtail", "14 durations 32 runtail", "15 nested_runs 32 runtail",
                  "16 evaluation 32 runtail", "17 fleet 32 runtail"));
  const MigrationReport second = must_migrate();
  EXPECT_EQ(second.from, kNewest);
  EXPECT_THAT(second.steps, IsEmpty());
  EXPECT_FALSE(second.identity_key_made);
}

TEST_F(MigrateTest, DownTakesEverythingAwayAndUpBringsItBack) {
  must_migrate();
  const auto before = relations();
  ASSERT_TRUE(maintain_partitions(connection_, kSchema, SystemClock().now()));
  auto down = migrate_down(connection_, kSchema, 0);
  ASSERT_TRUE(down) << down.error().message;
  EXPECT_EQ(down->to, 0);
  EXPECT_EQ(down->steps.size(), static_cast<std::size_t>(kNewest));
  EXPECT_EQ(down->steps.front(), "017_fleet down");
  EXPECT_EQ(down->steps.back(), "001_delivery down");
  EXPECT_THAT(rows("SELECT nspname FROM pg_namespace WHERE nspname IN ('observability', 'monitoring')"), IsEmpty());
  must_migrate();
  EXPECT_EQ(relations(), before);
}

TEST_F(MigrateTest, DownStopsAtTheVersionAskedFor) {
  must_migrate();
  auto down = migrate_down(connection_, kSchema, 3);
  ASSERT_TRUE(down) << down.error().message;
  EXPECT_THAT(rows("SELECT max(version) FROM observability.schema_migrations"), ElementsAre("3"));
  EXPECT_THAT(rows("SELECT to_regclass('observability.log_events') IS NULL, "
                   "to_regclass('observability.job_runs') IS NULL"),
              ElementsAre("t f"));
  auto above = migrate_down(connection_, kSchema, 4);
  ASSERT_FALSE(above);
  EXPECT_EQ(above.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(above.error().message, HasSubstr("version 3"));
}

TEST_F(MigrateTest, PlanTellsAndChangesNothing) {
  auto plan = plan_migration(connection_, kSchema);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->steps.size(), static_cast<std::size_t>(kNewest));
  EXPECT_THAT(relations(), IsEmpty());
}

TEST_F(MigrateTest, TwoAtOnceDoItOnce) {
  auto other_connection = must_connect(conninfo_);
  std::vector<Result<MigrationReport>> reports(2, Error{});
  std::vector<Result<std::vector<std::string>>> partitions(2, Error{});
  const auto run = [&](PgConnection& connection, std::size_t which) {
    reports[which] = migrate_up(connection, kSchema);
    partitions[which] = maintain_partitions(connection, kSchema, SystemClock().now());
  };
  std::thread other([&] { run(other_connection, 1); });
  run(connection_, 0);
  other.join();
  ASSERT_TRUE(reports[0]) << reports[0].error().message;
  ASSERT_TRUE(reports[1]) << reports[1].error().message;
  EXPECT_EQ(reports[0]->steps.size() + reports[1]->steps.size(), static_cast<std::size_t>(kNewest));
  EXPECT_NE(reports[0]->identity_key_made, reports[1]->identity_key_made);
  ASSERT_TRUE(partitions[0]) << partitions[0].error().message;
  ASSERT_TRUE(partitions[1]) << partitions[1].error().message;
  EXPECT_EQ(partitions[0]->size() + partitions[1]->size(), 3u * 28 + 5 * 34 + 2 * 16 + 2 * 15);
}

TEST_F(MigrateTest, AChangedMigrationIsRefusedByName) {
  must_migrate();
  std::vector<Migration> changed = embedded_migrations();
  changed[1].checksum[0] ^= 1;
  auto report = migrate_up(connection_, kSchema, {}, changed);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(report.error().message, AllOf(HasSubstr("002_runs"), HasSubstr("must not change")));
  EXPECT_FALSE(plan_migration(connection_, kSchema, {}, changed));
  EXPECT_EQ(connection_.transaction(), PgConnection::Transaction::kIdle);
}

TEST_F(MigrateTest, ADatabaseNewerThanTheBinaryIsRefused) {
  must_migrate();
  std::vector<Migration> older = embedded_migrations();
  older.pop_back();
  auto report = migrate_up(connection_, kSchema, {}, older);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(report.error().message, AllOf(HasSubstr("17_fleet"), HasSubstr("newer")));
}

TEST_F(MigrateTest, AFailingMigrationLeavesTheDatabaseAsItWas) {
  std::vector<Migration> broken = embedded_migrations();
  broken[3].up = "CREATE TABLE {{schema}}.half (n int); SELECT no_such_function();";
  auto report = migrate_up(connection_, kSchema, {}, broken);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, AllOf(HasSubstr("004_log_events up"), HasSubstr("no_such_function")));
  EXPECT_THAT(relations(), IsEmpty());
  EXPECT_EQ(connection_.transaction(), PgConnection::Transaction::kIdle);
}

TEST_F(MigrateTest, ASchemaOfAnotherNameIsItsOwn) {
  const std::string odd = "Obs \"2\"";
  auto report = migrate_up(connection_, odd);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(rows("SELECT count(*) FROM \"Obs \"\"2\"\"\".schema_migrations"), ElementsAre(std::to_string(kNewest)));
  EXPECT_TRUE(maintain_partitions(connection_, odd, SystemClock().now()));
  EXPECT_TRUE(migrate_down(connection_, odd, 0));
}

TEST_F(MigrateTest, ThePrintedScriptGivesTheSameSchema) {
  auto done = connection_.exec(print_migrations(kSchema).value());
  ASSERT_TRUE(done) << done.error().message;
  const MigrationReport report = must_migrate();
  EXPECT_THAT(report.steps, IsEmpty());
  EXPECT_FALSE(report.identity_key_made);
  const auto printed = relations();
  ASSERT_TRUE(migrate_down(connection_, kSchema, 0));
  must_migrate();
  EXPECT_EQ(relations(), printed);
}

TEST_F(MigrateTest, TheIdentityKeyIsMadeOnceAndKept) {
  EXPECT_EQ(read_identity_key(connection_, kSchema).error().code, ErrorCode::kInvalidInput);  // no table yet
  must_migrate();
  auto first = read_identity_key(connection_, kSchema);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_NE(first->bytes, Bytes32{});
  must_migrate();
  EXPECT_EQ(read_identity_key(connection_, kSchema)->bytes, first->bytes);
  EXPECT_FALSE(connection_.exec("INSERT INTO observability.identity_key VALUES (false, sha256(''), now())"));
  ASSERT_TRUE(connection_.exec("DELETE FROM observability.identity_key"));
  EXPECT_EQ(read_identity_key(connection_, kSchema).error().code, ErrorCode::kNotFound);
}

TEST_F(MigrateTest, AGivenIdentityKeyIsTakenAndAnotherOneRefused) {
  HashKey mine;
  mine.bytes.fill(0xAB);
  auto report = migrate_up(connection_, kSchema, with_key(mine));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(read_identity_key(connection_, kSchema)->bytes, mine.bytes);
  EXPECT_TRUE(migrate_up(connection_, kSchema, with_key(mine)));
  HashKey other = mine;
  other.bytes[0] = 0;
  auto refused = migrate_up(connection_, kSchema, with_key(other));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("another identity key"), Not(HasSubstr("abab"))));
}

TEST(IdentityKeyFileTest, HoldsSixtyFourHexDigits) {
  const test::TempDir directory;
  const std::filesystem::path path = directory / "key";
  const auto read = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    return read_identity_key_file(path);
  };
  const std::string digits = "00ff" + std::string(56, 'a') + "ABCD";
  auto key = read(digits + "\n");
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->bytes[1], 0xFF);
  EXPECT_EQ(key->bytes[31], 0xCD);
  for (const std::string& bad :
       {std::string(), digits.substr(1), digits + "0", std::string(64, 'g'), std::string("\n")}) {
    auto refused = read(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput);
    EXPECT_THAT(refused.error().message, AllOf(HasSubstr(path.string()), Not(HasSubstr("aaaa"))));
  }
  EXPECT_FALSE(read_identity_key_file(directory / "none"));
}

TEST(NewIdentityKeyTest, IsNeverTheSame) { EXPECT_NE(new_identity_key()->bytes, new_identity_key()->bytes); }

}  // namespace
}  // namespace runtail
