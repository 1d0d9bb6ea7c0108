// From a line in a worker's log to whoever is told: the real agent, PostgreSQL, server, a Slack-shaped endpoint, a mail
// server and an Alertmanager.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/time.h"
#include "tests/support/alert_receivers.h"
#include "tests/support/alertmanager_server.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"
#include "tests/support/server_process.h"

namespace runtail::test {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

double now_seconds() { return static_cast<double>(to_micros(SystemClock().now())) / 1e6; }

// Agent, receivers and an Alertmanager; a server comes with the definitions of its file.
struct Stage {
  explicit Stage(const std::string& name) : database(name), scene(name), log(scene.log) {
    std::ofstream(scene.directory / "hook_url") << receivers.url("hook") << "\n";
    if (!receivers.is_ready() || !alertmanager.is_ready() || !scene.agent.start_healthy()) {
      throw std::runtime_error(receivers.log() + alertmanager.log() + scene.agent.log());
    }
  }
  // Slack by the environment, mail by it, a second webhook by a file, and the Alertmanager.
  std::unique_ptr<ServerProcess> make_server(const std::string& name, const std::string& definitions) {
    auto server = std::make_unique<ServerProcess>(
        scene.directory.path(), name, PostgresCluster::shared().conninfo(database), "",
        receivers.smtp_settings() +
            ", channels: [{name: hook, kind: slack, target: \"file:" + (scene.directory / "hook_url").string() +
            "\"}, {name: am, kind: alertmanager, target: \"http://127.0.0.1:" + std::to_string(alertmanager.port()) +
            "\"}]" + definitions + "\n",
        environment());
    Command migrate;
    migrate.argv = {RUNTAIL_BINARY, "migrate", "--config", server->config_path().string()};
    migrate.environment = environment();
    const Finished done = run_to_end(migrate);
    if (done.exit_code != 0) throw std::runtime_error(done.output + done.errors);
    return server;
  }
  std::map<std::string, std::string> environment() const {
    return {{"ALERT_SLACK_WEBHOOK", receivers.url("slack")}, {"ALERT_EMAILS", "ann@example.org, ben@example.org"}};
  }
  void line(const std::string& run, const std::string& rest, TimePoint at = SystemClock().now()) {
    line_of("orders", run, rest, at);
  }
  void line_of(const std::string& job, const std::string& run, const std::string& rest,
               TimePoint at = SystemClock().now()) {
    log.append_line(R"({"ts":")" + to_rfc3339(at) + R"(","level":"INFO","msg":"m","job_id":")" + job +
                    R"(","run_id":")" + run + "\"," + rest + "}");
  }
  // One that observes `seen` in between, and lasts a second that ended `ago`.
  void run_of(const std::string& job, const std::string& id, const std::string& status, const std::string& seen = "",
              seconds ago = seconds(0)) {
    const TimePoint at = SystemClock().now() - ago;
    line_of(job, id, R"("event":"run.started")", at - seconds(1));
    if (!seen.empty()) line_of(job, id, R"("event":"dq","table":"t",)" + seen, at - std::chrono::milliseconds(500));
    line_of(job, id, R"("event":"run.finished","status":")" + status + '"', at);
  }
  // What came on a channel, in the order of its letters.
  std::vector<std::string> subjects(const std::string& channel) const {
    std::vector<std::string> all;
    for (const ReceivedMessage& each : receivers.messages(channel)) all.push_back(each.subject);
    std::ranges::sort(all);
    return all;
  }
  void run(const std::string& id, const std::string& status, const std::string& more = "",
           TimePoint at = SystemClock().now()) {
    line(id, R"("event":"run.started")", at - seconds(1));
    line(id, R"("event":"run.finished","status":")" + status + '"' + (more.empty() ? "" : ",") + more, at);
  }
  bool told(const std::string& channel, std::size_t count) const {
    return wait_until([&] { return receivers.messages(channel).size() >= count; }, kPatience, Deadline(20));
  }
  // Everything that is wanted is sent.
  bool settled() {
    return wait_until([&] {
      return scene.sql.number("SELECT count(*) FROM observability.alert_deliveries WHERE state = 'pending'") == 0;
    });
  }

