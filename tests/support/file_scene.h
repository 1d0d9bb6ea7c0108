// The stage of scenarios about files: a folder of logs apart from the agent's own files, lines that say their number,
// and the question whether each arrived once.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {

struct FileScene {
  // `setup`: what differs from an agent that tails *.log in the folder of logs into a database of its own. Patterns in
  // it are relative to that folder.
  explicit FileScene(AgentSetup setup = {})
      : logs(directory / "logs"),
        database("file_scene_" + std::to_string(++scenes_)),
        sql(PostgresCluster::shared().create_migrated_database(database)),
        agent(complete(std::move(setup))) {}

  // The next line, without newline.
  std::string line() { return R"({"level":"INFO","msg":"seq=)" + std::to_string(lines++) + " some text\"}"; }
  std::string some_lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += line() + '\n';
    return text;
  }

  testing::AssertionResult all_read() {
    const bool read = wait_until([&] { return agent.lines_read() == static_cast<double>(lines) || !agent.running(); });
    if (read && agent.running()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << agent.lines_read() << " of " << lines << " lines read\n" << agent.log();
  }
  // Each line is one row, nothing was lost, the ledgers close.
  void expect_all_once() {
    ASSERT_TRUE(all_read());
    EXPECT_TRUE(wait_delivered(sql, agent, lines)) << agent.log();
    expect_every_line_once(sql, lines);
    EXPECT_EQ(agent.metric("runtail_lost_bytes_total"), 0) << agent.log();
    EXPECT_EQ(agent.metric("runtail_ledger_imbalance"), 0);
  }
  double lost(const std::string& reason) const {
    return agent.metric("runtail_lost_bytes_total", {{"reason", reason}});
  }
  double lag() const { return agent.metric("runtail_source_lag_bytes"); }

  // The agent reads no further from here on, until empty_buffer(); it still looks at its files. Lines go to `log` until
  // it notices.
  void fill_buffer(LogFile& log) {
    const int fd = ::open(ballast().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const int failed = fd < 0 ? errno : ::posix_fallocate(fd, 0, kBufferBytes);
    ::close(fd);
    if (failed != 0) throw std::runtime_error("ballast in " + agent.buffer().string());
    const auto is_full = [&] { return agent.get("/readyz").body.find("full: sources wait") != std::string::npos; };
    while (!is_full()) {
      if (!agent.running()) throw std::runtime_error("the agent ended: " + agent.log());
      log.append_line(line());
      wait_until([&] { return agent.lines_read() == static_cast<double>(lines) || is_full(); });
    }
  }
  void empty_buffer() { std::filesystem::remove(ballast()); }

  TempDir directory;
  std::filesystem::path logs;
  std::string database;
  Sql sql;
  AgentProcess agent;
  std::uint64_t lines = 0;  // made so far

 private:
  static inline int scenes_ = 0;
  static constexpr off_t kBufferBytes = 64 << 20;  // the least that may be configured

  std::filesystem::path ballast() const { return agent.buffer() / "ballast"; }
  AgentSetup complete(AgentSetup setup) const {
    std::filesystem::create_directory(logs);
    setup.directory = directory.path();
    if (setup.sources.empty()) setup.sources = {{"etl", "*.log"}};
    for (AgentSource& source : setup.sources) {
      if (!source.include.empty()) source.include = (logs / source.include).string();
    }
    if (setup.postgres_url.empty()) setup.postgres_url = PostgresCluster::shared().conninfo(database);
    setup.environment.emplace("RUNTAIL_BUFFER_BYTES_MAX", std::to_string(kBufferBytes));
    return setup;
  }
};

}  // namespace runtail::test
