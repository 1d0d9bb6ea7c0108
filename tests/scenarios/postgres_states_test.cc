// What an operator can do to the database under a running agent: each fault is a clear state in `runtail status`,
// /readyz and the log, with what to do; nothing is set aside, and once it is mended the agent goes on by itself,
// exactly once.
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>
#include <functional>

#include "schema/migrate.h"
#include "schema/pg.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

// The server's own limit, so that a test can reach it; three are kept for superusers.
constexpr int kConnectionsMax = 12;

PostgresCluster& cluster() {
  static PostgresCluster instance({.conf = {"max_connections = " + std::to_string(kConnectionsMax)}});
  static const bool asks_password = [] {
    const std::filesystem::path rules = instance.socket_directory() / "data" / "pg_hba.conf";
    const std::string before = read_file(rules);
    std::ofstream(rules) << "local all writer scram-sha-256\n" << before;
    Sql(instance.conninfo()).rows("SELECT pg_reload_conf()");
    return true;
  }();
  (void)asks_password;
  return instance;
}

// The stage of one fault: an agent with the rights of a writer only.
struct Stage {
  explicit Stage(const std::string& name)
      : database(name),
        scene(name, cluster(), cluster().conninfo(name) + " user=writer",
              {{"RUNTAIL_POSTGRES_PASSWORD_FILE", (directory / "password").string()},
               {"RUNTAIL_POSTGRES_STATEMENT_TIMEOUT", "2s"},
               {"RUNTAIL_POSTGRES_LOCK_TIMEOUT", "500ms"}}) {
    std::ofstream(directory / "password") << "a plain pass word\n";
    run("DROP OWNED BY writer", true);
    run("DROP ROLE IF EXISTS writer", true);
    run("CREATE ROLE writer LOGIN PASSWORD 'a plain pass word'", true);
    grant();
  }
  void grant() {
    run("GRANT USAGE ON SCHEMA observability TO writer;"
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA observability TO writer");
  }
  std::vector<std::string> run(const std::string& sql, bool may_fail = false) {
    try {
      return scene.sql.rows(sql);
    } catch (const std::exception&) {
      if (!may_fail) throw;
      return {};
    }
  }
  void end_sessions() {
    run("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'writer' "
        "AND datname = current_database()");
  }
  void runtail_migrate(std::vector<std::string> arguments) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "migrate", "--url", cluster().conninfo(database)};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    const Finished done = run_to_end(command);
    EXPECT_EQ(done.exit_code, 0) << done.errors;
    grant();
  }
  PgConnection session(const std::string& more = "") {
    auto made = PgConnection::connect(cluster().conninfo(database) + more);
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
  }

  const std::string database;
  const TempDir directory;
  Scene scene;
  std::vector<PgConnection> sessions;  // a fault's own
  std::string kept;                    // and what it needs to mend
};

