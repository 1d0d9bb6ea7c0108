// How an agent comes to its PostgreSQL: over TLS that is checked, by the names of the environment, and to a server that
// takes writes.
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cctype>
#include <fstream>
#include <stdexcept>

#include "schema/pg.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

constexpr const char* kPassword = "a plain pass word";

void openssl(std::vector<std::string> arguments) {
  Command command;
  command.argv = {"openssl"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  const Finished done = run_to_end(command);
  if (done.exit_code != 0) throw std::runtime_error("openssl " + arguments[0] + ": " + done.errors);
}

// A server on an address of its own that takes passwords over TLS only, with a certificate for "database.test".
class PostgresOverTls : public testing::Test {
 protected:
  PostgresOverTls()
      // All of 127.0.0.0/8 is this machine: the usual port is free there.
      : address_("127.9." + std::to_string(::getpid() >> 8 & 0xFF) + '.' + std::to_string((::getpid() & 0xFF) | 1)),
        cluster_({.conf = {"listen_addresses = '" + address_ + "'"}}) {
    const auto in = [&](const char* name) { return (certificates_ / name).string(); };
    const std::vector<std::string> key = {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"};
    const auto request = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), "req");
      arguments.insert(arguments.end(), key.begin(), key.end());
      openssl(std::move(arguments));
    };
    for (const std::string name : {"ca", "other"}) {
      request({"-x509", "-days", "2", "-subj", "/CN=" + name, "-keyout", (certificates_ / (name + ".key")).string(),
               "-out", (certificates_ / (name + ".crt")).string()});
    }
    request({"-subj", "/CN=database.test", "-keyout", in("server.key"), "-out", in("server.csr")});
    openssl({"x509", "-req", "-in", in("server.csr"), "-CA", in("ca.crt"), "-CAkey", in("ca.key"), "-CAcreateserial",
             "-days", "2", "-out", in("server.crt")});
    const std::filesystem::path data = cluster_.socket_directory() / "data";
    for (const char* name : {"server.key", "server.crt"}) {
      std::filesystem::copy_file(in(name), data / name);
      std::filesystem::permissions(data / name, std::filesystem::perms(0600));
      const passwd* owner = ::getpwnam("postgres");
      if (::geteuid() == 0 && owner && ::chown((data / name).c_str(), owner->pw_uid, owner->pw_gid) != 0)
        throw std::runtime_error("give " + (data / name).string() + " to user postgres");
    }
    std::ofstream(data / "pg_hba.conf", std::ios::app) << "hostssl all writer all scram-sha-256\n";
    admin_.rows("CREATE ROLE writer LOGIN SUPERUSER PASSWORD '" + std::string(kPassword) + "'");
    switch_tls(true);
  }

  void switch_tls(bool on) {
    admin_.rows(std::string("ALTER SYSTEM SET ssl = ") + (on ? "on" : "off"));
    admin_.rows("SELECT pg_reload_conf()");
    EXPECT_TRUE(wait_until([&] { return admin_.rows("SHOW ssl") == std::vector<std::string>{on ? "on" : "off"}; }));
  }
  std::string url(const std::string& more) const {
    return "host=database.test hostaddr=" + address_ + " user=writer password='" + kPassword + "' dbname=reached " +
           more;
  }
  std::string certificate(const char* name) const { return (certificates_ / name).string(); }

  // The agent stays, waits, and says all of `says`.
  void expect_refused(const std::string& conninfo, const std::vector<std::string>& says) {
    Scene scene("reached", cluster_, conninfo);
    LogFile(scene.log).append_line(R"({"msg":"m"})");
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    for (const std::string& words : says) {
      EXPECT_TRUE(wait_until([&] { return scene.agent.get("/readyz").body.find(words) != std::string::npos; },
                             Deadline(15'000)))
          << words << " is not in " << scene.agent.get("/readyz").body;
      EXPECT_TRUE(wait_until([&] { return scene.agent.ask({"status"}).output.find(words) != std::string::npos; },
                             Deadline(15'000)))
          << words << " is not in " << scene.agent.ask({"status"}).output;
      EXPECT_NE(scene.agent.log().find(words), std::string::npos) << scene.agent.log();
    }
    EXPECT_EQ(scene.agent.get("/readyz").status, 200);
    EXPECT_EQ(scene.sql.log_events(), 0);
    EXPECT_EQ(scene.agent.log().find("pass word"), std::string::npos);
    std::printf("%s\n", scene.agent.ask({"status"}).output.c_str());
  }

  const TempDir certificates_;
  const std::string address_;
  PostgresCluster cluster_;
  const Sql admin_{cluster_.conninfo()};
};

TEST_F(PostgresOverTls, NamedByTheEnvironmentAloneIsVerifiedInFullAndWrittenTo) {
  const std::string pass_file = certificate("pgpass");
  std::ofstream(pass_file) << "*:*:*:writer:" << kPassword << '\n';
  std::filesystem::permissions(pass_file, std::filesystem::perms(0600));
  std::ofstream(certificate("password")) << kPassword;
  // Each way to give the password.
  const std::pair<std::string, std::string> ways[] = {{"PGPASSFILE", pass_file},
                                                      {"PGPASSWORD", kPassword},
                                                      {"RUNTAIL_POSTGRES_PASSWORD_FILE", certificate("password")}};
  for (const auto& [variable, value] : ways) {
    std::string database = "by_";
    for (const char c : variable) database += static_cast<char>(std::tolower(c));
    const Sql sql(cluster_.create_migrated_database(database));
    const TempDir directory;
    AgentSetup setup = tailing(directory, "",
                               {{"RUNTAIL_POSTGRES_URL", "postgresql://"},
                                {"PGHOST", "database.test"},
                                {"PGHOSTADDR", address_},
                                {"PGPORT", "5432"},
                                {"PGUSER", "writer"},
                                {"PGDATABASE", database},
                                {"PGSSLMODE", "verify-full"},
                                {"PGSSLROOTCERT", certificate("ca.crt")},
                                {variable, value}});
    AgentProcess agent(setup);
    LogFile(directory / "etl.log").append_line(R"({"msg":"m"})");
    ASSERT_TRUE(agent.start_healthy()) << agent.log();
    EXPECT_TRUE(wait_delivered(sql, agent, 1)) << variable << '\n' << agent.log();
    EXPECT_EQ(sql.rows("SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                       "WHERE application_name = 'runtail' AND usename = 'writer'"),
              std::vector<std::string>{"t"});
    EXPECT_EQ(agent.log().find("pass word"), std::string::npos);
  }
}

TEST_F(PostgresOverTls, OfAnotherNameIsRefusedBeforeAnythingIsSaid) {
  std::string conninfo = url("sslmode=verify-full sslrootcert=" + certificate("ca.crt"));
  conninfo.replace(conninfo.find("database.test"), 13, "elsewhere.test");
  expect_refused(conninfo, {"does not match host name", "elsewhere.test",
                            "postgres.url must name the server as its certificate does"});
}

TEST_F(PostgresOverTls, OfAnUnknownAuthorityIsRefused) {
  expect_refused(url("sslmode=verify-full sslrootcert=" + certificate("other.crt")),
                 {"certificate verify failed", "name the CA of the server's certificate in sslrootcert"});
}

TEST_F(PostgresOverTls, WithNoAuthorityToAskIsRefused) {
  expect_refused(url("sslmode=verify-full sslrootcert=" + certificate("nowhere.crt")),
                 {"nowhere.crt", "does not exist", "in sslrootcert of postgres.url, or in PGSSLROOTCERT"});
}

TEST_F(PostgresOverTls, SwitchedOffAtTheServerIsRefused) {
  switch_tls(false);
  expect_refused(url("sslmode=require"), {"does not support SSL", "switch ssl on in the server"});
}

// Every setting of a session that keeps us from waiting for ever, as the server has it in the middle of a batch.
TEST(PostgresSession, HasItsTimeLimitsInEveryBatch) {
  Scene scene("session", PostgresCluster::shared(), "",
              {{"RUNTAIL_POSTGRES_STATEMENT_TIMEOUT", "20s"},
               {"RUNTAIL_POSTGRES_LOCK_TIMEOUT", "3s"},
               {"RUNTAIL_POSTGRES_CONNECT_TIMEOUT", "4s"}});
  scene.sql.rows(
      "CREATE TABLE public.seen (name text, setting text);"
      "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO public.seen SELECT s.name, s.setting FROM pg_settings s; RETURN NULL; END $$;"
      "CREATE TRIGGER see AFTER INSERT ON observability.log_events FOR EACH STATEMENT EXECUTE FUNCTION see()");
  LogFile(scene.log).append_line(R"({"msg":"m"})");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, 1)) << scene.agent.log();
  EXPECT_EQ(scene.sql.rows("SELECT DISTINCT name, setting FROM public.seen WHERE name IN ('statement_timeout', "
                           "'lock_timeout', 'idle_in_transaction_session_timeout', 'synchronous_commit', "
                           "'application_name') ORDER BY name"),
            (std::vector<std::string>{"application_name|runtail", "idle_in_transaction_session_timeout|24000",
                                      "lock_timeout|3000", "statement_timeout|20000", "synchronous_commit|on"}));
  // What was set for the batch is gone with it: a pooler gives the session to others.
  EXPECT_EQ(scene.sql.rows("SHOW statement_timeout"), std::vector<std::string>{"0"});
}

const std::vector<std::string> kReplicated = {"wal_level = replica", "max_wal_senders = 4", "hot_standby = on"};

TEST(PostgresStandby, IsRecognisedAndWrittenToOnceItIsPromoted) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(2'000, 50'000);
  options.event_runs = 0.3;
  PostgresCluster primary({.conf = kReplicated});
  const std::string ignored = primary.create_migrated_database("standby");
  PostgresCluster standby({.conf = kReplicated, .primary = &primary});
  const TempDir directory;
  const Sql sql(standby.conninfo("standby"));
  AgentProcess agent(tailing(directory, standby.conninfo("standby")));
  Workload workload(options);
  write_all(directory / "etl.log", workload);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] {
    return agent.get("/readyz").body.find("the server is a standby") != std::string::npos;
  })) << agent.get("/readyz").body;
  EXPECT_EQ(agent.get("/readyz").status, 200);
  EXPECT_TRUE(wait_until([&] {
    return agent.ask({"status"}).output.find("target_session_attrs=read-write") != std::string::npos;
  })) << agent.ask({"status"}).output;
  standby.promote();
  EXPECT_TRUE(wait_delivered(sql, agent, options.lines)) << agent.log();
  expect_delivered(sql, agent, workload.expected());
}

