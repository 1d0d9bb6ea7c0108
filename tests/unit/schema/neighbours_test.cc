// Migration among others: tables of other tools in the schema, groups left out, versions one release apart, locks of
// others, a filled database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/applied.h"
#include "schema/migrate.h"
#include "schema/partitions.h"
#include "tests/support/postgres_cluster.h"

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

class NeighboursTest : public testing::Test {
 protected:
  NeighboursTest() {
    static int count = 0;
    conninfo_ = PostgresCluster::shared().create_database("neighbours_" + std::to_string(++count));
    connection_.emplace(connect());
  }
  PgConnection connect() const {
    auto connection = PgConnection::connect(conninfo_);
    if (!connection) throw std::runtime_error(connection.error().message);
    return std::move(*connection);
  }
  void run(const std::string& sql) {
    if (auto done = connection_->exec(sql); !done) throw std::runtime_error(sql + ": " + done.error().message);
  }
  std::string text_of(const std::string& sql) {
    auto rows = connection_->exec(sql);
    if (!rows) throw std::runtime_error(sql + ": " + rows.error().message);
    return std::string(rows->text(0, 0));
  }
  bool has(const std::string& relation) { return text_of("SELECT to_regclass('" + relation + "') IS NOT NULL") == "t"; }
  Result<MigrationReport> migrate(const MigrationRequest& request = {}) {
    return migrate_up(*connection_, kSchema, request);
  }
  // kInvalidInput, from the plan too, and nothing done.
  std::string refusal(const MigrationRequest& request = {}) {
    auto planned = plan_migration(*connection_, kSchema, request);
    auto done = migrate(request);
    EXPECT_FALSE(planned);
    EXPECT_FALSE(done);
    if (planned || done) return "";
    EXPECT_EQ(done.error().code, ErrorCode::kInvalidInput);
    EXPECT_EQ(planned.error().message, done.error().message);
    EXPECT_EQ(connection_->transaction(), PgConnection::Transaction::kIdle);
    return done.error().message;
  }
  std::string conninfo_;
  std::optional<PgConnection> connection_;
};

MigrationRequest adopting() {
  MigrationRequest request;
  request.adopt = true;
  return request;
}
MigrationRequest without(std::vector<std::string> groups) {
  MigrationRequest request;
  request.without = std::move(groups);
  return request;
}
MigrationRequest with(std::vector<std::string> groups) {
  MigrationRequest request;
  request.with = std::move(groups);
  return request;
}

TEST_F(NeighboursTest, AnEmptySchemaMadeByTheDatabasesAdministratorIsTaken) {
  run("CREATE SCHEMA observability");
  EXPECT_TRUE(migrate());
}

TEST_F(NeighboursTest, ASchemaWithTablesOfOthersIsEnteredOnlyWhenToldTo) {
  run("CREATE SCHEMA observability; CREATE TABLE observability.alembic_version (version_num text); "
      "CREATE VIEW observability.theirs AS SELECT 1; INSERT INTO observability.alembic_version VALUES ('a1')");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("alembic_version, theirs"), HasSubstr("--adopt")));
  EXPECT_FALSE(has("observability.job_runs"));
  auto adopted = migrate(adopting());
  ASSERT_TRUE(adopted) << adopted.error().message;
  EXPECT_EQ(adopted->to, kNewest);
  EXPECT_TRUE(migrate()) << "told once is enough";
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 0));
  EXPECT_FALSE(has("observability.job_runs"));
  EXPECT_EQ(text_of("SELECT version_num FROM observability.alembic_version"), "a1");
  EXPECT_TRUE(has("observability.theirs"));
}

TEST_F(NeighboursTest, TakenNamesAreAllSaid) {
  run("CREATE SCHEMA observability; CREATE TABLE observability.alert_rules (n int); "
      "CREATE TABLE observability.other (n int); CREATE INDEX spans_ts_brin ON observability.other (n); "
      "CREATE SEQUENCE observability.traces_pkey; "
      "CREATE SCHEMA monitoring; CREATE TABLE monitoring.job_runs (n int)");
  EXPECT_THAT(refusal(adopting()), AllOf(HasSubstr("monitoring.job_runs, observability.alert_rules, "
                                                   "observability.spans_ts_brin, observability.traces_pkey"),
                                         Not(HasSubstr("other,")), HasSubstr("--schema")));
  EXPECT_FALSE(has("observability.log_events"));
}

