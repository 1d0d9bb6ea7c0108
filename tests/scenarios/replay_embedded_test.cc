// Backfill of an agent that keeps its history itself: runs come, live counters stay, and the agent reads on.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <thread>

#include "tests/support/embedded_replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

TEST(ReplayEmbedded, GivesTheRunsOnceAndMovesNoCounter) {
  EmbeddedScene scene;
  const fs::path logs = scene.directory / "logs";
  const std::size_t half = scene.text.find('\n', scene.text.size() / 2) + 1;
  write_file(logs / "etl.log.1", scene.text.substr(0, half));
  write_file(logs / "etl.log", scene.text.substr(half));
  for (int times = 0; times < 3; ++times) {
    const Finished done = scene.replay({times < 2 ? "--level=WARN" : "--full", logs});
    ASSERT_EQ(done.exit_code, 0) << done.errors;
    EXPECT_NE(done.output.find(R"("store":"embedded")"), std::string::npos);
    const std::string created = R"("created":)" + std::to_string(times == 0 ? scene.expected.runs.size() : 0) + ",";
    EXPECT_NE(done.output.find(created), std::string::npos) << done.output;
    expect_local_runs(scene.agent, scene.expected);
    if (times == 0) run_command({"gzip", logs / "etl.log.1"});
  }
  // The agent finds everything read, and counts only what it reads itself.
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  LogFile(logs / "etl.log").append("{\"level\":\"INFO\",\"msg\":\"one more\"}\n");
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() >= 1; })) << scene.agent.log();
  EXPECT_EQ(scene.agent.lines_read(), 1);
  const auto page = scene.agent.scrape();
  ASSERT_TRUE(page);
  EXPECT_EQ(page->sum("trialsync_jobs_total"), 0);
  EXPECT_EQ(page->sum("trialsync_records_loaded_total"), 0);
  EXPECT_EQ(page->sum("trialsync_jobs_running"), 0);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  expect_local_runs(scene.agent, scene.expected);
}

TEST(ReplayEmbedded, OfWhatTheAgentReadChangesNothing) {
  EmbeddedScene scene;
  const fs::path logs = scene.directory / "logs";
  const auto half = static_cast<std::ptrdiff_t>(scene.text.find('\n', scene.text.size() / 2) + 1);
  write_file(logs / "etl.log", scene.text.substr(0, static_cast<std::size_t>(half)));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const auto read = static_cast<double>(std::count(scene.text.begin(), scene.text.begin() + half, '\n'));
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == read; })) << scene.agent.log();
  scene.agent.terminate();
  const auto page = scene.agent.runs();
  const Finished done = scene.replay({logs});
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_NE(done.output.find(R"("created":0,"updated":0,)"), std::string::npos) << done.output;
  EXPECT_EQ(scene.agent.runs(), page);
  // The rest: killed again and again, and gone on with.
  LogFile(logs / "etl.log").append(scene.text.substr(static_cast<std::size_t>(half)));
  for (int exit_code = -1, wait = 20; exit_code != 0; wait += 40) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "replay", "--config", scene.agent.config_path(), logs};
    command.output = scene.directory / "receipt";
    command.errors = scene.directory / "errors";
    ChildProcess process(command);
    if (!process.wait(std::chrono::milliseconds(wait))) process.signal(SIGKILL);
    exit_code = process.wait().value_or(-1);
    ASSERT_TRUE(exit_code == 0 || exit_code == 128 + SIGKILL) << exit_code << read_file(command.errors);
  }
  expect_local_runs(scene.agent, scene.expected);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  EXPECT_EQ(scene.agent.lines_read(), read);
  // Runs that were open when the agent read last have ended, or are said to run still by the lines after.
  double running = 0;
  for (const auto& run : scene.agent.runs()) running += run.at("status") == "running";
  EXPECT_LE(scene.agent.scrape()->sum("trialsync_jobs_running"), running);
}