// The primary dies under load, its synchronous standby takes over: the agent finds it among its hosts.
TEST(PostgresStandby, TakesOverFromThePrimaryExactlyOnce) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(12'000, 200'000);
  options.event_runs = 0.3;
  PostgresCluster primary({.conf = kReplicated});
  const std::string ignored = primary.create_migrated_database("failover");
  PostgresCluster standby({.conf = kReplicated, .primary = &primary});
  const Sql before(primary.conninfo("failover")), after(standby.conninfo("failover"));
  ASSERT_TRUE(wait_until([&] { return before.number("SELECT count(*) FROM pg_stat_replication") == 1; }));
  before.rows("ALTER SYSTEM SET synchronous_standby_names = '*'");
  before.rows("SELECT pg_reload_conf()");
  ASSERT_TRUE(wait_until(
      [&] { return before.rows("SELECT sync_state FROM pg_stat_replication") == std::vector<std::string>{"sync"}; }));
  const TempDir directory;
  AgentProcess agent(tailing(directory,
                             "host=" + primary.socket_directory().string() + ',' + standby.socket_directory().string() +
                                 " user=runtail dbname=failover target_session_attrs=read-write",
                             {{"RUNTAIL_POSTGRES_BATCH_ROWS_MAX", "500"}}));
  Workload workload(options);
  LogWriter writer(directory / "etl.log", workload, {});
  writer.allow(options.lines / 2);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return before.log_events() > 0; })) << agent.log();
  primary.stop(PostgresCluster::Stop::kImmediate);
  writer.allow_all();
  standby.promote();
  EXPECT_TRUE(wait_delivered(after, agent, options.lines)) << agent.log();
  expect_delivered(after, agent, workload.expected());
}

}  // namespace
}  // namespace runtail::test