TEST_F(NeighboursTest, ANameTakenSinceIsSaidByTheNextVersionToo) {
  ASSERT_TRUE(migrate());
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 10));
  run("CREATE TABLE observability.alert_events (n int)");
  EXPECT_THAT(refusal(), HasSubstr("taken by others: observability.alert_events;"));
}

TEST_F(NeighboursTest, AnotherToolsSchemaMigrationsIsNotTakenForOurs) {
  run("CREATE SCHEMA observability; CREATE TABLE observability.schema_migrations (version bigint, dirty boolean); "
      "INSERT INTO observability.schema_migrations VALUES (7, false)");
  EXPECT_THAT(refusal(adopting()), AllOf(HasSubstr("schema_migrations of another tool"), HasSubstr("--schema")));
  auto down = migrate_down(*connection_, kSchema, 0);
  EXPECT_FALSE(down);
  EXPECT_EQ(text_of("SELECT version FROM observability.schema_migrations"), "7");
}

TEST_F(NeighboursTest, DownStopsBeforeWhatOthersBuiltOnIt) {
  ASSERT_TRUE(migrate());
  run("CREATE VIEW public.theirs AS SELECT level FROM observability.log_events");
  auto refused = migrate_down(*connection_, kSchema, 0);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("004_log_events down"), HasSubstr("drop that first")));
  EXPECT_TRUE(has("observability.alert_rules")) << "all or nothing";
}

TEST_F(NeighboursTest, UpDownUpOnAFilledDatabaseLosesNothingOfOthers) {
  run("CREATE SCHEMA observability; CREATE TABLE observability.theirs (id int PRIMARY KEY, note text); "
      "INSERT INTO observability.theirs SELECT n, 'note ' || n FROM generate_series(1, 1000) n; "
      "CREATE SCHEMA monitoring; CREATE TABLE monitoring.theirs AS SELECT 1 AS n; "
      "CREATE SCHEMA app; CREATE TABLE app.job_runs AS SELECT n FROM generate_series(1, 1000) n");
  const std::string sums =
      "SELECT (SELECT md5(string_agg(id || note, ',' ORDER BY id)) FROM observability.theirs) || "
      "(SELECT sum(n) FROM app.job_runs) || (SELECT sum(n) FROM monitoring.theirs)";
  const std::string before = text_of(sums);
  for (int round = 0; round < 2; ++round) {
    auto up = migrate(adopting());
    ASSERT_TRUE(up) << up.error().message;
    EXPECT_EQ(up->steps.size(), static_cast<std::size_t>(kNewest));
    if (round > 0) break;
    ASSERT_TRUE(maintain_partitions(*connection_, kSchema, SystemClock().now()));
    run("INSERT INTO observability.etl_jobs (id, job_id, source, created_at, updated_at) VALUES (gen_random_uuid(), "
        "'orders', 'line', now(), now()); "
        "INSERT INTO observability.run_ids SELECT gen_random_uuid(), now() - n * interval '1 hour', false FROM "
        "generate_series(1, 2000) n; "
        "INSERT INTO observability.job_runs (run_id, scheduled_at, job_id, job_id_rank, status, verdict_source, "
        "state_attempt, state_rank, state_at, state_event, first_event_at, last_event_at, attempt_count, "
        "retries_exhausted) SELECT run_id, scheduled_at, 'orders', 1, 'failed', 'log', 1, 1, now(), run_id, now(), "
        "now(), 1, false FROM observability.run_ids; "
        "INSERT INTO observability.log_events (event_id, ts, level, redacted, pii_safe, redaction_state, ruleset, "
        "stream, agent_id) SELECT gen_random_uuid(), now() - n * interval '1 minute', 'INFO', false, true, 'clean', "
        "'r', 's', 'a' FROM generate_series(1, 20000) n");
    EXPECT_EQ(text_of("SELECT count(*) FROM observability.runs"), "2000");
    auto down = migrate_down(*connection_, kSchema, 0);
    ASSERT_TRUE(down) << down.error().message;
    EXPECT_EQ(
        text_of("SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'observability'::regnamespace"),
        "theirs theirs_pkey");
    EXPECT_EQ(text_of(sums), before);
  }
}

