// The line to PostgreSQL goes dead without a word: packets vanish, no reset comes. The agent and the server each find
// out within the configured time, and nothing is lost or repeated.
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "schema/pg.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"
#include "tests/support/server_network.h"

namespace runtail::test {
namespace {

using namespace std::chrono_literals;

// What a busy machine adds to a time that is kept.
constexpr std::chrono::milliseconds kMargin = 6s;

std::chrono::milliseconds since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

class PostgresNetwork : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    network_ = ServerNetwork::make(why);
    if (!network_) GTEST_SKIP() << why;
    cluster_ = std::make_unique<PostgresCluster>(
        ClusterOptions{.conf = {"listen_addresses = '" + network_->address() + "'"}, .launcher = network_->launcher()});
    std::ofstream(cluster_->socket_directory() / "data" / "pg_hba.conf", std::ios::app) << "host all all all trust\n";
    ask("postgres", "SELECT pg_reload_conf()");
  }

  std::string url(const std::string& database, const std::string& more = "") const {
    return "host=" + network_->address() + " user=runtail dbname=" + database + ' ' + more;
  }
  std::vector<std::string> ask(const std::string& database, const std::string& sql) const {
    return Sql(cluster_->conninfo(database) + " application_name=judge").rows(sql);
  }
  // Those of the agent in `database`: pid|state|in a transaction. From the server's own machine.
  std::vector<std::string> sessions(const std::string& database, const std::string& which = "true") const {
    return ask(database,
               "SELECT pid, state, xact_start IS NOT NULL FROM pg_stat_activity WHERE application_name = 'runtail' "
               "AND datname = current_database() AND " +
                   which + " ORDER BY pid");
  }
  // An open batch, and the line cut in it; its sessions. Empty: none came.
  std::vector<std::string> cut_in_a_batch(const std::string& database, std::chrono::microseconds later) {
    const std::string open = "xact_start IS NOT NULL";
    wait_until([&] { return !sessions(database, open).empty(); }, kPatience, Deadline(0));
    let_pass(later);
    network_->cut();
    return sessions(database, open);
  }
  // The agent stands still, and the server waits for the next statement of its batch.
  bool stopped_in_a_batch(const AgentProcess& agent, const std::string& database) const {
    return wait_until(
        [&] {
          agent.signal(SIGSTOP);
          const bool open =
              wait_until([&] { return sessions(database, "state = 'active'").empty(); }, kPatience, 1ms) &&
              !sessions(database, "state = 'idle in transaction'").empty();
          if (!open) agent.signal(SIGCONT);
          return open;
        },
        kPatience, 1ms);
  }
  static std::string reason(const AgentProcess& agent) { return agent.get("/readyz").body; }

  std::unique_ptr<ServerNetwork> network_;
  std::unique_ptr<PostgresCluster> cluster_;
};

const std::map<std::string, std::string> kHasty = {{"RUNTAIL_POSTGRES_STATEMENT_TIMEOUT", "2s"},
                                                   {"RUNTAIL_POSTGRES_CONNECT_TIMEOUT", "1s"},
                                                   {"RUNTAIL_POSTGRES_LOCK_TIMEOUT", "500ms"}};
constexpr std::chrono::milliseconds kAnswer = 3s;  // statement and connect

