// Backfill in parts, without PostgreSQL: of times, in any order, beside an agent that reads on, and beside files that
// begin alike.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>

#include "buffer/durable_buffer.h"
#include "core/time.h"
#include "tests/support/embedded_replay_scene.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// Between the lines of a scene: `share` of its lines are before it.
std::string time_of(const EmbeddedScene& scene, double share) {
  std::size_t at = scene.text.find('\n', static_cast<std::size_t>(static_cast<double>(scene.text.size()) * share)) + 1;
  for (;; at = scene.text.find('\n', at) + 1) {
    const std::string line = scene.text.substr(at, scene.text.find('\n', at) - at);
    const std::size_t stamp = line.find("20");
    if (line.front() != '{' || stamp == std::string::npos) continue;
    if (parse_rfc3339(line.substr(stamp, line.find('"', stamp) - stamp))) {
      return line.substr(stamp, line.find('"', stamp) - stamp);
    }
  }
}

void write_rotated(const EmbeddedScene& scene) {
  const std::size_t half = scene.text.find('\n', scene.text.size() / 2) + 1;
  write_file(scene.directory / "logs/etl.log.1", scene.text.substr(0, half));
  run_command({"gzip", scene.directory / "logs/etl.log.1"});
  write_file(scene.directory / "logs/etl.log", scene.text.substr(half));
}

TEST(ReplayEmbeddedParts, OfTimeInAnyOrderAddUpToTheWhole) {
  EmbeddedScene whole, scene;
  write_rotated(whole);
  write_rotated(scene);
  Finished done = whole.replay({whole.directory / "logs"});
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  std::vector<int> parts = {0, 1, 2, 3, 4};
  std::mt19937_64 random(seed());
  std::shuffle(parts.begin(), parts.end(), random);
  std::int64_t taken = 0;
  for (const int part : parts) {
    std::vector<std::string> arguments = {scene.directory / "logs"};
    if (part > 0) arguments.push_back("--from=" + time_of(scene, 0.2 * part));
    if (part < 4) arguments.push_back("--to=" + time_of(scene, 0.2 * (part + 1)));
    done = scene.replay(arguments);
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
    EXPECT_GT(scene.number(done, "outside") + scene.number(done, "duplicate"), 0) << done.output;
    const std::int64_t now =
        scene.number(done, "read") - scene.number(done, "duplicate") - scene.number(done, "outside");
    EXPECT_GT(now, 0) << done.output;
    taken += now;
    // Every part is there once, whatever else is there.
    done = scene.replay(arguments);
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
    EXPECT_EQ(scene.number(done, "duplicate") + scene.number(done, "outside"), scene.number(done, "read"))
        << done.output;
  }
  EXPECT_EQ(taken, static_cast<std::int64_t>(scene.expected.lines));
  expect_local_runs(scene.agent, scene.expected);
  EXPECT_EQ(scene.agent.runs(), whole.agent.runs());
  done = scene.replay({scene.directory / "logs"});
  EXPECT_EQ(scene.number(done, "duplicate"), static_cast<std::int64_t>(scene.expected.lines)) << done.output;
  // The agent finds nothing that is not read.
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  LogFile(scene.directory / "logs/etl.log").append("{\"level\":\"INFO\",\"msg\":\"one more\"}\n");
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() >= 1; })) << scene.agent.log();
  EXPECT_EQ(scene.agent.lines_read(), 1);
  EXPECT_EQ(scene.agent.runs(), whole.agent.runs());
}

