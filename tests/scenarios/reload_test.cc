// The configuration is read anew on SIGHUP while workers write: what changed is in force, what is wrong changes
// nothing, and each line is there once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/exec_stage.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;

constexpr const char* kReadAt = "runtail_config_last_reload_success_timestamp_seconds";
constexpr const char* kTaken = "runtail_config_last_reload_successful";

void write(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }

// HUP, and waits until the configuration written before is in force.
bool reload(const AgentProcess& agent) {
  const double before = agent.metric(kReadAt);
  agent.signal(SIGHUP);
  return wait_until([&] { return agent.metric(kReadAt) > before && agent.metric(kTaken) == 1; });
}

bool refuses(const AgentProcess& agent) {
  agent.signal(SIGHUP);
  return wait_until([&] { return agent.metric(kTaken) == 0; });
}

TEST(Reload, OfTwentyInARowLosesNoLineAndRepeatsNone) {
  Scene scene("reload");
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale<std::uint64_t>(10'000, 200'000);
  options.event_runs = 0.3;
  Workload workload(options);
  LogWriter writer(scene.log, workload, {.rotate_every = options.lines / 7, .partial_every = 97});
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  const std::string text = read_file(scene.agent.config_path());
  const std::uint64_t share = options.lines / 21;
  for (int turn = 0; turn < 20; ++turn) {
    writer.allow(share);
    write(scene.agent.config_path(), text + "ignore_older: " + std::to_string(turn + 7) + "d\n");
    ASSERT_TRUE(reload(scene.agent)) << turn << "\n" << scene.agent.log();
    EXPECT_TRUE(scene.agent.running());
  }
  writer.allow_all();
  ASSERT_TRUE(wait_until([&] { return writer.done(); }));
  EXPECT_TRUE(wait_delivered(scene.sql, scene.agent, options.lines)) << scene.agent.log();
  expect_delivered(scene.sql, scene.agent, workload.expected());
  EXPECT_EQ(scene.agent.terminate().exit_code, 0);
}

TEST(Reload, OfAWrongFileKeepsTheOneBeforeAndSaysSo) {
  TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  LogFile log(directory / "etl.log");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_EQ(agent.metric(kTaken), 1);
  const std::string text = read_file(agent.config_path());
  const std::string wrongs[] = {
      text + "sorces: []\n",                                                        // an unknown key
      text + "redaction: {rules: [" + (directory / "none.yaml").string() + "]}\n",  // a file that is missing
      text + "push: {url: 'http://127.0.0.1:9'}\n",                                 // right, and takes a restart
  };
  const char* reasons[] = {"did you mean \"sources\"", "none.yaml", "push.url changed: that takes a restart"};
  int lines = 0;
  for (const std::string& wrong : wrongs) {
    write(agent.config_path(), wrong);
    ASSERT_TRUE(refuses(agent)) << agent.log();
    const std::string status = agent.ask({"status"}).output;
    EXPECT_THAT(status, HasSubstr("the one before stays in force"));
    EXPECT_THAT(status, HasSubstr(reasons[&wrong - wrongs]));
    log.append_line(R"({"level":"INFO","msg":"still read"})");
    ++lines;
    EXPECT_TRUE(wait_until([&] { return agent.lines_read() == lines; })) << agent.log();
    write(agent.config_path(), text);
    ASSERT_TRUE(reload(agent)) << agent.log();
    EXPECT_THAT(agent.ask({"status"}).output, HasSubstr("configuration: in force since"));
  }
  EXPECT_EQ(agent.get("/readyz").status, 200);
  EXPECT_EQ(agent.terminate().exit_code, 0);
}

TEST(Reload, TakesOtherSourcesRulesLevelsAndSinks) {
  TempDir directory;
  AgentProcess agent(tailing(directory, ""));
  LogFile first(directory / "etl.log"), second(directory / "second.log");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  first.append_line(R"({"level":"INFO","msg":"one","job_id":"a","run_id":"r1","event":"run.started"})");
  second.append_line(R"({"level":"DEBUG","msg":"left out"})");
  second.append_line(R"({"level":"INFO","msg":"id 4711 seen","lane":"blue"})");
  EXPECT_TRUE(wait_until([&] { return agent.lines_read() == 1; }));

  std::string text = read_file(agent.config_path());
  text.replace(text.find("etl.log"), 7, "second.log");
  text.replace(text.find("name: etl"), 9, "name: two");
  write(agent.config_path(), text + "lines: {level: {any: INFO}}\nredaction: {allow: [lane]}\nndjson: {path: " +
                                 (directory / "out.ndjson").string() + "}\n");
  ASSERT_TRUE(reload(agent)) << agent.log();
  EXPECT_TRUE(wait_until([&] { return agent.lines_read() == 3; })) << agent.log();
  EXPECT_TRUE(wait_until([&] { return read_file(directory / "out.ndjson").find("seen") != std::string::npos; }));
  EXPECT_THAT(read_file(directory / "out.ndjson"), HasSubstr("\"lane\":\"blue\""));
  EXPECT_EQ(agent.metric("runtail_lines_total", {{"outcome", "level_filtered"}}), 1);
  EXPECT_EQ(agent.metric("runtail_source_open_files", {{"source", "etl"}}), 0) << "a source that is gone is not behind";

  // Counters and history go on, and what the first source said of its run can still end.
  first.append_line(
      R"({"level":"INFO","msg":"x","job_id":"a","run_id":"r1","event":"run.finished","status":"success"})");
  text.replace(text.find("second.log"), 10, "etl.log");
  text.replace(text.find("name: two"), 9, "name: etl");
  write(agent.config_path(), text);
  ASSERT_TRUE(reload(agent)) << agent.log();
  EXPECT_TRUE(wait_until([&] {
    const auto runs = agent.runs();
    return runs.size() == 1 && runs[0].at("status") == "success";
  })) << agent.log();
  EXPECT_EQ(agent.lines_read(), 4);
  EXPECT_EQ(agent.terminate().exit_code, 0);
}

// The holder keeps a wrapped worker's lines while the agent changes.
TEST(Reload, LosesNothingOfAWrappedWorker) {
  ExecStage stage("reload_exec");
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const std::filesystem::path go_on = stage.directory / "go_on";
  const std::string script =
      "i=0; while [ ! -e " + go_on.string() +
      R"( ] || [ $i -lt 300 ]; do i=$((i+1)); echo '{"level":"INFO","msg":"line '$i'"}'; sleep 0.01; done
echo '{"level":"INFO","msg":"last '$i'"}'; exit 3)";
  Command command = stage.held({"--job", "orders"}, {"sh", "-c", script});
  command.output = "/dev/null";
  const ChildProcess worker(command);
  for (int turn = 0; turn < 5; ++turn) ASSERT_TRUE(reload(stage.agent)) << stage.agent.log();
  write(go_on, "");
  EXPECT_TRUE(wait_until([&] {
    return stage.sql.number("SELECT count(*) FROM observability.job_runs WHERE status = 'failed'") == 1;
  })) << stage.agent.log();
  ASSERT_TRUE(wait_until([&] {
    return stage.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'last %'") == 1;
  })) << stage.agent.log();
  const auto last = stage.sql.rows("SELECT message FROM observability.log_events WHERE message LIKE 'last %'");
  const std::int64_t lines = std::stoll(last[0].substr(5));
  EXPECT_EQ(
      stage.sql.number("SELECT count(DISTINCT message) FROM observability.log_events WHERE message LIKE 'line %'"),
      lines);
  EXPECT_EQ(stage.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'line %'"), lines);
}

}  // namespace
}  // namespace runtail::test