struct Fault {
  const char* name;
  std::function<void(Stage&)> strike, mend;
  std::vector<std::string> says;  // in this order
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

std::string today() {
  return Sql(cluster().conninfo()).rows("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM_DD')").at(0);
}

std::vector<Fault> faults() {
  const int version = embedded_migrations().back().version;
  // Before source_facts, which every batch writes.
  const std::string ours = std::to_string(version), older = "11";
  return {
      {"ConnectionsTaken",
       [](Stage& stage) {
         stage.end_sessions();
         for (int i = 0; i < kConnectionsMax; ++i) {
           auto taken =
               PgConnection::connect(cluster().conninfo(stage.database) + " user=writer password='a plain pass word'");
           if (taken) stage.sessions.push_back(std::move(*taken));
         }
       },
       [](Stage& stage) { stage.sessions.clear(); },
       {"53300", "raise max_connections, or go through PgBouncer"}},
      {"RightRevoked",
       [](Stage& stage) { stage.run("REVOKE INSERT ON observability.log_events FROM writer"); },
       [](Stage& stage) { stage.grant(); },
       {"permission denied for table log_events", "42501", "grant the user of postgres.url"}},
      {"TableMissing",
       [](Stage& stage) { stage.run("ALTER TABLE observability.task_runs RENAME TO away"); },
       [](Stage& stage) { stage.run("ALTER TABLE observability.away RENAME TO task_runs"); },
       {"task_runs\" does not exist", "42P01", "version " + ours + ": somebody removed task_runs", "restore it"}},
      {"ColumnMissing",
       [](Stage& stage) { stage.run("ALTER TABLE observability.log_events RENAME COLUMN route TO away"); },
       [](Stage& stage) { stage.run("ALTER TABLE observability.log_events RENAME COLUMN away TO route"); },
       {"\"route\"", "does not exist", "42703", "is at version " + ours + " as it should be, but somebody changed it",
        "runtail migrate --print"}},
      {"PartitionMissing",
       [](Stage& stage) {
         const std::string partition = "log_events_" + today();
         stage.run("ALTER TABLE observability.log_events DETACH PARTITION observability." + partition +
                   "; ALTER TABLE observability." + partition +
                   " RENAME TO away;"
                   "ALTER TABLE observability.away RENAME CONSTRAINT " +
                   partition + "_pkey TO away_pkey");
       },
       [](Stage& stage) {
         stage.runtail_migrate({"--maintain"});
         stage.run(
             "INSERT INTO observability.log_events SELECT * FROM observability.away; DROP TABLE observability.away");
       },
       {"log_events", "23514", "run: runtail migrate --maintain"}},
      {"WrongPassword",
       [](Stage& stage) {
         stage.run("ALTER ROLE writer PASSWORD 'another one'");
         stage.end_sessions();
       },
       [](Stage& stage) { stage.run("ALTER ROLE writer PASSWORD 'a plain pass word'"); },
       {"password authentication failed for user \"writer\"", "28P01", "postgres.password_file"}},
      {"SchemaOlder",
       [older](Stage& stage) {
         stage.runtail_migrate({"--down-to", older});
       },
       [](Stage& stage) { stage.runtail_migrate({}); },
       {"42P01", "schema observability is at version " + older +
                     ", this runtail needs 17; missing: source_facts (version 12), service_heartbeats (version 12), "
                     "fleet_counts (version 17), "
                     "metric_snapshots (version 12); "
                     "run, as its owner: runtail migrate"}},
      {"SchemaNewer",
       [](Stage& stage) {
         stage.run(
             "INSERT INTO observability.schema_migrations VALUES (99, 'of a later day', '', now(), 'judge');"
             "ALTER TABLE observability.log_events RENAME COLUMN ip TO address");
       },
       [](Stage& stage) {
         stage.run(
             "DELETE FROM observability.schema_migrations WHERE version = 99;"
             "ALTER TABLE observability.log_events RENAME COLUMN address TO ip");
       },
       {"42703",
        "schema observability is at version 99, this runtail writes version " + ours + "; install the runtail"}},
      {"SchemaMissing",
       [](Stage& stage) { stage.run("ALTER SCHEMA observability RENAME TO away"); },
       [](Stage& stage) { stage.run("ALTER SCHEMA away RENAME TO observability"); },
       {"schema observability is missing; run: runtail migrate"}},
      {"DatabaseMissing",
       [](Stage& stage) {
         stage.end_sessions();
         Sql(cluster().conninfo()).rows("ALTER DATABASE " + stage.database + " RENAME TO away");
       },
       [](Stage& stage) { Sql(cluster().conninfo()).rows("ALTER DATABASE away RENAME TO " + stage.database); },
       {"does not exist", "3D000", "create the database, or mend its name in postgres.url"}},
      {"StatementSlow",
       [](Stage& stage) {
         stage.run(
             "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); "
             "RETURN NULL; END $$; CREATE TRIGGER slow BEFORE INSERT ON observability.job_runs "
             "FOR EACH ROW EXECUTE FUNCTION slow()");
       },
       [](Stage& stage) { stage.run("DROP FUNCTION slow CASCADE"); },
       {"statement timeout", "57014", "raise postgres.statement_timeout"}},
      {"LockHeld",
       [](Stage& stage) {
         stage.sessions.push_back(stage.session());
         EXPECT_TRUE(stage.sessions.back().exec("BEGIN; LOCK TABLE observability.run_attempts"));
       },
       [](Stage& stage) { stage.sessions.clear(); },
       {"lock timeout", "55P03", "see pg_locks"}},
  };
}

class PostgresStates : public testing::TestWithParam<Fault> {};

void expect_said(const std::string& where, const std::string& text, const std::vector<std::string>& says) {
  std::size_t at = 0;
  for (const std::string& words : says) {
    at = text.find(words, at);
    EXPECT_NE(at, std::string::npos) << where << " does not say \"" << words << "\":\n" << text;
    if (at == std::string::npos) return;
  }
}

bool says_all(const std::string& text, const std::vector<std::string>& says) {
  return std::all_of(says.begin(), says.end(),
                     [&](const std::string& words) { return text.find(words) != std::string::npos; });
}

// In JSON quotes are escaped.
std::string plain(std::string json) {
  for (std::size_t at; (at = json.find("\\\"")) != std::string::npos;) json.erase(at, 1);
  return json;
}

void strike_and_mend(const Fault& fault, Stage& stage, std::uint64_t lines) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = lines;
  options.event_runs = 0.3;
  options.start = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  Workload workload(options);
  LogWriter writer(stage.scene.log, workload, {});
  AgentProcess& agent = stage.scene.agent;
  const std::uint64_t before = lines / 4;
  writer.allow(before);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_delivered(stage.scene.sql, agent, before)) << agent.log();

  fault.strike(stage);
  writer.allow_all();
  ASSERT_TRUE(wait_until([&] { return says_all(plain(agent.get("/readyz").body), fault.says); }))
      << agent.get("/readyz").body;
  const HttpAnswer ready = agent.get("/readyz");
  EXPECT_EQ(ready.status, 200);
  EXPECT_NE(ready.body.find("\"status\":\"degraded\""), std::string::npos) << ready.body;
  EXPECT_EQ(agent.get("/readyz?strict=true").status, 503);
  EXPECT_EQ(agent.get("/healthz").status, 200);
  EXPECT_EQ(agent.metric("runtail_sink_up"), 0);
  const std::string status = agent.ask({"status"}).output;
  expect_said("status", status, {"sink postgres: degraded"});
  expect_said("status", status, fault.says);
  expect_said("the log", plain(agent.log()), fault.says);
  EXPECT_EQ(agent.log().find("pass word"), std::string::npos);
  const std::size_t begin = status.find("sink postgres");
  std::printf("%s\n", status.substr(begin, status.find('\n', begin) - begin).c_str());

  fault.mend(stage);
  EXPECT_TRUE(wait_until([&] { return agent.metric("runtail_sink_up") == 1; })) << agent.log();
  EXPECT_TRUE(wait_delivered(stage.scene.sql, agent, lines)) << agent.log();
  expect_delivered(stage.scene.sql, agent, workload.expected());
  EXPECT_EQ(stage.scene.sql.number("SELECT count(*) FROM observability.dead_letters"), 0);
  expect_said("the log", agent.log(), {"sink postgres delivers again"});
  expect_said("status", agent.ask({"status"}).output, {"sink postgres: up"});
}