TEST(ReplayEmbeddedParts, TheAgentReadsOnBehindWhatIsOpenAndAReplayThroughItFillsThat) {
  EmbeddedScene scene;
  const fs::path log = scene.directory / "logs/etl.log";
  const std::size_t most = scene.text.find('\n', scene.text.size() * 7 / 10) + 1;
  write_file(log, scene.text.substr(0, most));
  Finished done = scene.replay({"--from=" + time_of(scene, 0.5), "--to=" + time_of(scene, 0.6), log});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
  const std::int64_t outside = scene.number(done, "outside");
  EXPECT_GT(outside, 0) << done.output;

  // It goes on where the last line taken ends: what is before stays open, and nothing of it is read twice.
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const std::size_t late = scene.text.find('\n', scene.text.size() * 8 / 10) + 1;
  LogFile(log).append(scene.text.substr(most, late - most));
  const auto count = [&](std::size_t from, std::size_t to) {
    return static_cast<double>(std::count(scene.text.begin() + static_cast<std::ptrdiff_t>(from),
                                          scene.text.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
  };
  const std::size_t after = scene.text.find(time_of(scene, 0.6));
  const std::size_t from = scene.text.rfind('\n', after) + 1;
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == count(from, late); })) << scene.agent.lines_read();

  // The agent has that very file open, and the worker writes on.
  std::jthread worker([&] {
    LogFile file(log);
    for (std::size_t at = late; at < scene.text.size();) {
      const std::size_t end = scene.text.find('\n', std::min(at + 2000, scene.text.size() - 1)) + 1;
      file.append(scene.text.substr(at, end - at));
      at = end;
      (void)scene.agent.lines_read();
    }
  });
  done = scene.replay({"--from=" + time_of(scene, 0.2), log});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
  EXPECT_GT(scene.number(done, "outside"), 0) << done.output;
  // Killed and begun again.
  for (int exit_code = -1, wait = 30; exit_code != 0; wait += 60) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "replay", "--config", scene.agent.config_path(), log};
    command.output = scene.directory / "receipt";
    command.errors = scene.directory / "errors";
    ChildProcess process(command);
    if (!process.wait(milliseconds(wait))) process.signal(SIGKILL);
    exit_code = process.wait().value_or(-1);
    ASSERT_TRUE(exit_code == 0 || exit_code == 128 + SIGKILL) << exit_code << read_file(command.errors);
  }
  worker.join();
  const double read = count(from, scene.text.size());
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == read; })) << scene.agent.lines_read() << ' ' << read;
  expect_local_runs(scene.agent, scene.expected);
  const auto runs = scene.agent.runs();
  done = scene.replay({"--dry-run", log});
  EXPECT_EQ(scene.number(done, "duplicate"), static_cast<std::int64_t>(scene.expected.lines)) << done.output;

  scene.agent.kill9();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  LogFile(log).append("{\"level\":\"INFO\",\"msg\":\"one more\"}\n");
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == read + 1; })) << scene.agent.lines_read();
  EXPECT_EQ(scene.agent.runs(), runs);
}

// Lists of runs, jobs, datasets, results and changes are those the running agent makes of the same lines.
TEST(ReplayEmbeddedParts, TheHistoryIsTheSameWithAndWithoutAnAgent) {
  const TempDir keys;
  write_file(keys / "key", std::string(64, 'a') + "\n");
  fs::permissions(keys / "key", fs::perms(0600));
  const std::string settings = "identity: {key_file: " + (keys / "key").string() + "}\n";
  EmbeddedScene through(settings), alone(settings);
  std::map<std::string, std::string> kept[2];
  for (EmbeddedScene* scene : {&through, &alone}) {
    fs::create_directory(scene->directory / "archive");
    write_file(scene->directory / "archive/etl.log", scene->text);
    if (scene == &through) {
      ASSERT_TRUE(scene->agent.start_healthy()) << scene->agent.log();
      ASSERT_TRUE(wait_until([&] { return scene->agent.get("/readyz").status == 200; })) << scene->agent.log();
    }
    const Finished done = scene->replay({"--stream", "test/etl", scene->directory / "archive"});
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
    if (scene == &through) scene->agent.terminate();
    BufferConfig config;
    config.directory = scene->directory / "buffer";
    const auto buffer = std::move(*DurableBuffer::open(config));
    for (const StateEntry& entry : buffer->scan("e/")) {
      // Places of lines hang on how chunks are numbered, and the agent says of itself that it lives.
      if (entry.key.starts_with("e/l/") || entry.key.starts_with("e/b/") || entry.key.find("/self") != entry.key.npos) {
        continue;
      }
      kept[scene == &alone][entry.key] = entry.value;
    }
    EXPECT_FALSE(buffer->scan("e/l/").empty());
  }
  EXPECT_GT(kept[0].size(), through.expected.runs.size());
  EXPECT_EQ(kept[1].size(), kept[0].size());
  for (const auto& [key, value] : kept[0]) EXPECT_EQ(kept[1][key], value) << key.substr(0, 4);
}

