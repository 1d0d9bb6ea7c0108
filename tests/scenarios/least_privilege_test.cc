// The agent as a member of the writer role and nothing more: every kind of record arrives. Without a right it needs, it
// says which, loses nothing and goes on by itself once the right is there.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

// A database whose owner is no superuser, migrated by the real program, and the agent's user.
struct Roles {
  explicit Roles(const std::string& name) : database(name), admin(PostgresCluster::shared().create_database(name)) {
    admin.rows("CREATE ROLE " + name + "_owner LOGIN CREATEROLE");
    admin.rows("GRANT CREATE ON DATABASE " + name + " TO " + name + "_owner");
    const Finished migrated = migrate({"--url", url(name + "_owner"), "--roles", name});
    if (migrated.exit_code != 0) throw std::runtime_error(migrated.errors);
    admin.rows("CREATE ROLE " + name + "_agent LOGIN IN ROLE " + name + "_writer");
  }
  std::string url(const std::string& user) const {
    return PostgresCluster::shared().conninfo(database) + " user=" + user;
  }
  std::string agent_url() const { return url(database + "_agent"); }
  static Finished migrate(std::vector<std::string> arguments) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "migrate"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    return run_to_end(command);
  }
  std::string database;
  Sql admin;
};

std::string line(const std::string& members) {
  return R"({"ts":")" + to_rfc3339(SystemClock().now()) + R"(","level":"INFO","job_id":"orders","run_id":"r1",)" +
         members + "}";
}

TEST(LeastPrivilege, TheWriterRoleIsEnoughForEveryKindOfRecord) {
  const Roles roles("least_privilege");
  const TempDir directory;
  AgentProcess agent(tailing(directory, roles.agent_url()));
  LogFile log(directory / "etl.log");
  const std::string lines[] = {
      line(R"("msg":"q","event":"run.queued","correlation_id":"c")"), line(R"("msg":"s","event":"run.started")"),
      line(R"("msg":"t","event":"task.started","task":"load","phase":"load")"),
      line(R"("msg":"t","event":"task.finished","task":"load","status":"success","records_loaded":5)"),
      line(R"("msg":"a","event":"attempt.finished","attempt":1,"status":"failed","error_message":"x","exit_code":1)"),
      line(R"("msg":"a","event":"attempt.started","attempt":2)"),
      line(R"("msg":"d","event":"dq","table":"stg","row_count":7)"),
      line(
          R"("msg":"d","event":"dq","table":"stg","check":"not_null","status":"warn","metric":"nulls","value":1,"threshold":0)"),
      // A time no clock shows yet: a dead letter.
      line(R"("msg":"p","ts":"2199-01-01T00:00:00Z")"),
      line(R"("msg":"f","event":"run.finished","attempt":2,"status":"success","dataset":"sales","records_loaded":9)")};
  for (const std::string& each : lines) log.append_line(each);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_TRUE(wait_until([&] { return roles.admin.log_events() >= 9; })) << agent.log();
  for (const char* table : {"etl_jobs", "run_ids", "job_runs", "run_attempts", "task_runs", "run_state_changes",
                            "dq_observations", "dq_check_definitions", "dq_check_results", "dataset_status",
                            "source_files", "source_facts", "dead_letters", "summary_dirty"}) {
    EXPECT_GT(roles.admin.number("SELECT count(*) FROM observability." + std::string(table)), 0) << table;
  }
  EXPECT_EQ(roles.admin.rows("SELECT status, dq_status, attempt_count FROM observability.job_runs"),
            std::vector<std::string>{"success|warn|2"})
      << agent.log();

  // Whoever makes the partitions needs no more than the retention role.
  roles.admin.rows("CREATE ROLE least_privilege_upkeep LOGIN IN ROLE least_privilege_retention");
  const Finished upkeep = Roles::migrate({"--url", roles.url("least_privilege_upkeep"), "--maintain"});
  EXPECT_EQ(upkeep.exit_code, 0) << upkeep.errors;

  // Positions lost, rows kept: each row is looked up, which needs no more than its key.
  EXPECT_EQ(agent.terminate().exit_code, 0);
  roles.admin.rows("DELETE FROM observability.source_files; DELETE FROM observability.source_facts");
  std::filesystem::remove_all(agent.buffer());
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_TRUE(wait_until([&] {
    return roles.admin.number(
               "SELECT count(*) FROM observability.source_files WHERE stream NOT LIKE '%/runtail/self'") == 1;
  })) << agent.log();
  EXPECT_EQ(roles.admin.log_events(), 9);
}

TEST(LeastPrivilege, ARightTakenAwayIsSaidAndNothingIsLostUntilItIsBack) {
  const Roles roles("right_revoked");
  const TempDir directory;
  AgentProcess agent(tailing(directory, roles.agent_url()));
  LogFile log(directory / "etl.log");
  log.append_line(line(R"("msg":"one")"));
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return roles.admin.log_events() == 1; })) << agent.log();
  roles.admin.rows("REVOKE INSERT ON observability.log_events FROM right_revoked_writer");
  log.append_line(line(R"("msg":"two")"));
  ASSERT_TRUE(wait_until([&] { return agent.log().find("42501") != std::string::npos; })) << agent.log();
  EXPECT_TRUE(wait_until([&] {
    return agent.ask({"status"}).output.find("writer role on schema observability") != std::string::npos;
  })) << agent.log();
  EXPECT_EQ(roles.admin.number("SELECT count(*) FROM observability.dead_letters"), 0);
  const Finished granted = Roles::migrate({"--url", roles.url("right_revoked_owner"), "--roles", "right_revoked"});
  ASSERT_EQ(granted.exit_code, 0) << granted.errors;
  // By itself it tries again after 30 s; a restart tries at once.
  if (!long_run()) {
    EXPECT_EQ(agent.terminate().exit_code, 0);
    ASSERT_TRUE(agent.start_healthy()) << agent.log();
  }
  EXPECT_TRUE(wait_until([&] { return roles.admin.log_events() == 2; }, Deadline(60'000))) << agent.log();
}

}  // namespace
}  // namespace runtail::test