  const std::string database;
  AlertReceivers receivers;
  AlertmanagerServer alertmanager;
  Scene scene;
  LogFile log;
};

constexpr char kMail[] = "mail:ann@example.org,ben@example.org";
constexpr char kOnlyJobFailed[] =
    ", rules: [{name: JobFailed, kind: JobFailed, annotations: {runbook_url: \"https://r/1\"}}]}";

TEST(Alerts, AFailedRunIsToldOnceOnEachChannelAndSoIsItsEnd) {
  Stage stage("alerts_told");
  auto server = stage.make_server("server", kOnlyJobFailed);
  ASSERT_TRUE(server->start_healthy()) << server->log();
  stage.run("r0", "success");
  const double begun = now_seconds();
  stage.run("r1", "failed", R"("error_category":"db","error_message":"relation <orders> is gone")");
  for (const char* channel : {"slack", "hook", kMail}) ASSERT_TRUE(stage.told(channel, 1)) << channel << server->log();
  ASSERT_TRUE(wait_until([&] { return stage.alertmanager.alerts("JobFailed").size() == 1; })) << server->log();
  double latest = 0;
  for (const ReceivedMessage& each : stage.receivers.messages()) latest = std::max(latest, each.at - begun);
  std::printf("from the line to the last of three channels: %.1f s\n", latest);
  EXPECT_LT(latest, 60);
  const ReceivedMessage slack = stage.receivers.messages("slack").at(0), mail = stage.receivers.messages(kMail).at(0);
  EXPECT_EQ(slack.subject, "*[FIRING] JobFailed: orders (warning)*");
  EXPECT_EQ(mail.subject, "[FIRING] JobFailed: orders (warning)");
  EXPECT_THAT(slack.text, AllOf(HasSubstr("run: r1\n"), HasSubstr("error category: DB"),
                                HasSubstr("runbook: https://r/1"), Not(HasSubstr("relation"))));
  const HeldAlert held = stage.alertmanager.alerts("JobFailed").at(0);
  EXPECT_EQ(held.labels, (Labels{{"alertname", "JobFailed"}, {"job_id", "orders"}, {"severity", "warning"}}));
  EXPECT_EQ(held.annotations.at("run_id"), "r1");

  stage.run("r2", "failed");  // the same alert: nobody is told
  stage.run("r3", "success");
  for (const char* channel : {"slack", "hook", kMail}) ASSERT_TRUE(stage.told(channel, 2)) << channel << server->log();
  EXPECT_TRUE(wait_until([&] { return stage.alertmanager.alerts("JobFailed").empty(); })) << server->log();
  ASSERT_TRUE(stage.settled());
  EXPECT_THAT(stage.receivers.messages(), SizeIs(6));
  EXPECT_EQ(stage.receivers.messages(kMail).at(1).subject, "[RESOLVED] JobFailed: orders (warning)");
  EXPECT_EQ(server->scrape().sum("runtail_alert_deliveries_total", {{"channel", "am"}, {"outcome", "sent"}}), 2);
  EXPECT_GT(server->scrape().sum("runtail_evaluation_rounds_total", {{"outcome", "ok"}}), 0);
  EXPECT_EQ(server->terminate(), 0);
}

constexpr char kRulesOfJobs[] =
    ", rules: [{name: Exhausted, kind: RetryExhausted, params: {jobs: exhausted}},"
    " {name: Row, kind: ConsecutiveFailures, params: {jobs: failing, threshold: 3}},"
    " {name: Surge, kind: RetrySurge, window: 15s, params: {jobs: retrying, threshold: 2}},"
    " {name: Rows, kind: DQRowCountDelta}, {name: Nulls, kind: DQNullRateSpike, severity: critical},"
    " {name: Drift, kind: SchemaDriftDetected}]}\n"
    "jobs: [{id: checked}]\n"
    "quality: {checks: [{job: checked, table: t, type: row_count_delta},"
    " {job: checked, table: t, type: null_rate, column: email}, {job: checked, table: t, type: schema_drift}]}";