TEST(ReplayEmbedded, GoesThroughTheAgentThatRunsAndTailsTheSameFile) {
  EmbeddedScene scene;
  const fs::path logs = scene.directory / "logs", archive = scene.directory / "archive";
  fs::create_directory(archive);
  const auto cut = [&](std::size_t share) { return scene.text.find('\n', scene.text.size() * share / 10) + 1; };
  const std::string old = scene.text.substr(0, cut(3)), older = scene.text.substr(cut(3), cut(6) - cut(3));
  const std::string now = scene.text.substr(cut(6), cut(7) - cut(6)), later = scene.text.substr(cut(7));
  const auto lines = [](const std::string& text) {
    return static_cast<double>(std::count(text.begin(), text.end(), '\n'));
  };
  write_file(archive / "a.log", old);
  write_file(archive / "b.log", older);
  run_command({"gzip", archive / "b.log"});
  write_file(logs / "etl.log", now);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  // The worker writes on, and the replay is killed and begun again, until it has come to the end.
  std::jthread worker([&] {
    LogFile log(logs / "etl.log");
    for (std::size_t at = 0; at < later.size();) {
      const std::size_t end = later.find('\n', std::min(at + 20'000, later.size() - 1)) + 1;
      log.append(later.substr(at, end - at));
      at = end;
    }
  });
  const std::vector<std::string> paths = {archive, logs / "etl.log"};
  for (int exit_code = -1, wait = 60; exit_code != 0; wait += 60) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "replay", "--config", scene.agent.config_path(), "--stream", "test/etl"};
    command.argv.insert(command.argv.end(), paths.begin(), paths.end());
    command.output = scene.directory / "receipt";
    command.errors = scene.directory / "errors";
    ChildProcess process(command);
    if (!process.wait(std::chrono::milliseconds(wait))) process.signal(SIGKILL);
    exit_code = process.wait().value_or(-1);
    ASSERT_TRUE(exit_code == 0 || exit_code == 128 + SIGKILL) << exit_code << read_file(command.errors);
  }
  worker.join();
  const double read = lines(now) + lines(later);
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == read; })) << scene.agent.lines_read();
  expect_local_runs(scene.agent, scene.expected);
  EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  // All of it again, every line of it, changes nothing; nor does it when the agent meets what was replayed.
  const auto runs = scene.agent.runs();
  Finished done = scene.replay({"--full", "--stream", "test/etl", archive, logs});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
  EXPECT_NE(done.output.find(R"("created":0,"updated":0,)"), std::string::npos) << done.output;
  fs::rename(archive / "a.log", logs / "etl.log.1");
  LogFile(logs / "etl.log").append("{\"level\":\"INFO\",\"msg\":\"one more\"}\n");
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() > read; }));
  EXPECT_EQ(scene.agent.lines_read(), read + 1);
  EXPECT_EQ(scene.agent.runs(), runs);
  scene.agent.terminate();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  EXPECT_EQ(scene.agent.lines_read(), read + 1);
  expect_local_runs(scene.agent, scene.expected);
}

TEST(ReplayEmbedded, OnAFullDiskItSaysSoAndGoesOnWhenThereIsRoom) {
  EmbeddedScene scene;
  const fs::path small = scene.directory / "small", logs = scene.directory / "logs";
  fs::create_directory(small);
  if (mount("tmpfs", small.c_str(), "tmpfs", 0, "size=2m") != 0) {
    GTEST_SKIP() << "mount is refused here: " << std::strerror(errno);
  }
  const auto unmount = [&](const fs::path* path) { umount2(path->c_str(), MNT_DETACH); };
  const std::unique_ptr<const fs::path, decltype(unmount)> mounted(&small, unmount);
  fs::create_directory(small / "buffer");
  fs::create_directory_symlink(small / "buffer", scene.directory / "buffer");
  const std::size_t half = scene.text.find('\n', scene.text.size() / 2) + 1;
  write_file(logs / "etl.log.1", scene.text.substr(0, half));
  write_file(logs / "etl.log", scene.text.substr(half));
  std::ofstream(small / "ballast") << std::string(by_scale(1500 << 10, 0), 'b');
  Finished done = scene.replay({"--full", logs});
  EXPECT_EQ(done.exit_code, 4) << done.errors << done.output;
  EXPECT_NE(done.errors.find("No space left"), std::string::npos) << done.errors;
  EXPECT_NE(done.output.find(R"("complete":false)"), std::string::npos) << done.output;
  EXPECT_NE(done.output.find("No space left"), std::string::npos) << done.output;
  ASSERT_EQ(mount("tmpfs", small.c_str(), "tmpfs", MS_REMOUNT, "size=512m"), 0) << std::strerror(errno);
  for (int times = 0; times < 2; ++times) {
    done = scene.replay({"--full", logs});
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
    expect_local_runs(scene.agent, scene.expected);
  }
}

TEST(ReplayEmbedded, AnAgentThatMasksByOtherRulesTakesNothing) {
  EmbeddedScene scene;
  write_file(scene.directory / "logs/etl.log", scene.text);
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  Command command;
  command.argv = {RUNTAIL_BINARY, "replay", "--config", scene.agent.config_path(), scene.directory / "logs"};
  command.environment = {{"RUNTAIL_REDACTION_PACKS", "secrets"}};
  const Finished done = run_to_end(std::move(command));
  EXPECT_EQ(done.exit_code, 3) << done.errors << done.output;
  EXPECT_NE(done.errors.find("goes by other rules of redaction"), std::string::npos) << done.errors;
}

}  // namespace
}  // namespace runtail::test
