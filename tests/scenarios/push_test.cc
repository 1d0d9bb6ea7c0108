// The page pushed to a real Pushgateway: what it shows, whatever state it is in, and what stays when the agent ends.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/log_writer.h"
#include "tests/support/push_gateway_server.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

struct Stage {
  explicit Stage(const std::string& url) : agent(setup(url)) {}
  AgentSetup setup(const std::string& url) const {
    AgentSetup out = tailing(directory, "");
    out.more = "push: {url: \"" + url + "\", every: 100ms}\n";
    return out;
  }
  void write(std::uint64_t lines) {
    WorkloadOptions options;
    options.seed = seed();
    options.lines = lines;
    Workload workload(options);
    write_all(directory / "etl.log", workload);
    expected = workload.expected();
  }
  TempDir directory;
  AgentProcess agent;
  Expected expected;
};

double lines_of(const Scrape& page) { return page.sum("runtail_lines_read_total", {{"instance", "test"}}); }

TEST(Push, TheGatewayShowsThePageAndForgetsItAtACleanEnd) {
  PushGatewayServer gateway;
  ASSERT_TRUE(gateway.start()) << gateway.log();
  Stage stage(gateway.url());
  stage.write(by_scale<std::uint64_t>(1'000, 50'000));
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const double lines = static_cast<double>(stage.expected.lines);
  ASSERT_TRUE(wait_until([&] { return lines_of(gateway.page()) == lines; })) << stage.agent.log() << gateway.log();
  const Scrape page = gateway.page();
  const Labels group = {{"job", "runtail"}, {"instance", "test"}};
  EXPECT_EQ(page.sum("runtail_ledger_imbalance", group), 0);
  double jobs = 0;
  for (const auto& [key, count] : stage.expected.jobs_total) jobs += count;
  EXPECT_EQ(page.sum("trialsync_jobs_total", group), jobs);
  EXPECT_EQ(page.sum("trialsync_job_duration_seconds_count", group), jobs);
  EXPECT_EQ(page.sum("runtail_push_failures_total", group), 0);
  ASSERT_TRUE(wait_until([&] { return stage.agent.metric("runtail_push_last_success_timestamp_seconds") > 1e9; }));

  stage.agent.kill9();
  EXPECT_TRUE(gateway.has_group()) << "nobody was there to delete it";
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  EXPECT_EQ(stage.agent.terminate().exit_code, 0);
  EXPECT_FALSE(gateway.has_group()) << stage.agent.log();
}

TEST(Push, AGatewayThatIsAwayHoldsNothingUp) {
  PushGatewayServer gateway;
  Stage stage(gateway.url());
  stage.write(2'000);
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  EXPECT_TRUE(wait_until([&] { return stage.agent.lines_read() == 2'000; }));
  EXPECT_TRUE(wait_until([&] { return stage.agent.metric("runtail_push_failures_total") >= 3; }));
  const std::string log = stage.agent.log();
  EXPECT_NE(log.find("Connection refused"), std::string::npos) << log;
  EXPECT_EQ(log.find("Connection refused"), log.rfind("Connection refused")) << "said once: " << log;
  ASSERT_TRUE(gateway.start()) << gateway.log();
  EXPECT_TRUE(wait_until([&] { return lines_of(gateway.page()) == 2'000; }));
  gateway.stop();
  const auto ended = stage.agent.terminate();
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_LT(ended.took, std::chrono::seconds(4));
  EXPECT_NE(stage.agent.log().find("could not be deleted"), std::string::npos);
}

// Takes the connection and says nothing, for ever.
TEST(Push, AGatewayThatNeverAnswersHoldsNothingUp) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  Stage stage("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  stage.write(2'000);
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  const int push = ::accept(listener, nullptr, nullptr);  // it is under way
  ASSERT_GE(push, 0);
  EXPECT_TRUE(wait_until([&] { return stage.agent.lines_read() == 2'000; }));
  const auto ended = stage.agent.terminate();
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_LT(ended.took, std::chrono::seconds(4)) << "SIGTERM has to be out within 8 s";
  ::close(push);
  ::close(listener);
}

TEST(Push, WhatTheGatewayRefusesIsSaidAndCounted) {
  PushGatewayServer gateway;
  ASSERT_TRUE(gateway.start()) << gateway.log();
  // Another job has pushed one of our families as another type.
  ASSERT_EQ(gateway.push("# TYPE runtail_ledger_imbalance counter\nruntail_ledger_imbalance 1\n"), 200);
  Stage stage(gateway.url());
  ASSERT_TRUE(stage.agent.start_healthy()) << stage.agent.log();
  EXPECT_TRUE(wait_until([&] { return stage.agent.metric("runtail_push_failures_total") >= 2; }));
  EXPECT_NE(stage.agent.log().find("it answers 400: "), std::string::npos) << stage.agent.log();
  EXPECT_EQ(stage.agent.metric("runtail_push_last_success_timestamp_seconds"), 0);
  EXPECT_EQ(stage.agent.terminate().exit_code, 0);
}

TEST(Push, OfAJobThatEndsWithItsInputTheLastStateStays) {
  PushGatewayServer gateway;
  ASSERT_TRUE(gateway.start()) << gateway.log();
  TempDir directory;
  WorkloadOptions options;
  options.seed = seed();
  options.lines = 500;
  Workload workload(options);
  write_all(directory / "input", workload);
  AgentSetup setup;
  setup.directory = directory.path();
  setup.arguments = {"--stdin"};
  setup.input = directory / "input";
  setup.more = "push: {url: \"" + gateway.url() + "/\", every: 1h}\n";
  AgentProcess agent(setup);
  agent.start();
  EXPECT_EQ(agent.wait_end(), 0) << agent.log();
  const Scrape page = gateway.page();
  EXPECT_EQ(lines_of(page), 500);
  EXPECT_GT(page.sum("push_time_seconds", {{"instance", "test"}}), 0);
  EXPECT_EQ(page.sum("runtail_lines_total", {{"instance", "test"}}), 500) << "all is counted before the last push";
}

}  // namespace
}  // namespace runtail::test