TEST(Alerts, EachRuleOfJobsAndDataFiresOnceAndResolves) {
  Stage stage("alerts_rules");
  auto server = stage.make_server("server", kRulesOfJobs);
  ASSERT_TRUE(server->start_healthy()) << server->log();
  const auto observed = [&](const std::string& id, int rows, const std::string& rate, const std::string& columns,
                            seconds ago) {
    stage.run_of("checked", id + "a", "success", R"("row_count":)" + std::to_string(rows), ago);
    stage.run_of("checked", id + "b", "success", R"("null_rates":{"email":)" + rate + "}", ago);
    stage.run_of("checked", id + "c", "success", R"("columns":[)" + columns + "]", ago);
  };
  const std::string id_column = R"({"name":"id","type":"int"})";
  observed("1", 100, "0.01", id_column, seconds(30));
  observed("2", 10, "0.5", id_column + R"(,{"name":"more","type":"text"})", seconds(0));
  stage.line_of("exhausted", "e1", R"("event":"attempt.started","attempt":2,"max_attempts":2)");
  stage.line_of("exhausted", "e1", R"("event":"attempt.finished","attempt":2,"max_attempts":2,"status":"failed")");
  for (const int number : {1, 2, 3})
    stage.run_of("failing", "f" + std::to_string(number), "failed", "", seconds(9 - number));
  for (const int attempt : {2, 3, 4}) {
    stage.line_of("retrying", "s1", R"("event":"attempt.started","attempt":)" + std::to_string(attempt));
  }
  const std::vector<std::string> names = {"Drift: checked t (warning)*",  "Exhausted: exhausted (warning)*",
                                          "Nulls: checked t (critical)*", "Row: failing (warning)*",
                                          "Rows: checked t (warning)*",   "Surge: retrying (warning)*"};
  ASSERT_TRUE(stage.told("slack", names.size())) << server->log();
  std::vector<std::string> expected;
  for (const std::string& name : names) expected.push_back("*[FIRING] " + name);
  EXPECT_EQ(stage.subjects("slack"), expected);
  for (const ReceivedMessage& each : stage.receivers.messages("slack")) {
    if (each.subject.find("Nulls") == std::string::npos) continue;
    EXPECT_THAT(each.text, HasSubstr("column: email\nvalue: 0.5, before: 0.01, threshold: 0.05\n"));
  }

  observed("3", 10, "0.5", id_column + R"(,{"name":"more","type":"text"})", seconds(0));
  stage.run_of("exhausted", "e2", "success");
  stage.run_of("failing", "f4", "success");
  ASSERT_TRUE(stage.told("slack", 2 * names.size())) << server->log();
  for (const std::string& name : names) expected.push_back("*[RESOLVED] " + name);
  EXPECT_EQ(stage.subjects("slack"), expected);
  EXPECT_TRUE(stage.told(kMail, expected.size())) << server->log();
  EXPECT_EQ(server->terminate(), 0);
}

TEST(Alerts, ALateStartAndALongRunFireFromSilence) {
  if (!long_run()) GTEST_SKIP() << "an agent says only every 15 s how far it has read";
  Stage stage("alerts_silence");
  auto server =
      stage.make_server("server",
                        ", rules: [{name: Late, kind: NoRecentRuns, params: {jobs: late, expected_every_s: 10}}, "
                        "{name: Long, kind: NoRecentRuns, params: {jobs: long, long_run_s: 10}}]}");
  ASSERT_TRUE(server->start_healthy()) << server->log();
  stage.run_of("late", "l1", "success");
  stage.line_of("long", "g1", R"("event":"run.started")");
  ASSERT_TRUE(stage.told("slack", 2)) << server->log();
  EXPECT_EQ(stage.subjects("slack"),
            (std::vector<std::string>{"*[FIRING] Late: late (warning)*", "*[FIRING] Long: long (warning)*"}));
  stage.line_of("late", "l2", R"("event":"run.started")");
  stage.line_of("long", "g1", R"("event":"run.finished","status":"success")");
  ASSERT_TRUE(stage.told("slack", 4)) << server->log();
  EXPECT_THAT(stage.subjects("slack"),
              testing::IsSupersetOf({"*[RESOLVED] Late: late (warning)*", "*[RESOLVED] Long: long (warning)*"}));
  EXPECT_EQ(server->terminate(), 0);
}

