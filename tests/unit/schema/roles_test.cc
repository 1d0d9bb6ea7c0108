// Who may do what: each role tries what it may and what it may not, on a real PostgreSQL. The database's owner is no
// superuser, as in life.
#include "schema/roles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "schema/migrate.h"
#include "schema/partitions.h"
#include "tests/support/postgres_cluster.h"

namespace runtail {
namespace {

using test::PostgresCluster;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kSchema[] = "observability";

PgConnection must_connect(const std::string& conninfo) {
  auto connection = PgConnection::connect(conninfo);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

void must(PgConnection& connection, const std::string& sql) {
  if (auto done = connection.exec(sql); !done) throw std::runtime_error(sql + ": " + done.error().message);
}

// SQLSTATE; "" if it works. What it did is undone.
std::string state_of(PgConnection& connection, const std::string& sql) {
  must(connection, "BEGIN");
  auto done = connection.exec(sql);
  static_cast<void>(connection.exec("ROLLBACK"));
  return done ? "" : done.error().sqlstate;
}

std::string text_of(PgConnection& connection, const std::string& sql) {
  auto rows = connection.exec(sql);
  if (!rows) throw std::runtime_error(sql + ": " + rows.error().message);
  return std::string(rows->text(0, 0));
}

MigrationRequest with_roles(const std::string& prefix) {
  MigrationRequest request;
  request.roles = prefix;
  return request;
}

// A database with an owner of its own; the roles are called after the database, because roles belong to the cluster.
struct Owned {
  explicit Owned(const std::string& rights = "CREATEROLE") : name("roles_" + std::to_string(++count())) {
    const std::string conninfo = PostgresCluster::shared().create_database(name);
    PgConnection admin = must_connect(conninfo);
    must(admin, "CREATE ROLE " + name + "_owner LOGIN " + rights + "; GRANT CREATE ON DATABASE " + name + " TO " +
                    name + "_owner");
  }
  // As a login that is a member of one of the roles, or the owner, or the superuser.
  PgConnection as(const std::string& role) const {
    const std::string conninfo = PostgresCluster::shared().conninfo(name);
    if (role == "admin") return must_connect(conninfo);
    if (role == "owner") return must_connect(conninfo + " user=" + name + "_owner");
    PgConnection admin = must_connect(conninfo);
    const std::string login = name + "_" + role + "_login";
    must(admin, "DROP ROLE IF EXISTS " + login + "; CREATE ROLE " + login + " LOGIN IN ROLE " + name + "_" + role);
    return must_connect(conninfo + " user=" + login);
  }
  static int& count() {
    static int number = 0;
    return number;
  }
  std::string name;
};

// One database for the tests that only ask.
class RolesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database() = new Owned;
    PgConnection owner = database()->as("owner");
    auto report = migrate_up(owner, kSchema, with_roles(database()->name));
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_THAT(report->roles, ElementsAre(database()->name));
    // By the role that is to do it every day.
    PgConnection retention = database()->as("retention");
    auto made = maintain_partitions(retention, kSchema, SystemClock().now());
    ASSERT_TRUE(made) << made.error().message;
    must(owner,
         "INSERT INTO observability.etl_jobs (id, job_id, source, created_at, updated_at) VALUES (gen_random_uuid(), "
         "'orders', 'line', now(), now()); "
         "INSERT INTO observability.run_ids VALUES ('11111111-1111-5111-8111-111111111111', now(), false); "
         "INSERT INTO observability.job_runs (run_id, scheduled_at, job_id, job_id_rank, status, verdict_source, "
         "state_attempt, state_rank, state_at, state_event, first_event_at, last_event_at, attempt_count, "
         "retries_exhausted) SELECT run_id, scheduled_at, 'orders', 1, 'running', 'log', 1, 1, now(), run_id, now(), "
         "now(), 1, false FROM observability.run_ids");
  }
  static void TearDownTestSuite() { delete database(); }
  static Owned*& database() {
    static Owned* owned = nullptr;
    return owned;
  }
};

constexpr const char* kTables[] = {"schema_migrations",
                                   "identity_key",
                                   "source_files",
                                   "source_facts",
                                   "dead_letters",
                                   "etl_jobs",
                                   "run_ids",
                                   "job_runs",
                                   "run_attempts",
                                   "task_runs",
                                   "run_state_changes",
                                   "summary_dirty",
                                   "job_daily_summary",
                                   "dq_observations",
                                   "dq_check_definitions",
                                   "dq_check_results",
                                   "dataset_status",
                                   "log_events",
                                   "traces",
                                   "spans",
                                   "chat_messages",
                                   "document_events",
                                   "metrics_aggregates",
                                   "provider_sync_status",
                                   "metric_snapshots",
                                   "service_heartbeats",
                                   "fleet_counts",
                                   "fleet_totals",
                                   "access_log",
                                   "audit_events",
                                   "alert_channels",
                                   "alert_rules",
                                   "alert_rule_channels",
                                   "alert_events",
                                   "alert_deliveries",
                                   "alert_watch",
                                   "alert_silences",
                                   "evaluation_progress"};

TEST_F(RolesTest, TheListHasEveryTable) {
  PgConnection admin = database()->as("admin");
  EXPECT_EQ(text_of(admin,
                    "SELECT count(*) FROM pg_class WHERE relnamespace = 'observability'::regnamespace AND relkind "
                    "IN ('r', 'p') AND NOT relispartition"),
            std::to_string(std::size(kTables)));
}

TEST_F(RolesTest, TheWriterDeletesAndChangesNothingBesideItsFacts) {
  PgConnection writer = database()->as("writer");
  for (const std::string table : kTables) {
    const std::string name = "observability." + table;
    EXPECT_EQ(state_of(writer, "DELETE FROM " + name), "42501") << name;
    EXPECT_EQ(state_of(writer, "TRUNCATE " + name), "42501") << name;
    EXPECT_EQ(state_of(writer, "DROP TABLE " + name), "42501") << name;
    EXPECT_EQ(state_of(writer, "ALTER TABLE " + name + " ADD COLUMN x int"), "42501") << name;
  }
  for (const std::string table : {"access_log", "audit_events", "run_state_changes", "dead_letters", "log_events",
                                  "spans", "chat_messages", "document_events", "metric_snapshots"}) {
    const std::string name = "observability." + table;
    EXPECT_EQ(state_of(writer, "SELECT * FROM " + name), "42501") << "append-only: " << name;
    const std::string column =
        text_of(writer, "SELECT attname FROM pg_attribute WHERE attrelid = '" + name + "'::regclass AND attnum = 1");
    EXPECT_EQ(state_of(writer, "UPDATE " + name + " SET " + column + " = " + column), "42501") << name;
  }
  EXPECT_EQ(state_of(writer, "UPDATE observability.identity_key SET key = sha256('')"), "42501");
  EXPECT_EQ(state_of(writer, "INSERT INTO observability.identity_key VALUES (true, sha256(''), now())"), "42501");
  EXPECT_EQ(state_of(writer, "UPDATE observability.schema_migrations SET version = 1"), "42501");
  for (const char* table : {"alert_rules", "alert_channels", "alert_events", "alert_deliveries", "job_daily_summary"}) {
    EXPECT_EQ(state_of(writer, std::string("SELECT * FROM observability.") + table), "42501") << table;
    EXPECT_EQ(state_of(writer, std::string("INSERT INTO observability.") + table + " DEFAULT VALUES"), "42501")
        << table;
  }
  EXPECT_EQ(state_of(writer, "CREATE TABLE observability.mine (n int)"), "42501");
  EXPECT_EQ(state_of(writer, "SELECT * FROM observability.runs"), "42501");
  EXPECT_EQ(state_of(writer, "SELECT * FROM monitoring.job_runs"), "42501");
}

TEST_F(RolesTest, TheWriterAddsLogLinesAndAuditAndChangesRuns) {
  PgConnection writer = database()->as("writer");
  EXPECT_EQ(state_of(writer, "SELECT key FROM observability.identity_key"), "");
  EXPECT_EQ(state_of(writer,
                     "INSERT INTO observability.audit_events (id, at, actor, action) VALUES "
                     "(gen_random_uuid(), now(), 'me', 'reload')"),
            "");
  EXPECT_EQ(state_of(writer, "INSERT INTO observability.access_log (id, at) VALUES (gen_random_uuid(), now())"), "");
  EXPECT_EQ(state_of(writer,
                     "INSERT INTO observability.log_events (event_id, ts, level, redacted, pii_safe, "
                     "redaction_state, ruleset, stream, agent_id) VALUES (gen_random_uuid(), now(), 'INFO', "
                     "false, true, 'clean', 'r', 's', 'a') ON CONFLICT (event_id, ts) DO NOTHING"),
            "");
  EXPECT_EQ(
      state_of(writer, "SELECT 1 FROM observability.log_events WHERE event_id = gen_random_uuid() AND ts = now()"), "");
  // The cascade moves the run to another month, which is the table owner's work.
  EXPECT_EQ(state_of(writer,
                     "UPDATE observability.run_ids SET scheduled_at = now() - interval '40 days'; UPDATE "
                     "observability.job_runs SET status = 'success'"),
            "");
}

TEST_F(RolesTest, TheReaderReadsAllButKeysAndHashesOfRawText) {
  PgConnection reader = database()->as("reader");
  for (const std::string table : kTables) {
    const std::string name = "observability." + table;
    const bool hidden = table == "identity_key", partly = table == "source_files" || table == "dead_letters";
    EXPECT_EQ(state_of(reader, "SELECT * FROM " + name), hidden || partly ? "42501" : "") << name;
    EXPECT_EQ(state_of(reader, "SELECT count(*) FROM " + name), hidden ? "42501" : "") << name;
    EXPECT_EQ(state_of(reader, "INSERT INTO " + name + " DEFAULT VALUES"), "42501") << name;
    EXPECT_EQ(state_of(reader, "DELETE FROM " + name), "42501") << name;
    EXPECT_EQ(state_of(reader, "SELECT * FROM " + name + " FOR UPDATE"), "42501") << name;
  }
  EXPECT_EQ(state_of(reader, "SELECT body_hmac FROM observability.dead_letters"), "42501");
  EXPECT_EQ(state_of(reader, "SELECT confirm FROM observability.source_files"), "42501");
  EXPECT_EQ(state_of(reader, "SELECT reason, body FROM observability.dead_letters"), "");
  EXPECT_EQ(state_of(reader, "SELECT stream, covered FROM observability.source_files"), "");
  for (const char* view : {"observability.runs", "monitoring.job_runs", "monitoring.dataset_status"}) {
    EXPECT_EQ(state_of(reader, std::string("SELECT * FROM ") + view), "") << view;
  }
  EXPECT_EQ(text_of(reader, "SELECT count(*) FROM observability.runs"), "1");
  EXPECT_EQ(state_of(reader, "CREATE TABLE observability.mine (n int)"), "42501");
}

TEST_F(RolesTest, TheReaderAsksWhatTheDocumentsShow) {
  PgConnection reader = database()->as("reader");
  std::ifstream file(RUNTAIL_SOURCE_DIR "/docs/schema.md");
  int queries = 0;
  std::string query;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "```sql") {
      inside = true;
      query.clear();
    } else if (inside && line == "```") {
      inside = false;
      ++queries;
      EXPECT_EQ(state_of(reader, query), "") << query;
    } else if (inside) {
      query += line + "\n";
    }
  }
  EXPECT_EQ(queries, 4);
}

