// A user's dialect file through the real binary: checked, explained, followed and replayed; and a source pinned to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/exit_code.h"
#include "tests/support/replay_scene.h"

namespace runtail::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kShop[] = R"(name: shop
order: 500
detect: [{app: [shop], evt: present}]
ts: [time]
fields:
  msg: [text]
  run_id: [batch.id]
  job_id: [{value: shop-import}]
rules:
  - when: {evt: [end]}
    event: run.finished
    fields: {status: [how], records_loaded: [rows]}
  - {when: {evt: [row]}, drop: shop_row}
examples:
  - line: '{"app":"shop","evt":"end","how":"ok","rows":7,"batch":{"id":"b7"},"time":"2026-01-02T03:04:05Z"}'
    want: {event: run.finished, status: success, run_id: b7, records_loaded: 7}
)";

constexpr char kRuns[] = "SELECT count(*) FROM observability.job_runs";

std::string end_of_batch(const std::string& id, const std::string& how) {
  return R"({"app":"shop","evt":"end","how":")" + how + R"(","rows":7,"batch":{"id":")" + id +
         R"("},"time":"2026-01-02T03:04:05Z"})" + "\n" +
         R"({"app":"shop","evt":"row","text":"canary-5","batch":{"id":")" + id + "\"}}\n";
}

class OwnDialect : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    write_file(directory_ / name, text);
    return (directory_ / name).string();
  }
  Finished run(const std::string& verb, const std::string& config, std::vector<std::string> more = {}) {
    Command command;
    command.argv = {RUNTAIL_BINARY, verb, "--config", file("runtail.yaml", config)};
    command.argv.insert(command.argv.end(), more.begin(), more.end());
    return run_to_end(std::move(command));
  }
  TempDir directory_;
};

TEST_F(OwnDialect, CheckRunsItsExamplesAndSaysWhatEachGaveInstead) {
  const std::string good = file("shop.yaml", kShop), config = "dialects: {files: [" + good + "]}\n";
  const Finished fine = run("check", config);
  EXPECT_EQ(fine.exit_code, kExitOk) << fine.errors;
  EXPECT_THAT(fine.output, HasSubstr(", shop (" + good + ")"));
  EXPECT_THAT(fine.errors, Not(HasSubstr("claims")));

  std::string other = kShop;
  other.replace(other.find("status: success"), 15, "status: failed");
  file("shop.yaml", other);
  const Finished wrong = run("check", config);
  EXPECT_EQ(wrong.exit_code, kExitConfig);
  EXPECT_THAT(wrong.errors, StartsWith(good + ":15:5: examples[0]: status is \"success\"; \"failed\" is wanted"));

  file("shop.yaml", "name: shop\ndetect: [{app: presnt}]\nfields: {mesage: [a]}\nexamples: []\n");
  const Finished broken = run("check", config + "sources: [{name: w, include: [/tmp/x], dialect: shp}]\nlogg: 1\n");
  EXPECT_EQ(broken.exit_code, kExitConfig);
  EXPECT_THAT(broken.errors, AllOf(HasSubstr(good + ":2:16: detect[0].app: "), HasSubstr("runtail.yaml:3:1: logg: "),
                                   HasSubstr(good + ":3:10: fields.mesage: no contract field")));

  // Asked before Singer and Airbyte, and not narrow enough.
  std::string wide = kShop;
  wide.replace(wide.find("order: 500"), 10, "order: 1");
  wide.replace(wide.find("[{app: [shop], evt: present}]"), 29, "[{app: [shop]}, {type: present}]");
  file("shop.yaml", wide);
  const Finished warned = run("check", config);
  EXPECT_EQ(warned.exit_code, kExitOk) << warned.errors;
  EXPECT_THAT(warned.errors, HasSubstr("warning: " + good + ": shop claims "));
  EXPECT_THAT(warned.errors, HasSubstr(" examples of airbyte, as at airbyte.yaml:"));
}

