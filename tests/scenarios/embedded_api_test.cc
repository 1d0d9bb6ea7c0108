// No database: the agent answers the history API itself, from what it keeps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "core/time.h"
#include "tests/support/curl.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class EmbeddedApi : public testing::Test {
 protected:
  EmbeddedApi() { std::ofstream(directory / "key") << "0123456789abcdef0123456789abcdef"; }

  // `api`: members of the section, in YAML flow style.
  AgentProcess& agent(const std::string& api) {
    AgentSetup setup = tailing(directory, "");
    setup.more = "api: {listen: '127.0.0.1:" + std::to_string(port) + "', " + api + "}\n";
    return agent_.emplace(setup);
  }
  std::string with_key() const { return "keys: [{id: main, file: '" + (directory / "key").string() + "'}]"; }

  std::string token(const std::vector<std::string>& more = {}) const {
    Command command;
    command.argv = {RUNTAIL_BINARY, "token", "--config", agent_->config_path().string()};
    command.argv.insert(command.argv.end(), more.begin(), more.end());
    const Finished made = run_to_end(command);
    EXPECT_EQ(made.exit_code, 0) << made.errors;
    return made.output.substr(0, made.output.find('\n'));
  }
  CurlAnswer get(const std::string& path, const std::string& token, const std::string& method = "GET") const {
    std::vector<std::string> more{"-X", method};
    if (!token.empty()) more.insert(more.end(), {"-H", "Authorization: Bearer " + token});
    return curl("http://127.0.0.1:" + std::to_string(port) + path, more);
  }
  // Two runs of a job, one of them of a sponsor, with times of now: the lists begin where they do.
  void print_runs() {
    LogFile log(directory / "etl.log");
    const auto at = [](int seconds) {
      return to_rfc3339(SystemClock().now() - std::chrono::minutes(5) + std::chrono::seconds(seconds));
    };
    const auto line = [&](int second, const std::string& run, const std::string& members) {
      log.append_line(R"({"ts":")" + at(second) + R"(","level":"INFO","msg":"m","job_id":"orders","run_id":")" + run +
                      "\"," + members + "}");
    };
    line(0, kFirst, R"("event":"run.started")");
    line(1, kFirst, R"("msg":"mail for jane.doe@example.com","records_loaded":41)");
    line(2, kFirst,
         R"("event":"dq","table":"stg.orders","column":"email","check":"nulls","status":"fail","value":0.5)");
    line(3, kFirst, R"("event":"dataset","dataset":"orders","status":"success","record_count":41)");
    line(4, kFirst, R"("event":"run.finished","status":"success","duration_ms":4000)");
    line(5, kSecond, R"("event":"run.started","project_id":"sponsor_a")");
    line(6, kSecond, R"("event":"run.finished","status":"failed","error_category":"DB","error_message":"gone")");
    ASSERT_TRUE(wait_until([&] { return agent_->lines_read() >= 7; })) << agent_->log();
  }

  static constexpr const char* kFirst = "11111111-1111-4111-8111-111111111111";
  static constexpr const char* kSecond = "22222222-2222-4222-8222-222222222222";
  TempDir directory;
  const int port = free_port();
  std::optional<AgentProcess> agent_;
};