TEST_F(RolesTest, RetentionDropsPartitionsAndNothingElse) {
  PgConnection retention = database()->as("retention");
  for (const char* table : {"identity_key", "schema_migrations", "source_files", "run_ids", "etl_jobs", "alert_events",
                            "dq_check_definitions", "dead_letters", "service_heartbeats", "job_daily_summary"}) {
    EXPECT_EQ(state_of(retention, std::string("DROP TABLE observability.") + table), "42501") << table;
    EXPECT_EQ(state_of(retention, std::string("TRUNCATE observability.") + table + " CASCADE"), "42501") << table;
  }
  EXPECT_EQ(state_of(retention, "SELECT * FROM observability.identity_key"), "42501");
  EXPECT_EQ(state_of(retention, "SELECT covered FROM observability.source_files"), "42501");
  EXPECT_EQ(state_of(retention, "SELECT body FROM observability.dead_letters"), "42501");
  EXPECT_EQ(state_of(retention, "UPDATE observability.run_ids SET scheduled_stated = true"), "42501");
  EXPECT_EQ(state_of(retention, "INSERT INTO observability.run_ids VALUES (gen_random_uuid(), now(), true)"), "42501");
  EXPECT_EQ(state_of(retention, "UPDATE observability.alert_rules SET enabled = false"), "42501");
  EXPECT_EQ(state_of(retention, "UPDATE observability.alert_channels SET enabled = false"), "42501");
  EXPECT_EQ(state_of(retention, "DELETE FROM observability.schema_migrations"), "42501");

  for (const char* work :
       {"DELETE FROM observability.run_ids WHERE scheduled_at > now() - interval '1 day'",  // the cascade is the
                                                                                            // owner's
        "DELETE FROM observability.dead_letters WHERE at < now()",
        "DELETE FROM observability.source_files WHERE last_advanced_at < now() AND covers_until < now()",
        "DELETE FROM observability.service_heartbeats WHERE last_seen_at < now()",
        "DELETE FROM observability.alert_events WHERE resolved_at < now()",
        "UPDATE observability.alert_events SET dq_result_id = null, dq_result_at = null WHERE dq_result_at < now()",
        "DELETE FROM observability.job_daily_summary WHERE day < now()",
        "SELECT * FROM observability.summary_dirty FOR UPDATE SKIP LOCKED"}) {
    EXPECT_EQ(state_of(retention, work), "") << work;
  }
  // Outside a transaction, as it must be.
  const std::string oldest = text_of(retention,
                                     "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent "
                                     "= 'observability.dq_check_results'::regclass");
  must(retention, "ALTER TABLE observability.dq_check_results DETACH PARTITION " + oldest + " CONCURRENTLY");
  must(retention, "DROP TABLE " + oldest);
  auto made = maintain_partitions(retention, kSchema, SystemClock().now());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ("observability." + made->at(0), oldest);
}

