// `runtail migrate --maintain` beside an agent and others that write: what is old goes, nothing waits, nothing is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "core/time.h"
#include "schema/partitions.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using std::chrono::hours;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kSchema[] = "observability";

PgConnection connect(const std::string& database, const std::string& name = "test") {
  auto connection = PgConnection::connect(PostgresCluster::shared().conninfo(database) + " application_name=" + name);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

Finished maintain(const std::string& database, std::vector<std::string> more = {}) {
  Command command;
  command.argv = {RUNTAIL_BINARY, "migrate", "--maintain", "--url", PostgresCluster::shared().conninfo(database)};
  command.argv.insert(command.argv.end(), more.begin(), more.end());
  return run_to_end(command);
}

TimePoint days_ago(int days) { return SystemClock().now() - hours(24 * days); }

// Partitions as an installation has them that was made two months ago.
void make_old_partitions(const std::string& database) {
  PgConnection owner = connect(database);
  RetentionConfig few_days;
  few_days.lines = hours(24 * 33);
  ASSERT_TRUE(maintain_partitions(owner, kSchema, days_ago(0), std::chrono::seconds(5), few_days));
  ASSERT_TRUE(maintain_partitions(owner, kSchema, days_ago(62), std::chrono::seconds(5), {hours(24 * 400), hours(24)}));
}

std::string line(TimePoint at, const std::string& message) {
  return R"({"ts":")" + to_rfc3339(at) + R"(","level":"INFO","msg":")" + message + R"("})";
}

std::string run_line(TimePoint at, const std::string& run, const std::string& event) {
  return R"({"ts":")" + to_rfc3339(at) + R"(","level":"INFO","job_id":"orders","run_id":")" + run + R"(","event":")" +
         event + R"("})";
}

TEST(Upkeep, OldPartitionsGoBesideAWritingAgentAndWhatIsOlderIsExpiredFromThenOn) {
  Scene scene("upkeep_agent");
  make_old_partitions("upkeep_agent");
  LogFile log(scene.log);
  const TimePoint old = days_ago(32);
  log.append_line(line(old, "old"));
  log.append_line(run_line(days_ago(456 + 20), "ancient", "run.started"));
  log.append_line(run_line(days_ago(0), "fresh", "run.started"));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.sql.number("SELECT count(*) FROM observability.run_ids") == 2; }))
      << scene.agent.log();
  ASSERT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message = 'old'"), 1);

  // The agent keeps its connection and so the bounds it read at first; lines come all the time.
  std::atomic<bool> stop = false;
  std::uint64_t written = 0;
  std::thread writing([&] {
    // Some hundred a second.
    while (!wait_until([&] { return stop.load(); }, Deadline(2), Deadline(2))) {
      log.append_line(line(SystemClock().now(), "new " + std::to_string(++written)));
    }
  });
  const Finished done = maintain("upkeep_agent");
  stop = true;
  writing.join();
  EXPECT_EQ(done.exit_code, 0) << done.output << done.errors;
  EXPECT_THAT(done.output, AllOf(HasSubstr("partitions: "), HasSubstr("retention: partitions dropped: "),
                                 HasSubstr("; rows deleted: run_ids 1"), HasSubstr("\nsummaries: ")));
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message = 'old'"), 0);
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.job_runs"), 1);
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.task_runs"), 0);

  log.append_line(line(old, "old again"));
  log.append_line(run_line(days_ago(456 + 20), "ancient", "run.finished"));
  log.append_line(line(days_ago(0), "last"));
  EXPECT_TRUE(wait_until([&] {
    return scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message = 'last'") == 1;
  })) << scene.agent.log();
  EXPECT_EQ(scene.agent.metric("runtail_records_total", {{"table", "job_runs"}, {"outcome", "expired"}}), 1);
  // The line and the two of the run that was.
  EXPECT_EQ(scene.agent.metric("runtail_records_total", {{"table", "log_events"}, {"outcome", "expired"}}), 3);
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'new %'"),
            static_cast<std::int64_t>(written));
  EXPECT_EQ(scene.sql.number("SELECT count(DISTINCT message) FROM observability.log_events WHERE message LIKE 'new %'"),
            static_cast<std::int64_t>(written));
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.dead_letters"), 0);
}

// At any moment of its work: what is there is whole, writers go on, and the next one finishes.
TEST(Upkeep, KilledAtAnyMomentItIsFinishedByTheNext) {
  const std::string database = "upkeep_killed";
  const Sql sql(PostgresCluster::shared().create_migrated_database(database));
  PgConnection writer = connect(database);
  std::uint64_t state = seed();
  for (int round = 0; round < by_scale(2, 40); ++round) {
    make_old_partitions(database);
    ASSERT_TRUE(
        writer.exec("INSERT INTO observability.run_ids SELECT gen_random_uuid(), now() - interval '470 days', true "
                    "FROM generate_series(1, 1500)"));
    Command command;
    command.argv = {RUNTAIL_BINARY, "migrate", "--maintain", "--url", PostgresCluster::shared().conninfo(database)};
    command.output = command.errors = "/dev/null";
    ChildProcess killed(command);
    state = state * 6364136223846793005u + 1442695040888963407u;
    static_cast<void>(killed.wait(Deadline(static_cast<int>((state >> 33) % 400))));
    if (killed.running()) killed.signal(SIGKILL);
    static_cast<void>(killed.wait());
    EXPECT_TRUE(
        writer.exec("SET lock_timeout = '2s'; INSERT INTO observability.run_ids VALUES (gen_random_uuid(), now(), "
                    "false)"));
    const Finished next = maintain(database, {"--lock-timeout", "30s"});
    EXPECT_EQ(next.exit_code, 0) << next.output << next.errors;
    const Finished then = maintain(database);
    EXPECT_EQ(then.output, "partitions: all there\nretention: nothing to remove\nsummaries: up to date\n");
    EXPECT_EQ(sql.number("SELECT count(*) FROM observability.run_ids WHERE scheduled_at < now() - interval '460 days'"),
              0);
    EXPECT_EQ(sql.number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending"), 0);
    // Nothing is left that was detached.
    EXPECT_EQ(sql.number("SELECT count(*) FROM pg_class WHERE relnamespace = 'observability'::regnamespace AND "
                         "relname ~ '_\\d{4}_\\d\\d(_\\d\\d)?$' AND relkind = 'r' AND NOT relispartition"),
              0);
  }
}

TEST(Upkeep, WhatASessionHoldsIsNamedAndLeftToTheNextRun) {
  const std::string database = "upkeep_blocked";
  const Sql sql(PostgresCluster::shared().create_migrated_database(database));
  make_old_partitions(database);
  PgConnection reader = connect(database, "nightly_report");
  ASSERT_TRUE(reader.exec("BEGIN; SELECT count(*) FROM observability.log_events"));
  const Finished blocked = maintain(database, {"--lock-timeout", "300ms"});
  EXPECT_EQ(blocked.exit_code, 1) << blocked.errors;
  EXPECT_THAT(blocked.output, AllOf(HasSubstr("left undone: observability.log_events_"), HasSubstr("held by pid "),
                                    HasSubstr("(nightly_report"), HasSubstr("the next run goes on with it"),
                                    HasSubstr("\nsummaries: up to date")));
  ASSERT_TRUE(reader.exec("COMMIT"));
  EXPECT_EQ(maintain(database).exit_code, 0);
  EXPECT_EQ(maintain(database).output, "partitions: all there\nretention: nothing to remove\nsummaries: up to date\n");
}

}  // namespace
}  // namespace runtail::test