TEST(ReplayEmbeddedParts, WhatIsOlderThanRunsAreKeptCreatesNone) {
  EmbeddedScene scene;
  const fs::path archive = scene.directory / "archive";
  fs::create_directory(archive);
  std::string text;
  const TimePoint now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  for (const int age : {150, 101, 99, 1}) {
    for (const char* event : {"run.started", "run.finished"}) {
      text += "{\"timestamp\":\"" + to_rfc3339(now - std::chrono::days(age)) + R"(","event":")" + event +
              R"(","job_id":"orders","run_id":"d)" + std::to_string(age) + R"(","status":"success"})" + "\n";
    }
  }
  write_file(archive / "old.log", text);
  const auto expect_young = [&](const Finished& done, int expired) {
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
    const std::string counts = R"("job_runs":{"applied":4,"duplicate":0,"expired":)" + std::to_string(expired);
    EXPECT_NE(done.output.find(counts), std::string::npos) << done.output;
    EXPECT_EQ(scene.number(done, "created"), 2) << done.output;
    std::set<std::string> runs;
    for (const auto& run : scene.agent.runs()) runs.insert(run.at("run"));
    EXPECT_EQ(runs, (std::set<std::string>{"d99", "d1"}));
  };
  expect_young(scene.replay({"--stream", "test/old", archive}), 4);
  // Through the agent that runs, too; there as another log's.
  fs::remove_all(scene.directory / "buffer");
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  expect_young(scene.replay({"--stream", "test/old", archive}), 4);
}

// The lines of `runs` runs after a first line that is the same for all; all lines of all have the same length.
std::string begins_alike(char name, int runs) {
  const TimePoint from =
      std::chrono::floor<std::chrono::hours>(std::chrono::system_clock::now()) - std::chrono::hours(2);
  const auto time = [&](int second) { return "{\"timestamp\":\"" + to_rfc3339(from + std::chrono::seconds(second)); };
  std::string text = time(0) + "\",\"level\":\"INFO\",\"msg\":\"worker 7 begins\"}\n";
  for (int run = 100; run < 100 + runs; ++run) {
    for (const auto& [event, second] : {std::pair("run.started.", 1), {"run.finished", 2}}) {
      std::string kind = event;
      std::string member = "status";
      if (kind.back() == '.') {
        kind.pop_back();
        member = "states";
      }
      text += time(10 * second + (name == 'a' ? 1 : 2)) + "\",\"event\":\"" + kind +
              "\",\"job_id\":\"alike\",\"run_id\":\"" + name + std::to_string(run) + "\",\"" + member +
              "\":\"success\"}\n";
    }
  }
  return text;
}

TEST(ReplayEmbeddedParts, AFileTheAgentMeetsMeanwhileIsNotTakenForAnArchiveThatBeginsAlike) {
  EmbeddedScene scene;
  const fs::path archive = scene.directory / "archive";
  fs::create_directory(archive);
  // Long enough to be stopped in.
  std::string first;
  while (first.size() < (30U << 20)) first += scene.text;
  write_file(archive / "first.log", first);
  write_file(archive / "second.log", begins_alike('a', 50));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").status == 200; })) << scene.agent.log();
  Command command;
  command.argv = {RUNTAIL_BINARY,
                  "replay",
                  "--config",
                  scene.agent.config_path(),
                  "--stream",
                  "test/etl",
                  "--workers=1",
                  archive / "first.log",
                  archive / "second.log"};
  command.output = scene.directory / "receipt";
  command.errors = scene.directory / "errors";
  ChildProcess process(command);
  ASSERT_TRUE(wait_until([&] { return !scene.agent.runs().empty(); }));
  process.signal(SIGSTOP);
  write_file(scene.directory / "logs/etl.log", begins_alike('b', 80));
  ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == 161; })) << scene.agent.log();
  process.signal(SIGCONT);
  ASSERT_EQ(process.wait(std::chrono::seconds(60)), 0) << read_file(command.errors);
  std::map<std::string, int> names;
  for (const auto& run : scene.agent.runs()) {
    if (run.at("job_id") == "alike") ++names[run.at("run").substr(0, 1)];
  }
  EXPECT_EQ(names["a"], 50) << read_file(command.output);
  EXPECT_EQ(names["b"], 80);
  // And they stay apart.
  const Finished done = scene.replay({"--stream", "test/etl", archive, scene.directory / "logs"});
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.output;
  EXPECT_EQ(scene.number(done, "duplicate"), scene.number(done, "read")) << done.output;
}

}  // namespace
}  // namespace runtail::test
