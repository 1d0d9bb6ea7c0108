// What a person who has to help asks: doctor, tap, check --connect, check --as-service, status --watch. Through the
// real binary, an agent and a database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;
using testing::Not;

Finished runtail(std::vector<std::string> words, std::map<std::string, std::string> environment = {}) {
  Command command;
  command.argv = {RUNTAIL_BINARY};
  command.argv.insert(command.argv.end(), words.begin(), words.end());
  command.environment = std::move(environment);
  return run_to_end(command);
}

std::string line(const std::string& job, const std::string& level, const std::string& msg) {
  return R"({"level":")" + level + R"(","msg":")" + msg + R"(","job_id":")" + job + R"("})";
}

// Its control socket comes a moment after its pages.
bool answers(const AgentProcess& agent) { return agent.ask({"status", "--running"}).exit_code == 0; }

TEST(SupportVerbs, DoctorTellsEverythingAndNoSecret) {
  Scene scene("doctor");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  LogFile log(scene.log);
  log.append_line(R"({"level":"INFO","msg":"m","job_id":"orders","run_id":"r1","event":"run.started"})");
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, 1)) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return answers(scene.agent); }));
  const std::string config = scene.agent.config_path();
  const Finished well = runtail({"doctor", "--config", config});
  for (const char* part : {"== configuration", "digest ", "ledger imbalance: 0", "sink postgres: up", "PostgreSQL 15",
                           "schema observability: version", "partitions up to", "no line was set aside", "0 found"})
    EXPECT_THAT(well.output, HasSubstr(part));
  EXPECT_EQ(well.exit_code, 0) << well.output << well.errors;

  // A row whose run somebody deleted, a secret in a value, a database that asks for a password that is wrong.
  scene.sql.rows(
      "INSERT INTO observability.log_events SELECT (jsonb_populate_record(e, jsonb_build_object("
      "'event_id', gen_random_uuid(), 'run_id', gen_random_uuid(), 'ts', now() - interval '5 hours'))).* "
      "FROM observability.log_events e LIMIT 1");
  const Finished orphan = runtail({"doctor", "--config", config});
  EXPECT_EQ(orphan.exit_code, 5) << orphan.output;
  EXPECT_THAT(orphan.output, HasSubstr("! log_events: 1 rows of the last 2 days name a run that is not there"));
  const Finished away = runtail({"doctor", "--config", config},
                                {{"RUNTAIL_POSTGRES_URL", "postgresql://u:Winter.2026.Rain@127.0.0.1:1/x"},
                                 {"RUNTAIL_SERVICE", "jane.roe@clinic-example.org"}});
  EXPECT_EQ(away.exit_code, 5);
  EXPECT_THAT(away.output, HasSubstr("! connect to PostgreSQL"));
  EXPECT_THAT(away.output + away.errors, Not(HasSubstr("Winter")));
  EXPECT_THAT(away.output + away.errors, Not(HasSubstr("jane.roe")));
  scene.agent.terminate();
  EXPECT_THAT(runtail({"doctor", "--config", config, "--no-connect"}).output, HasSubstr("! control socket"));
  EXPECT_EQ(runtail({"doctor", "--config", "/nonexistent.yaml"}).exit_code, 3);
}

TEST(SupportVerbs, TapShowsRedactedLinesAsTheyComeAndOnlyThoseAskedFor) {
  TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  LogFile log(directory / "etl.log");
  log.append_line(line("orders", "ERROR", "before"));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 1 && answers(agent); }));
  Command command;
  command.argv = {RUNTAIL_BINARY, "tap",     "--directory", agent.buffer(), "--job",
                  "orders",       "--level", "WARN",        "--limit",      "2"};
  command.output = directory / "tap.out";
  command.errors = directory / "tap.err";
  ChildProcess tap(command);
  // It has asked where it begins once it has connected: until then a line may be one of before.
  int written = 0;
  ASSERT_TRUE(wait_until([&] {
    log.append_line(line("orders", "WARN", "mail anna@example.com " + std::to_string(++written)));
    log.append_line(line("orders", "INFO", "too low"));
    log.append_line(line("customers", "ERROR", "another job"));
    return !tap.running();
  })) << read_file(directory / "tap.err");
  EXPECT_EQ(tap.wait(), 0);
  const std::string shown = read_file(directory / "tap.out");
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 2) << shown;
  EXPECT_THAT(shown, HasSubstr("[REDACTED:email]"));
  for (const char* other : {"anna@", "too low", "another job", "before"}) EXPECT_THAT(shown, Not(HasSubstr(other)));
  EXPECT_EQ(runtail({"tap", "--directory", agent.buffer(), "--level", "LOUD"}).exit_code, 2);
  agent.terminate();
  EXPECT_EQ(runtail({"tap", "--directory", agent.buffer()}).exit_code, 4);
}

