// Stack traces of Python, Java, Node and Go between a worker's lines: one row each, with the id of its first line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/container_lines.h"
#include "tests/support/file_scene.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;

const std::string kTraces[] = {
    "Traceback (most recent call last):\n"
    "  File \"/app/load.py\", line 12, in <module>\n"
    "    main()\n"
    "ValueError: no rows\n",

    "Exception in thread \"main\" java.lang.IllegalStateException: no rows\n"
    "\tat com.example.Load.run(Load.java:10)\n"
    "\tat com.example.Load.main(Load.java:4)\n"
    "Caused by: java.io.IOException: closed\n"
    "\t... 2 more\n",

    "/app/load.js:3\n"
    "  throw new Error(\"no rows\");\n"
    "  ^\n"
    "\n"
    "Error: no rows\n"
    "    at Object.<anonymous> (/app/load.js:3:9)\n"
    "    at node:internal/main/run_main_module:28:49\n"
    "\n"
    "Node.js v18.19.0\n",

    "panic: runtime error: index out of range [5] with length 3\n"
    "\n"
    "goroutine 1 [running]:\n"
    "main.main()\n"
    "\t/app/main.go:8 +0x1d\n"
    "exit status 2\n",
};
constexpr char kTraceRows[] = "FROM observability.log_events WHERE message IS NULL OR message NOT LIKE 'seq=%'";

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line + '\n');
  return lines;
}

// How the worker's lines get into the file: as they are, or as docker keeps them.
class StackTrace : public testing::TestWithParam<bool> {
 protected:
  StackTrace() : log(scene.logs / "etl.log") {}
  void write(const std::string& line) {
    log.append(GetParam() ? docker_line(line, "stderr") : line);
    ++written;
  }
  void write_trace(const std::string& trace) {
    for (const std::string& line : lines_of(trace)) write(line);
    ++traces;
  }
  void expect_rows() {
    ASSERT_TRUE(wait_until([&] { return scene.agent.lines_read() == written || !scene.agent.running(); }))
        << scene.agent.lines_read() << " of " << written << '\n'
        << scene.agent.log();
    EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, scene.lines + traces)) << scene.agent.log();
    EXPECT_EQ(scene.sql.log_events(), static_cast<std::int64_t>(scene.lines + traces));
    EXPECT_EQ(scene.sql.number(std::string("SELECT count(*) ") + kTraceRows), static_cast<std::int64_t>(traces));
    EXPECT_EQ(scene.agent.metric("runtail_ledger_imbalance"), 0);
  }

  FileScene scene;
  LogFile log;
  std::uint64_t traces = 0;
  double written = 0;
};

TEST_P(StackTrace, OfEachLanguageIsOneRow) {
  for (const std::string& trace : kTraces) {
    write(scene.line() + '\n');
    write_trace(trace);
  }
  write(scene.line() + '\n');
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  expect_rows();
  for (const std::string words :
       {"%Traceback%ValueError: no rows", "Exception in%IllegalState%Caused by%2 more",
        "/app/load.js:3%Error: no rows%Node.js v18.19.0", "panic: %goroutine 1%/app/main.go:8%"}) {
    EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE raw_text LIKE '" + words + "'"), 1)
        << words;
  }
}

TEST_P(StackTrace, IsOneRowThoughTheAgentIsKilledWhileItIsWritten) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  for (const std::string& trace : kTraces) {
    write(scene.line() + '\n');
    const std::vector<std::string> lines = lines_of(trace);
    write(lines[0]);
    write(lines[1]);
    scene.agent.kill9();
    for (std::size_t i = 2; i < lines.size(); ++i) write(lines[i]);
    ++traces;
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    expect_rows();
    scene.agent.kill9();
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  }
  write(scene.line() + '\n');
  expect_rows();
}

TEST_P(StackTrace, WhatComesAfterTheWaitIsARowOfItsOwn) {
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const std::vector<std::string> lines = lines_of(kTraces[1]);
  write(lines[0]);
  write(lines[1]);
  ++traces;
  expect_rows();  // nobody waits longer for the rest
  write(lines[2]);
  ++traces;
  expect_rows();
  scene.agent.kill9();
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  write(scene.line() + '\n');
  expect_rows();
}

INSTANTIATE_TEST_SUITE_P(In, StackTrace, testing::Values(false, true),
                         [](const auto& docker) { return docker.param ? "ADockerFile" : "APlainFile"; });

TEST(StackTraceId, IsThatOfItsFirstLine) {
  // The same log twice, once with each line for itself: databases of one key give the same line the same id.
  std::string ids[2];
  for (const bool join : {false, true}) {
    AgentSetup setup;
    setup.sources = {{"etl", "*.log", join ? "join_traces: true" : "join_traces: false"}};
    FileScene scene(setup);
    LogFile(scene.logs / "etl.log")
        .append(R"({"level":"INFO","msg":"begins"})"
                "\n" +
                kTraces[0]);
    ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
    ASSERT_TRUE(wait_delivered(scene.sql, scene.agent, join ? 2 : 5)) << scene.agent.log();
    ids[join] = scene.sql.rows("SELECT event_id FROM observability.log_events WHERE raw_text LIKE 'Traceback%'").at(0);
  }
  EXPECT_EQ(ids[0], ids[1]);
}

}  // namespace
}  // namespace runtail::test