TEST_F(NeighboursTest, DownToAVersionKeepsTheRowsOfThoseBelow) {
  ASSERT_TRUE(migrate());
  run("INSERT INTO observability.etl_jobs (id, job_id, source, created_at, updated_at) VALUES (gen_random_uuid(), "
      "'orders', 'line', now(), now())");
  const std::string key = text_of("SELECT key FROM observability.identity_key");
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 5));
  ASSERT_TRUE(migrate());
  EXPECT_EQ(text_of("SELECT job_id FROM observability.etl_jobs"), "orders");
  EXPECT_EQ(text_of("SELECT key FROM observability.identity_key"), key);
}

TEST_F(NeighboursTest, WhatIsLeftOutStaysOutUntilItIsAskedFor) {
  auto first = migrate(without({"traces", "chat"}));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->to, kNewest);
  EXPECT_THAT(first->left_out, ElementsAre("traces", "chat"));
  for (const char* table : {"traces", "spans", "chat_messages"})
    EXPECT_FALSE(has("observability." + std::string(table)));
  EXPECT_TRUE(has("observability.document_events"));
  EXPECT_TRUE(maintain_partitions(*connection_, kSchema, SystemClock().now()));

  auto later = migrate();
  ASSERT_TRUE(later);
  EXPECT_THAT(later->steps, IsEmpty());
  EXPECT_THAT(later->left_out, ElementsAre("traces", "chat"));
  EXPECT_TRUE(migrate(without({"chat"}))) << "said again";

  auto added = migrate(with({"traces"}));
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_THAT(added->steps, ElementsAre("006_traces up"));
  EXPECT_THAT(added->left_out, ElementsAre("chat"));
  EXPECT_TRUE(has("observability.spans"));
  EXPECT_FALSE(has("observability.chat_messages"));
  EXPECT_THAT(refusal(without({"traces"})), AllOf(HasSubstr("group traces already"), HasSubstr("--down-to 5")));

  auto down = migrate_down(*connection_, kSchema, 5);
  ASSERT_TRUE(down) << down.error().message;
  EXPECT_THAT(down->steps, Not(testing::Contains("007_chat down")));
  auto all = migrate();
  ASSERT_TRUE(all);
  EXPECT_THAT(all->left_out, IsEmpty()) << "below version 6 nothing has been left out";
}

TEST_F(NeighboursTest, AGroupThatIsNotThereIsSaidWithThoseThatAre) {
  EXPECT_THAT(refusal(without({"log_events"})),
              AllOf(HasSubstr("no group log_events"), HasSubstr("traces, chat, documents, aggregates, providers")));
  MigrationRequest both = with({"chat"});
  both.without = {"chat"};
  EXPECT_THAT(refusal(both), HasSubstr("both"));
  EXPECT_FALSE(print_migrations(kSchema, with({"nothing"})));
}

TEST_F(NeighboursTest, ThePrintedScriptLeavesOutTheSame) {
  auto script = print_migrations(kSchema, without({"traces", "chat", "documents", "aggregates", "providers"}));
  ASSERT_TRUE(script);
  run(*script);
  auto report = migrate();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->steps, IsEmpty());
  EXPECT_EQ(report->left_out.size(), 5u);
}

// So that what is missing below the newest version was left out, and not yet to come.
TEST(EmbeddedMigrationsTest, TheNewestBelongsToNoGroupAndEveryGroupHasOne) {
  const auto migrations = embedded_migrations();
  EXPECT_EQ(migrations.back().group, "");
  for (const std::string_view group : optional_groups()) {
    EXPECT_TRUE(std::any_of(migrations.begin(), migrations.end(), [&](const Migration& one) {
      return one.group == group;
    })) << group;
  }
  for (std::size_t i = 0; i < migrations.size(); ++i) {
    EXPECT_EQ(migrations[i].version, static_cast<int>(i) + 1);
    EXPECT_FALSE(migrations[i].down.empty());
  }
}

TEST_F(NeighboursTest, ALostVersionRowIsNotTakenForAGroupLeftOut) {
  ASSERT_TRUE(migrate());
  run("DELETE FROM observability.schema_migrations WHERE version = 11");
  auto refused = migrate();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(refused.error().message, HasSubstr("011_alerts"));
}