TEST(Alerts, TheVerbListsAcknowledgesSilencesAndTests) {
  Stage stage("alerts_verb");
  auto server = stage.make_server("server", kOnlyJobFailed);
  ASSERT_TRUE(server->start_healthy()) << server->log();
  const auto verb = [&](std::vector<std::string> words) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "alerts"};
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    command.argv.insert(command.argv.end(), {"--config", server->config_path().string()});
    command.environment = stage.environment();
    return run_to_end(command);
  };
  for (const char* channel : {"slack", "email", "am"}) {
    const Finished sent = verb({"test", channel});
    EXPECT_EQ(sent.exit_code, 0) << channel << sent.errors;
  }
  EXPECT_THAT(stage.receivers.messages(kMail).at(0).text, HasSubstr("nothing is wrong"));
  EXPECT_THAT(stage.alertmanager.alerts("RuntailTest"), SizeIs(1));
  EXPECT_EQ(verb({"test", "nobody"}).exit_code, 3);

  stage.run("r1", "failed");
  ASSERT_TRUE(stage.told("hook", 1)) << server->log();
  const std::vector<JsonRow> listed = parse_json_rows(verb({"list", "--output", "json"}).output);
  ASSERT_THAT(listed, SizeIs(1));
  EXPECT_EQ(listed[0].at("status"), "firing");
  const Finished acknowledged = verb({"ack", listed[0].at("id").substr(0, 8), "--by", "ann"});
  EXPECT_EQ(acknowledged.output, "acknowledged by ann\n") << acknowledged.errors;
  ASSERT_TRUE(stage.told("hook", 2)) << server->log();
  EXPECT_THAT(stage.receivers.messages("hook").at(1).text, HasSubstr("Acknowledged by ann."));
  EXPECT_EQ(verb({"list", "--output", "csv"}).output.find("firing"), std::string::npos);
  EXPECT_THAT(verb({"list", "--all"}).output, HasSubstr("resolved"));
  EXPECT_EQ(verb({"ack", listed[0].at("id"), "--by", "ben"}).exit_code, 1);

  EXPECT_EQ(verb({"silence", "ord*", "--for", "1h", "--by", "ann"}).exit_code, 0);
  stage.run("r2", "failed");
  EXPECT_TRUE(wait_until([&] {
    return stage.scene.sql.number(
               "SELECT count(*) FROM observability.alert_events WHERE status = 'firing' AND "
               "notify_at > now() + interval '50 minutes'") == 1;
  })) << server->log();
  EXPECT_EQ(server->terminate(), 0);
}

TEST(Alerts, ReplayedHistoryAndAnAgentThatCatchesUpTellNobody) {
  Stage stage("alerts_old");
  for (int hour = 2; hour < 12; ++hour) {
    stage.run("old" + std::to_string(hour), hour % 3 ? "failed" : "success", "",
              SystemClock().now() - hours(14 - hour));
  }
  auto server = stage.make_server("server", "}");
  ASSERT_TRUE(server->start_healthy()) << server->log();
  ASSERT_TRUE(wait_until([&] {
    return stage.scene.sql.number("SELECT count(*) FROM observability.alert_events WHERE status = 'stale'") > 0;
  })) << server->log();
  // What happens now is told.
  stage.run("new", "failed");
  ASSERT_TRUE(stage.told("slack", 1)) << server->log();
  ASSERT_TRUE(stage.settled());
  EXPECT_THAT(stage.receivers.messages("slack").at(0).text, HasSubstr("run: new\n"));
  EXPECT_EQ(stage.scene.sql.number("SELECT count(DISTINCT alert_id) FROM observability.alert_deliveries WHERE alert_id "
                                   "IN (SELECT id FROM observability.alert_events WHERE fired_at < now() - interval "
                                   "'1 hour')"),
            0);
  EXPECT_EQ(server->terminate(), 0);
}