TEST_F(RolesTest, TheOwnerStillMakesPartitionsWhichRetentionMayDrop) {
  PgConnection owner = database()->as("owner");
  auto made = maintain_partitions(owner, kSchema, SystemClock().now() + std::chrono::hours(24));
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_FALSE(made->empty());
  PgConnection retention = database()->as("retention");
  EXPECT_EQ(state_of(retention, "DROP TABLE observability." + made->front()), "");
}

TEST(RolesOfNewTablesTest, ComeWithTheMigrationThatMakesThem) {
  const Owned database;
  PgConnection owner = database.as("owner");
  MigrationRequest request = with_roles(database.name);
  request.without = {"traces", "chat"};
  ASSERT_TRUE(migrate_up(owner, kSchema, request));
  PgConnection writer = database.as("writer");
  MigrationRequest more;
  more.with = {"chat"};
  auto report = migrate_up(owner, kSchema, more);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->roles, ElementsAre(database.name));
  EXPECT_EQ(state_of(writer, "SELECT id, ts FROM observability.chat_messages"), "");
  EXPECT_EQ(state_of(writer, "SELECT content FROM observability.chat_messages"), "42501");
  // Rights that are no longer needed are taken back.
  must(owner, "GRANT DELETE ON observability.job_runs TO " + database.name + "_writer");
  ASSERT_TRUE(migrate_up(owner, kSchema, with_roles(database.name)));
  EXPECT_EQ(state_of(writer, "DELETE FROM observability.job_runs"), "42501");
  EXPECT_THAT(migrate_up(owner, kSchema)->roles, IsEmpty()) << "nothing new, nothing to grant";
  auto down = migrate_down(owner, kSchema, 0);
  EXPECT_TRUE(down) << down.error().message;
}