TEST_F(EmbeddedApi, AnswersWithATokenFromTheAgentsOwnStoreAndAgainAfterAKill) {
  AgentProcess& running = agent(with_key());
  ASSERT_TRUE(running.start_healthy()) << running.log();
  print_runs();
  const std::string good = token();
  ASSERT_TRUE(wait_until([&] { return get("/v1/obs/jobs", good).status == 200; })) << running.log();
  EXPECT_EQ(get("/v1/obs/jobs", "").status, 401);
  EXPECT_EQ(get("/v1/obs/jobs", good + "x").status, 401);
  const auto expect_all = [&] {
    const CurlAnswer jobs = get("/v1/obs/jobs?total=true", good);
    EXPECT_THAT(jobs.body, AllOf(HasSubstr(R"("job_id":"orders")"), HasSubstr(R"("success_rate_7d":0.5)"),
                                 HasSubstr(R"("records_loaded_24h":41)"), HasSubstr(R"("total":1)")));
    const CurlAnswer run = get(std::string("/v1/obs/runs/") + kFirst, good);
    EXPECT_EQ(run.status, 200);
    EXPECT_THAT(run.body, AllOf(HasSubstr(R"("status":"success")"), HasSubstr(R"("duration_ms":4000)"),
                                HasSubstr(R"("dq_status":"fail")"), HasSubstr(R"("column":"email")")));
    EXPECT_TRUE(run.headers.contains("etag"));
    const CurlAnswer events = get(std::string("/v1/obs/runs/") + kFirst + "/events?page_size=2", good);
    EXPECT_THAT(events.body,
                AllOf(HasSubstr("[REDACTED:email]"), Not(HasSubstr("jane.doe")), HasSubstr(R"("next_cursor":")")));
    EXPECT_THAT(get(std::string("/v1/obs/runs/") + kSecond + "/changes", good).body,
                AllOf(HasSubstr(R"("new":"running")"), HasSubstr(R"("new":"failed")")));
    EXPECT_THAT(get("/v1/obs/runs?status=failed&error_category=DB&by=end_at", good).body,
                AllOf(HasSubstr(kSecond), Not(HasSubstr(kFirst))));
    EXPECT_THAT(get("/v1/obs/datasets", good).body, HasSubstr(R"("dataset":"orders")"));
    EXPECT_THAT(get("/v1/obs/dq", good).body, HasSubstr(R"("table_name":"stg.orders")"));
    EXPECT_THAT(get("/v1/obs/summary", good).body, HasSubstr(R"("runs":2)"));
    EXPECT_THAT(get("/v1/obs/alerts", good).body, HasSubstr(R"("data":[])"));
    EXPECT_THAT(
        get("/v1/obs/services", good).body,
        AllOf(HasSubstr(R"("service":"runtail")"), HasSubstr(R"("config_digest":")"), HasSubstr(R"("lost_bytes":0)")));
    EXPECT_EQ(get("/v1/obs/runs/33333333-3333-4333-8333-333333333333", good).status, 404);
  };
  expect_all();
  const std::string bound = token({"--project", "sponsor_a"});
  EXPECT_EQ(get(std::string("/v1/obs/runs/") + kFirst, bound).status, 404);
  EXPECT_EQ(get(std::string("/v1/obs/runs/") + kSecond, bound).status, 200);
  EXPECT_GT(running.metric("trialsync_api_requests_total", {{"route", "/v1/obs/jobs"}, {"status_code", "401"}}), 1);
  running.kill9();
  ASSERT_TRUE(running.start_healthy()) << running.log();
  ASSERT_TRUE(wait_until([&] { return get("/v1/obs/jobs", good).status == 200; })) << running.log();
  expect_all();
  EXPECT_EQ(running.terminate().exit_code, 0) << running.log();
  EXPECT_EQ(get("/v1/obs/jobs", good).status, 0);
}

TEST_F(EmbeddedApi, ShowsWhatAReplayBringsWhetherTheAgentRunsOrNot) {
  AgentProcess& running = agent("anonymous: true");
  const auto replay = [&](const std::string& name, const std::string& run) {
    LogFile log(directory / name);
    const std::string head = R"({"ts":")" + to_rfc3339(SystemClock().now() - std::chrono::hours(2)) +
                             R"(","level":"INFO","msg":"of )" + name + R"(","job_id":"nightly","run_id":")" + run +
                             "\",";
    log.append_line(head + R"("event":"run.started","scheduled_at":")" +
                    to_rfc3339(SystemClock().now() - std::chrono::hours(3)) + "\"}");
    log.append_line(head + R"("event":"dataset","dataset":"of_)" + name + R"(","status":"success"})");
    log.append_line(head + R"("event":"run.finished","status":"success"})");
    Command command;
    command.argv = {RUNTAIL_BINARY, "replay", "--config", running.config_path(), directory / name};
    const Finished done = run_to_end(std::move(command));
    EXPECT_EQ(done.exit_code, 0) << done.errors;
  };
  replay("old.log", kFirst);
  ASSERT_TRUE(running.start_healthy()) << running.log();
  ASSERT_TRUE(wait_until([&] { return get("/v1/obs/jobs", "").status == 200; })) << running.log();
  replay("older.log", kSecond);
  EXPECT_THAT(get("/v1/obs/jobs", "").body, AllOf(HasSubstr("nightly"), HasSubstr(R"("success_rate_7d":1)")));
  EXPECT_THAT(get("/v1/obs/runs?total=true", "").body,
              AllOf(HasSubstr(kFirst), HasSubstr(kSecond), HasSubstr(R"("total":2)")));
  EXPECT_THAT(get("/v1/obs/datasets", "").body, AllOf(HasSubstr("of_old.log"), HasSubstr("of_older.log")));
  for (const auto& [run, name] : {std::pair(kFirst, "of old.log"), std::pair(kSecond, "of older.log")}) {
    const std::string path = std::string("/v1/obs/runs/") + run;
    EXPECT_THAT(get(path + "/events?total=true", "").body, AllOf(HasSubstr(name), HasSubstr(R"("total":3)")));
    EXPECT_THAT(get(path + "/changes", "").body,
                AllOf(HasSubstr(R"("new":"running")"), HasSubstr(R"("new":"success")")));
  }
  EXPECT_EQ(running.terminate().exit_code, 0) << running.log();
}

TEST_F(EmbeddedApi, IsAskedWithoutATokenOnlyWhereItIsSaid) {
  AgentProcess& running = agent("anonymous: true");
  ASSERT_TRUE(running.start_healthy()) << running.log();
  print_runs();
  ASSERT_TRUE(wait_until([&] { return get("/v1/obs/jobs", "").status == 200; })) << running.log();
  EXPECT_EQ(running.terminate().exit_code, 0) << running.log();
}

TEST_F(EmbeddedApi, NobodyListensWhereNobodyMayAsk) {
  AgentProcess& running = agent("anonymous: false");
  ASSERT_TRUE(running.start_healthy()) << running.log();
  print_runs();
  EXPECT_EQ(get("/v1/obs/jobs", "").status, 0);
  EXPECT_THAT(running.log(), Not(HasSubstr("history API")));
}

TEST_F(EmbeddedApi, StopsInTimeWhileItIsAskedAgainAndAgain) {
  AgentProcess& running = agent("anonymous: true, requests_per_second: 100000");
  ASSERT_TRUE(running.start_healthy()) << running.log();
  print_runs();
  ASSERT_TRUE(wait_until([&] { return get("/v1/obs/jobs", "").status == 200; })) << running.log();
  std::atomic<bool> goes_on = true;
  std::vector<std::jthread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (goes_on) static_cast<void>(get(std::string("/v1/obs/runs/") + kFirst + "/events", ""));
    });
  }
  ASSERT_TRUE(wait_until([&] { return running.metric("trialsync_api_requests_total") > 20; }));
  const AgentProcess::Ended ended = running.terminate();
  goes_on = false;
  EXPECT_EQ(ended.exit_code, 0) << running.log();
  EXPECT_LT(ended.took, std::chrono::seconds(8));
}

}  // namespace
}  // namespace runtail::test