// What is told of a channel that is broken is tried without waiting in tests/unit/alerts/self_evaluation_test.cc.
TEST(Alerts, ABrokenPathIsToldOnTheOthersAndNothingIsLost) {
  if (!long_run()) GTEST_SKIP() << "the pauses between attempts take a minute";
  Stage stage("alerts_broken");
  auto server = stage.make_server("server", "}");
  ASSERT_TRUE(server->start_healthy()) << server->log();
  stage.receivers.refuse(true);
  stage.run("r1", "failed");
  // After three attempts on each of the two: 10 s and 20 s apart.
  ASSERT_TRUE(wait_until([&] { return stage.alertmanager.alerts("RuntailDeliveryFailing").size() == 2; },
                         Deadline(100'000), Deadline(50)))
      << server->log();
  EXPECT_EQ(server->scrape().sum("runtail_alert_channel_up", {{"channel", "slack"}}), 0);
  EXPECT_THAT(server->page("/readyz").body, HasSubstr("outbound network"));
  ASSERT_TRUE(stage.told(kMail, 3));
  stage.receivers.refuse(false);
  ASSERT_TRUE(stage.told("slack", 1)) << server->log();
  EXPECT_EQ(server->terminate(), 0);
}

// At random moments around firing and resolving, by two servers that take turns.
TEST(Alerts, WhateverServerIsKilledEachAlertIsToldAndResolved) {
  Stage stage("alerts_killed");
  auto first = stage.make_server("first", kOnlyJobFailed), second = stage.make_server("second", kOnlyJobFailed);
  ASSERT_TRUE(second->start_healthy()) << second->log();
  std::mt19937_64 random(seed());
  const auto moment = [&] { let_pass(std::chrono::milliseconds(random() % 1'500)); };
  const int rounds = by_scale(1, 50);  // two kills in each
  for (int round = 1; round <= rounds; ++round) {
    const std::string job = "orders-" + std::to_string(round);  // another each time: nothing flaps
    for (const char* status : {"failed", "success"}) {
      ASSERT_TRUE(first->start_healthy()) << first->log();
      stage.run_of(job, job + status, status);
      moment();
      first->kill9();
      ASSERT_TRUE(wait_until([&] {
        return stage.scene.sql.number("SELECT count(*) FROM observability.alert_events WHERE status = 'firing'") ==
               (std::string_view(status) == "failed" ? 1 : 0);
      })) << second->log();
    }
  }
  ASSERT_TRUE(stage.settled()) << second->log();
  EXPECT_EQ(stage.scene.sql.number("SELECT count(*) FROM observability.alert_events WHERE status = 'resolved'"),
            rounds);
  EXPECT_TRUE(wait_until([&] { return stage.alertmanager.alerts("JobFailed").empty(); }));
  // By what makes a message itself each is there, the beginning before the end; those that came twice are known as
  // such.
  std::map<std::string, int> seen;
  for (const ReceivedMessage& each : stage.receivers.messages(kMail)) ++seen[each.key];
  EXPECT_EQ(seen.size(), 2u * static_cast<std::size_t>(rounds));
  const std::size_t all = stage.receivers.messages(kMail).size() + stage.receivers.messages("slack").size();
  std::printf("%d kills: %zu messages, %zu of them repeated\n", 2 * rounds, all,
              all - 4u * static_cast<std::size_t>(rounds));
  EXPECT_EQ(second->terminate(), 0);
}

}  // namespace
}  // namespace runtail::test