TEST(RolesOfOthersTest, AreNotTakenForOursByTheirName) {
  const Owned database;
  PgConnection owner = database.as("owner");
  ASSERT_TRUE(migrate_up(owner, kSchema));
  must(owner, "CREATE ROLE " + database.name + "_writer; GRANT SELECT ON observability.identity_key TO " +
                  database.name + "_writer");
  EXPECT_THAT(granted_roles(owner, kSchema).value(), IsEmpty());
}

TEST(RolesWithoutCreateroleTest, AreGrantedToWhenSomebodyElseMadeThem) {
  const Owned database("NOCREATEROLE");
  PgConnection owner = database.as("owner");
  auto refused = migrate_up(owner, kSchema, with_roles(database.name));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(refused.error().message, HasSubstr("CREATE ROLE " + database.name + "_writer NOLOGIN"));
  EXPECT_THAT(refused.error().message,
              HasSubstr("GRANT " + database.name + "_retention TO " + database.name + "_owner"));
  EXPECT_EQ(text_of(owner, "SELECT to_regclass('observability.job_runs') IS NULL"), "t") << "as before";
  // What the message says.
  PgConnection admin = database.as("admin");
  const std::string& message = refused.error().message;
  const std::size_t begin = message.find("CREATE ROLE " + database.name + "_writer NOLOGIN");
  must(admin, message.substr(begin, message.rfind(" (SQLSTATE") - begin));
  auto report = migrate_up(owner, kSchema, with_roles(database.name));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(maintain_partitions(owner, kSchema, SystemClock().now()));
}