TEST(SupportVerbs, CheckConnectsAndSaysWhatAnAgentCouldNotDo) {
  PostgresCluster& cluster = PostgresCluster::shared();
  const std::string migrated = cluster.create_migrated_database("check_connect");
  Sql sql(migrated);
  sql.rows("CREATE ROLE check_connect_stranger LOGIN");
  const auto check = [&](const std::string& url) {
    return runtail({"check", "--connect", "--config", "/dev/null"}, {{"RUNTAIL_POSTGRES_URL", url}});
  };
  const Finished well = check(migrated);
  EXPECT_EQ(well.exit_code, 0) << well.errors;
  EXPECT_THAT(well.output, HasSubstr("schema observability: version"));
  const Finished stranger = check(migrated + " user=check_connect_stranger");
  EXPECT_EQ(stranger.exit_code, 5);
  EXPECT_THAT(stranger.errors, HasSubstr("GRANT"));
  const Finished empty = check(cluster.create_database("check_connect_empty"));
  EXPECT_EQ(empty.exit_code, 5);
  EXPECT_THAT(empty.errors, HasSubstr("runtail migrate"));
  EXPECT_EQ(check("host=/nonexistent dbname=x").exit_code, 4);
  EXPECT_EQ(runtail({"check", "--connect", "--config", "/dev/null"}).exit_code, 0) << "no database is none to reach";
}

TEST(SupportVerbs, CheckNamesWhatTheServiceMayNotDoAndItsDropIn) {
  TempDir directory;
  const std::filesystem::path shut = directory / "shut";
  std::filesystem::create_directory(shut);
  chmod(shut.c_str(), 0700);
  std::ofstream(directory / "runtail.yaml") << "sources:\n"
                                               "  - {name: a, include: [/var/log/*.log]}\n"
                                               "  - {name: b, include: ["
                                            << shut.string()
                                            << "/*.log]}\n"
                                               "  - {name: c, type: socket, socket: /srv/worker.sock}\n"
                                               "ndjson: {path: /srv/out.ndjson}\n"
                                               "http: {listen: '0.0.0.0:80'}\n";
  const auto check = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"check", "--config", directory / "runtail.yaml"};
    words.insert(words.end(), more.begin(), more.end());
    return runtail(words);
  };
  const Finished asked = check({"--as-service"});
  EXPECT_EQ(asked.exit_code, 0) << "warnings, as what else will not work here";
  for (const char* part :
       {"ReadWritePaths=/srv", "PrivateTmp=no", "CAP_NET_BIND_SERVICE", "ndjson.path /srv/out.ndjson"})
    EXPECT_THAT(asked.errors, HasSubstr(part));
  EXPECT_THAT(asked.errors, Not(HasSubstr("as a service: source a")));
  EXPECT_THAT(asked.errors, Not(HasSubstr("as a service: buffer")));
  EXPECT_THAT(check({}).errors, Not(HasSubstr("as a service")));
  // What it goes by is what the unit says.
  const std::string unit = read_file(std::string(RUNTAIL_SOURCE_DIR) + "/systemd/runtail.service");
  for (const char* setting :
       {"\nProtectSystem=strict\n", "\nPrivateTmp=yes\n", "\nPrivateDevices=yes\n", "\nStateDirectory=runtail\n",
        "\nCapabilityBoundingSet=\n", "\nSupplementaryGroups=adm systemd-journal\n"})
    EXPECT_THAT(unit, HasSubstr(setting));
}

TEST(SupportVerbs, BufferCatShowsWhatIsKeptAndOnlyWhatIsAskedFor) {
  TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  LogFile log(directory / "etl.log");
  log.append_line(line("orders", "WARN", "mail anna@example.com"));
  log.append_line(line("orders", "INFO", "low"));
  log.append_line(line("customers", "ERROR", "other"));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 3 && answers(agent); }));
  for (int running = 1; running >= 0; --running) {
    const std::string shown = agent.ask({"buffer", "cat", "--job", "orders", "--level", "WARN"}).output;
    EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 1) << shown;
    EXPECT_THAT(shown, HasSubstr("[REDACTED:email]"));
    EXPECT_THAT(agent.ask({"buffer", "cat", "--grep", "oth"}).output, HasSubstr("customers"));
    if (running) agent.terminate();
  }
}

TEST(SupportVerbs, BufferDrainWaitsUntilTheDatabaseHasEverything) {
  PostgresCluster cluster;
  const std::string url = cluster.create_migrated_database("drain");
  TempDir directory;
  AgentProcess agent(tailing(directory, url));
  LogFile log(directory / "etl.log");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return answers(agent); }));
  cluster.stop();
  for (int each = 0; each < 50; ++each) log.append_line(line("orders", "INFO", "m"));
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() == 50; })) << agent.log();
  const Finished late = agent.ask({"buffer", "drain", "--wait", "500ms"});
  EXPECT_EQ(late.exit_code, 1) << late.errors;
  EXPECT_THAT(late.errors, HasSubstr("records for postgres"));
  cluster.start();
  EXPECT_EQ(agent.ask({"buffer", "drain", "--wait", "3m"}).exit_code, 0);
  EXPECT_EQ(Sql(url).log_events(), 50);
  agent.terminate();
  EXPECT_EQ(agent.ask({"buffer", "drain"}).exit_code, 4);
}

TEST(SupportVerbs, StatusIsShownAgainUntilSomebodyEndsIt) {
  TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  Command command;
  ASSERT_TRUE(wait_until([&] { return answers(agent); }));
  command.argv = {RUNTAIL_BINARY, "status", "--watch", "--directory", agent.buffer()};
  command.output = directory / "watch.out";
  ChildProcess watch(command);
  const auto reports = [&] {
    const std::string out = read_file(directory / "watch.out");
    int count = 0;
    for (std::size_t at = 0; (at = out.find("ledger imbalance: ", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_TRUE(wait_until([&] { return reports() >= 2; }));
  EXPECT_THAT(read_file(directory / "watch.out"), Not(HasSubstr("\033"))) << "no terminal, no control characters";
}

}  // namespace
}  // namespace runtail::test