TEST_P(PostgresStates, AreNamedWithTheirRemedyAndNothingIsLost) {
  std::string name = "states_";
  for (const char c : std::string(GetParam().name)) name += static_cast<char>(std::tolower(c));
  Stage stage(name);
  strike_and_mend(GetParam(), stage, by_scale(1'200, 20'000));
}

INSTANTIATE_TEST_SUITE_P(Faults, PostgresStates, testing::ValuesIn(faults()),
                         [](const auto& fault) { return fault.param.name; });

TEST(PostgresDiskFull, IsNamedAndNothingIsLost) {
  const TempDir directory;
  const std::filesystem::path small = directory / "small";
  std::filesystem::create_directory(small);
  std::filesystem::permissions(directory.path(), std::filesystem::perms(0755));
  const passwd* owner = getpwnam(geteuid() == 0 ? "postgres" : getpwuid(geteuid())->pw_name);
  const std::string options = "size=64m,mode=0700,uid=" + std::to_string(owner ? owner->pw_uid : 0);
  if (mount("tmpfs", small.c_str(), "tmpfs", 0, options.c_str()) != 0)
    GTEST_SKIP() << "mount is refused here: " << std::strerror(errno);
  Fault fault;
  fault.strike = [&](Stage&) {
    std::ofstream ballast(small / "ballast", std::ios::binary);
    const std::string block(1 << 13, 'b');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
  };
  fault.mend = [&](Stage&) { std::filesystem::remove(small / "ballast"); };
  fault.says = {"No space left on device", "53100", "make room there"};
  {
    Stage stage("states_diskfull");
    Sql(cluster().conninfo()).rows("CREATE TABLESPACE small LOCATION '" + small.string() + "'");
    Sql(cluster().conninfo()).rows("ALTER DATABASE states_diskfull SET TABLESPACE small");
    strike_and_mend(fault, stage, by_scale(8'000, 20'000));
  }
  Sql(cluster().conninfo()).rows("DROP DATABASE states_diskfull WITH (FORCE)");
  Sql(cluster().conninfo()).rows("DROP TABLESPACE small");
  umount2(small.c_str(), MNT_DETACH);
}

// A release apart the other way round: tables and columns of a later day harm nobody.
TEST(PostgresSchemaNewer, ThatOnlyAddsIsWrittenTo) {
  Stage stage("states_newer");
  stage.run(
      "INSERT INTO observability.schema_migrations VALUES (99, 'of a later day', '', now(), 'judge');"
      "ALTER TABLE observability.log_events ADD COLUMN of_a_later_day text;"
      "ALTER TABLE observability.job_runs ADD COLUMN of_a_later_day text DEFAULT 'x' NOT NULL");
  WorkloadOptions options;
  options.seed = seed();
  Workload workload(options);
  write_all(stage.scene.log, workload);
  ASSERT_TRUE(stage.scene.agent.start_healthy()) << stage.scene.agent.log();
  EXPECT_TRUE(wait_delivered(stage.scene.sql, stage.scene.agent, options.lines)) << stage.scene.agent.log();
  expect_delivered(stage.scene.sql, stage.scene.agent, workload.expected());
}

}  // namespace
}  // namespace runtail::test