TEST_F(OwnDialect, ExplainAndRedactReadItsLinesWithIt) {
  const std::string config = "dialects: {files: [" + file("shop.yaml", kShop) + "]}\n";
  const std::string log = file("batch.log", end_of_batch("b1", "ok"));
  const Finished explained = run("explain", config, {"--output", "json", log});
  EXPECT_THAT(explained.output,
              AllOf(StartsWith(R"({"line":1,"dialect":"shop")"), HasSubstr(R"("job_id":"shop-import")"),
                    HasSubstr(R"("dropped":"shop_row")"), Not(HasSubstr("canary"))));
  const Finished plain = run("explain", "version: 1\n", {"--output", "json", log});
  EXPECT_THAT(plain.output, StartsWith(R"({"line":1,"dialect":"native")"));

  Command redact;
  redact.argv = {RUNTAIL_BINARY, "redact", "--config", file("runtail.yaml", config)};
  redact.input = log;
  const Finished redacted = run_to_end(redact);
  EXPECT_EQ(redacted.exit_code, kExitOk);
  EXPECT_THAT(redacted.output, Not(HasSubstr("canary")));
  EXPECT_EQ(redacted.errors, "runtail redact: 1 line dropped, only counts and ids of it are kept: shop_row 1\n");
}

TEST(OwnDialectFollowed, AgentAndReplayReadWithItAndAPinnedSourceWithNothingElse) {
  const TempDir directory;
  write_file(directory / "shop.yaml", kShop);
  ReplayScene scene("dialects: {files: [" + (directory / "shop.yaml").string() + "]}\n");
  write_file(scene.logs / "etl.log", end_of_batch("b1", "ok"));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.sql.number(kRuns) == 1; })) << scene.agent.log();
  const auto scrape = scene.agent.scrape();
  ASSERT_TRUE(scrape);
  EXPECT_EQ(scrape->sum("runtail_lines_dropped_total", {{"rule", "shop_row"}}), 1);
  EXPECT_EQ(scene.agent.terminate().exit_code, 0);

  write_file(scene.logs / "etl.log.1", end_of_batch("b0", "failed"));
  const auto replayed = scene.replay({scene.logs});
  EXPECT_EQ(replayed.exit_code, 0) << replayed.errors;
  EXPECT_EQ(scene.number(replayed, "lines,dropped"), 1) << replayed.receipt;
  const std::string runs =
      "SELECT external_run_id, job_id, dialect, status, records_loaded FROM observability.job_runs ORDER BY 1";
  EXPECT_THAT(scene.sql.rows(runs),
              testing::ElementsAre("b0|shop-import|shop|failed|7", "b1|shop-import|shop|success|7"));
}

TEST(PinnedSource, IsReadInItsDialectByAgentAndReplay) {
  ReplayScene scene;
  AgentSetup setup;
  setup.directory = scene.directory.path() / "pinned";
  std::filesystem::create_directory(setup.directory);
  setup.sources = {{"etl", (scene.logs / "etl.log").string(), "dialect: native"}};
  setup.postgres_url = PostgresCluster::shared().conninfo(scene.database);
  AgentProcess agent(setup);
  // The scale of pino's levels counts only where a line is pino's.
  const std::string line =
      R"({"level":50,"time":1767323045000,"pid":9,"msg":"m","run_id":"r1","job_id":"j","event":"run.finished","status":"ok"})";
  write_file(scene.logs / "etl.log", line + "\n");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.sql.number(kRuns) == 1; })) << agent.log();
  EXPECT_EQ(agent.terminate().exit_code, 0);
  write_file(
      scene.logs / "etl.log.1",
      R"({"level":50,"time":1767323044000,"pid":9,"msg":"m","run_id":"r0","job_id":"j","event":"run.finished","status":"ok"})"
      "\n");
  Command replay;
  replay.argv = {RUNTAIL_BINARY, "replay", "--config", agent.config_path(), scene.logs};
  const Finished done = run_to_end(replay);
  EXPECT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_THAT(scene.sql.rows("SELECT external_run_id, dialect FROM observability.job_runs ORDER BY 1"),
              testing::ElementsAre("r0|native", "r1|native"));
}

}  // namespace
}  // namespace runtail::test