TEST(RolesScriptTest, MakesTheRolesBeforeThereIsASchemaAndGrantsAfter) {
  const Owned database("NOCREATEROLE");
  PgConnection admin = database.as("admin"), owner = database.as("owner");
  const std::string script = roles_script(kSchema, database.name).value();
  must(admin, script);
  ASSERT_TRUE(migrate_up(owner, kSchema));
  ASSERT_TRUE(maintain_partitions(owner, kSchema, SystemClock().now()));
  must(admin, script);
  PgConnection retention = database.as("retention");
  EXPECT_EQ(text_of(retention,
                    "SELECT count(*) FROM pg_class c JOIN pg_inherits ON inhrelid = oid WHERE NOT "
                    "pg_has_role(relowner, 'USAGE') AND relkind = 'r'"),
            "0")
      << "partitions made before are handed over, too";
  PgConnection writer = database.as("writer");
  EXPECT_EQ(state_of(writer, "SELECT key FROM observability.identity_key"), "");
  // The owner, who is no superuser, became a member by it.
  EXPECT_TRUE(maintain_partitions(owner, kSchema, SystemClock().now() + std::chrono::hours(24)));
  EXPECT_EQ(state_of(owner, "SELECT * FROM observability.runs"), "");
}

TEST(RolesScriptTest, TakesAnyNameButAnEmptyAndATooLongOne) {
  const Owned database;
  PgConnection admin = database.as("admin");
  const std::string schema = "Obs \"2\"'s", prefix = database.name + " o'\"x";
  ASSERT_TRUE(migrate_up(admin, schema, with_roles(prefix)));
  EXPECT_THAT(granted_roles(admin, schema).value(), ElementsAre(prefix));
  EXPECT_FALSE(roles_script(kSchema, ""));
  EXPECT_FALSE(roles_script(kSchema, std::string(51, 'x')));
}

TEST(RolesInAForeignSchemaTest, ItsOwnersGrantIsAskedForByName) {
  const Owned database;
  PgConnection admin = database.as("admin"), owner = database.as("owner");
  must(admin,
       "CREATE SCHEMA observability; GRANT USAGE, CREATE ON SCHEMA observability TO " + database.name + "_owner");
  auto refused = migrate_up(owner, kSchema, with_roles(database.name));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              HasSubstr("GRANT USAGE ON SCHEMA observability TO " + database.name + "_writer"));
}

}  // namespace
}  // namespace runtail