TEST_F(NeighboursTest, AWriterInTheMiddleIsWaitedForOnlySoLong) {
  ASSERT_TRUE(migrate());
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 10));
  PgConnection writer = connect();
  ASSERT_TRUE(writer.exec("BEGIN; LOCK TABLE observability.etl_jobs IN ROW EXCLUSIVE MODE"));
  MigrationRequest hurried;
  hurried.lock_timeout = std::chrono::milliseconds(50);
  auto refused = migrate(hurried);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("011_alerts up"), HasSubstr("--lock-timeout")));
  EXPECT_FALSE(has("observability.alert_channels"));
  ASSERT_TRUE(writer.exec("COMMIT"));
  EXPECT_TRUE(migrate(hurried));
}

TEST_F(NeighboursTest, WhatAWriterNeedsIsThereOrNamedWithVersionAndCommand) {
  const std::string_view needed[] = {"log_events", "traces", "spans", "metric_snapshots"};
  const auto check = [&] { return check_tables(*connection_, kSchema, needed); };
  auto nothing = check();
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(nothing.error().message, "schema observability is missing; run: runtail migrate");
  run("CREATE SCHEMA observability");
  EXPECT_THAT(check().error().message, AllOf(HasSubstr("has no version, this runtail needs 12"),
                                             HasSubstr("log_events (version 4)"), HasSubstr("runtail migrate")));
  // A newer agent on an older schema.
  ASSERT_TRUE(migrate());
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 5));
  auto older = check();
  ASSERT_FALSE(older);
  EXPECT_THAT(older.error().message,
              AllOf(HasSubstr("is at version 5, this runtail needs 12"),
                    HasSubstr("missing: traces (version 6), spans (version 6), metric_snapshots (version 12)"),
                    Not(HasSubstr("log_events"))));
  const std::string_view old_tables[] = {"log_events", "job_runs"};
  EXPECT_TRUE(check_tables(*connection_, kSchema, old_tables)) << "what it needs is there";
  // Left out is not missing.
  ASSERT_TRUE(migrate(without({"traces"})));
  EXPECT_THAT(check().value(), ElementsAre("traces", "spans"));
  ASSERT_TRUE(migrate(with({"traces"})));
  EXPECT_THAT(check().value(), IsEmpty());
  // An older agent on a newer schema.
  run("INSERT INTO observability.schema_migrations VALUES (" + std::to_string(kNewest + 1) +
      ", 'later', '', now(), 'x')");
  EXPECT_THAT(check().value(), IsEmpty());
  run("DROP TABLE observability.spans");
  auto gone = check();
  ASSERT_FALSE(gone);
  EXPECT_THAT(gone.error().message, AllOf(HasSubstr("removed spans"), Not(HasSubstr("needs"))));
}

TEST_F(NeighboursTest, WhatAWritersErrorComesFromIsNamedWithWhatToRun) {
  const std::string_view needed[] = {"log_events", "source_facts"};
  const auto fault = [&] { return schema_fault(*connection_, kSchema, needed); };
  EXPECT_EQ(fault(), "schema observability is missing; run: runtail migrate");
  ASSERT_TRUE(migrate());
  // All tables are there: a column must be missing.
  EXPECT_THAT(fault(), AllOf(HasSubstr("is at version 17 as it should be, but somebody changed it"),
                             HasSubstr("runtail migrate --print")));
  run("INSERT INTO observability.schema_migrations VALUES (99, 'later', '', now(), 'x')");
  EXPECT_THAT(fault(), HasSubstr("is at version 99, this runtail writes version 17; install the runtail that brought"));
  run("DELETE FROM observability.schema_migrations WHERE version = 99");
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 12));
  EXPECT_THAT(fault(),
              HasSubstr("is at version 12, this runtail writes version 17; run, as its owner: runtail migrate"));
  // Tables say more than versions.
  ASSERT_TRUE(migrate_down(*connection_, kSchema, 11));
  EXPECT_THAT(fault(), HasSubstr("missing: source_facts (version 12); run, as its owner: runtail migrate"));
  run("DROP TABLE observability.log_events");
  EXPECT_THAT(fault(), HasSubstr("version 11: somebody removed log_events"));
}

}  // namespace
}  // namespace runtail