TEST_F(PostgresNetwork, CutInTheMiddleOfBatchesTheAgentFindsOutInTimeAndGoesOnExactlyOnce) {
  const int cuts = by_scale(2, 20);
  WorkloadOptions options;
  options.seed = seed();
  options.lines = static_cast<std::uint64_t>(cuts) * 20'000;
  options.event_runs = 0.3;
  std::mt19937_64 random(seed());
  Scene scene("cut", *cluster_, url("cut"), kHasty);  // one connection: a second one would tell of the first
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  writer.allow(1);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, 1)) << scene.agent.log();
  std::chrono::milliseconds slowest{0}, slowest_return{0};
  for (int cut = 1; cut <= cuts; ++cut) {
    writer.allow(options.lines / static_cast<std::uint64_t>(cuts));
    cut_in_a_batch("cut", std::chrono::microseconds(random() % 100'000));
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_sink_up") == 0; }, kAnswer + kMargin))
        << "the agent believes in a dead line:\n"
        << scene.agent.log();
    slowest = std::max(slowest, since(begin));
    // A new connection meets the same silence. The address is redacted, as any is.
    ASSERT_TRUE(wait_until([&] {
      return reason(scene.agent).find("no answer from PostgreSQL at [REDACTED:ip] within 1000 ms") != std::string::npos;
    })) << reason(scene.agent);
    EXPECT_EQ(scene.agent.get("/readyz").status, 200);
    network_->mend();
    const auto mended = std::chrono::steady_clock::now();
    ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_sink_up") == 1; })) << scene.agent.log();
    slowest_return = std::max(slowest_return, since(mended));
  }
  writer.allow_all();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  std::printf("%d cuts: found after %.1f s at most, delivering %.1f s after the mend at most\n", cuts,
              static_cast<double>(slowest.count()) / 1e3, static_cast<double>(slowest_return.count()) / 1e3);
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

// The machine of the agent is gone: the server must not hold the batch's locks until its own two hours are over.
TEST_F(PostgresNetwork, TheServerLetsGoOfAVanishedAgentsBatchAndItsSuccessorGoesOn) {
  const int cuts = by_scale(2, 20);
  WorkloadOptions options;
  options.seed = seed();
  options.lines = static_cast<std::uint64_t>(cuts) * 20'000;
  options.event_runs = 0.3;
  auto environment = kHasty;
  environment["RUNTAIL_POSTGRES_BATCH_ROWS_MAX"] = "5000";  // facts go ahead: two connections
  Scene scene("vanished", *cluster_, url("vanished"), environment);
  Workload workload(options);
  LogWriter writer(scene.log, workload, {});
  std::chrono::milliseconds slowest{0};
  for (int cut = 1; cut <= cuts; ++cut) {
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    writer.allow(options.lines / static_cast<std::uint64_t>(cuts));
    ASSERT_TRUE(stopped_in_a_batch(scene.agent, "vanished")) << scene.agent.log();
    network_->cut();
    scene.agent.kill9();  // its farewell is swallowed
    const auto begin = std::chrono::steady_clock::now();
    const auto left_open = [&] { return sessions("vanished", "xact_start IS NOT NULL"); };
    EXPECT_FALSE(left_open().empty());
    EXPECT_TRUE(wait_until([&] { return left_open().empty(); }, kAnswer + kMargin, Deadline(50)))
        << "the server keeps " << left_open().front();
    slowest = std::max(slowest, since(begin));
    network_->mend();
  }
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  writer.allow_all();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  std::printf("%d batches left open at the server, let go after %.1f s at most\n", cuts,
              static_cast<double>(slowest.count()) / 1e3);
  expect_delivered(scene.sql, scene.agent, workload.expected());
}

// Long before the statement's own time is over, and whatever that is.
TEST_F(PostgresNetwork, WhatTheServerDoesNotAcknowledgeEndsTheConnectionAfterTcpUserTimeout) {
  Scene scene("unacknowledged", *cluster_, url("unacknowledged", "tcp_user_timeout=1500"),
              {{"RUNTAIL_POSTGRES_STATEMENT_TIMEOUT", "10m"}});
  LogFile log(scene.log);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  log.append_line(R"({"msg":"one"})");
  ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, 1)) << scene.agent.log();
  network_->cut();
  const auto begin = std::chrono::steady_clock::now();
  log.append_line(R"({"msg":"two"})");
  ASSERT_TRUE(wait_until([&] { return scene.agent.metric("runtail_sink_up") == 0; }, 1500ms + kMargin))
      << scene.agent.log();
  std::printf("given up after %.1f s\n", static_cast<double>(since(begin).count()) / 1e3);
  EXPECT_NE(scene.agent.log().find("timed out"), std::string::npos) << scene.agent.log();
  network_->mend();
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, 2)) << scene.agent.log();
}

}  // namespace
}  // namespace runtail::test
