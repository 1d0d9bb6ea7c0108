// Workers that write their lines into the agent's unix socket.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

// One worker's connection; -1 where it is refused.
int connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

// False: the agent hung up.
bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

class SocketSource : public testing::Test {
 protected:
  void start(const std::string& postgres_url) {
    AgentSetup setup;
    setup.directory = directory.path();
    setup.postgres_url = postgres_url;
    setup.more = "sources:\n  - {name: api, type: socket, socket: \"" + path.string() + "\"}\n";
    agent = std::make_unique<AgentProcess>(setup);
    start_again();
  }
  void start_again() {
    ASSERT_TRUE(agent->start_healthy()) << agent->log();
    ASSERT_TRUE(wait_until([&] {
      const int fd = connect_to(path);
      if (fd >= 0) close(fd);
      return fd >= 0;
    })) << agent->log();
  }
  TempDir directory;
  const std::filesystem::path path = directory / "api.sock";
  std::unique_ptr<AgentProcess> agent;
};

TEST_F(SocketSource, LinesOfManyWorkersAreInPostgresOnce) {
  const Sql sql(PostgresCluster::shared().create_migrated_database("socket_many"));
  start(PostgresCluster::shared().conninfo("socket_many"));
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(20'000, 500'000);
  options.event_runs = 0.3;
  Workload workload(options);
  std::vector<std::string> shares(8);
  std::string line;
  for (std::size_t i = 0; workload.next(line); ++i) shares[i % shares.size()] += line + '\n';
  std::vector<std::thread> workers;
  for (const std::string& share : shares) {
    workers.emplace_back([&] {
      const int fd = connect_to(path);
      EXPECT_TRUE(send_all(fd, share));
      close(fd);
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_TRUE(wait_delivered(sql, *agent, options.lines)) << agent->log();
  expect_every_line_once(sql, options.lines);
  EXPECT_EQ(agent->metric("runtail_ledger_imbalance"), 0);
}

TEST_F(SocketSource, AfterAKillTheNextAgentListensAgainAndWhatWasCommittedIsThereOnce) {
  const Sql sql(PostgresCluster::shared().create_migrated_database("socket_kill"));
  start(PostgresCluster::shared().conninfo("socket_kill"));
  const int before = connect_to(path);
  ASSERT_TRUE(send_all(before, "before\n"));
  ASSERT_TRUE(wait_until([&] { return agent->lines_read() == 1; })) << agent->log();
  agent->kill9();
  EXPECT_TRUE(wait_until([&] { return !send_all(before, "into the void\n"); }));
  close(before);
  start_again();
  const int after = connect_to(path);
  ASSERT_TRUE(send_all(after, "after\n"));
  close(after);
  EXPECT_TRUE(wait_delivered(sql, *agent, 2)) << agent->log();
  EXPECT_EQ(sql.rows("SELECT raw_text FROM observability.log_events ORDER BY raw_text"),
            (std::vector<std::string>{"after", "before"}));
}

TEST_F(SocketSource, APeerThatSendsGarbageWithoutEndHarmsNobody) {
  start("");
  const int garbage = connect_to(path), good = connect_to(path);
  std::string noise(by_scale(32, 1024) << 20, '\0');
  std::thread sender([&] { send_all(garbage, noise); });
  EXPECT_TRUE(send_all(good, "a good line\n"));
  EXPECT_TRUE(wait_until([&] {
    return agent->metric("runtail_lines_total", {{"outcome", "stored"}}) == 1;
  })) << agent->log();
  sender.join();
  close(garbage);
  EXPECT_TRUE(wait_until([&] {
    return agent->metric("runtail_dead_letters_total", {{"reason", "too_long"}}) == 1;
  })) << agent->log();
  EXPECT_LT(agent->peak_kib(), 200u << 10);
  close(good);
}

TEST_F(SocketSource, ASocketThatCannotBeMadeIsNamedByReadiness) {
  AgentSetup setup;
  setup.directory = directory.path();
  const std::filesystem::path missing = directory / "missing";
  setup.more = "sources:\n  - {name: api, type: socket, socket: \"" + (missing / "api.sock").string() + "\"}\n";
  agent = std::make_unique<AgentProcess>(setup);
  ASSERT_TRUE(agent->start_healthy()) << agent->log();
  EXPECT_TRUE(wait_until([&] { return agent->get("/readyz").body.find("api.sock: ") != std::string::npos; }))
      << agent->get("/readyz").body;
  EXPECT_EQ(agent->get("/readyz").status, 503);
  std::filesystem::create_directory(missing);
  EXPECT_TRUE(wait_until([&] { return agent->get("/readyz").status == 200; })) << agent->get("/readyz").body;
}

}  // namespace
}  // namespace runtail::test
