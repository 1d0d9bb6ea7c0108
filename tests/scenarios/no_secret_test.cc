// Of the secrets and personal data planted in the lines, nothing is found in anything runtail wrote or says: buffer,
// database, metrics, health, control socket, dead letters, its own log.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <unordered_map>

#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

struct Planted {
  std::string line;
  std::string secret;
};

// Places a workload's messages do not reach.
std::vector<Planted> planted_lines() {
  return {
      {R"({"level":"ERROR","msg":"insert failed","event":"run.finished","status":"failed","job_id":"j","run_id":"p1","error":{"type":"IntegrityError","message":"duplicate key value violates unique constraint \"u\" DETAIL: Key (email)=(rosa.detail@example.com) already exists.","stack":"at connect postgres://svc:StackPass77@db/x"}})",
       "rosa.detail@example.com"},
      {R"({"level":"ERROR","msg":"again","job_id":"j","run_id":"p2","error_stack":"dsn postgres://svc:StackPass77x@db/x"})",
       "StackPass77x"},
      {R"({"level":"INFO","msg":"row DETAIL: Failing row contains (17, Ingrid Marlowe, 1971-02-03)."})",
       "Ingrid Marlowe"},
      {R"({"level":"INFO","msg":"id is a mail","job_id":"j","run_id":"mail.as.run@example.com","event":"run.started"})",
       "mail.as.run@example.com"},
      {R"({"level":"INFO","msg":"job is a mail","job_id":"mail.as.job@example.com","run_id":"p3","event":"run.finished","status":"success"})",
       "mail.as.job@example.com"},
      {R"({"level":"INFO","msg":"task is a token","job_id":"j","run_id":"p4","event":"task.started","task":"Bearer TaskTokenTaskTokenTaskToken1234"})",
       "TaskTokenTaskTokenTaskToken1234"},
      {R"({"level":"INFO","msg":"table too","job_id":"j","run_id":"p5","table":"password=TableSecret991"})",
       "TableSecret991"},
      {R"({"level":"INFO","msg":"route","event":"http","method":"GET","route":"/v1?access_token=RouteSecret2291aa","http_status":200})",
       "RouteSecret2291aa"},
      {R"({"level":"INFO","msg":"escaped esc\u0061ped.mail\u0040example.com here"})", "escaped.mail@example.com"},
      {R"({"level":"INFO","msg":"user","user_id":"user.name@example.com"})", "user.name@example.com"},
      {R"({"level":"INFO","msg":"address","ip":"203.0.113.77"})", "203.0.113.77"},
      {R"({"level":"INFO","msg":"unlisted","customer_name":"Unlisted Person 81"})", "Unlisted Person 81"},
      {R"({"level":"INFO","msg":"listed member","note":"call 'listed.member@example.com'"})",
       "listed.member@example.com"},
      {R"({"level":"INFO","msg":"named so","nested":{"password":"NestedPass33","api_key":"NestedKey44"}})",
       "NestedPass33"},
      {R"({"level":"INFO","msg":"columns","event":"dq","job_id":"j","run_id":"p6","table":"t","null_rates":{"column.mail@example.com":0.5}})",
       "column.mail@example.com"},
      {R"({"level":"INFO","msg":"status","job_id":"j","run_id":"p7","status":"token=StatusSecret55aa"})",
       "StatusSecret55aa"},
      {R"({"level":"INFO","msg":"corr","correlation_id":"eyJhbGciOiJIUzI1NiJ9.eyJjb3JyZWxhdGlvbiI6MX0.c2lnbmF0dXJlc2lnbmF0dXJlMTIz"})",
       "eyJjb3JyZWxhdGlvbiI6MX0"},
      {R"(plain text with password=PlainSecret66bb in it)", "PlainSecret66bb"},
      {R"({"level":"INFO","msg":"cut short with password=CutSecret77cc)", "CutSecret77cc"},
      {"bad bytes \xFF\xFE password=ByteSecret88dd", "ByteSecret88dd"},
      {R"({"level":"INFO","msg":"AWS","aws":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"})", "wJalrXUtnFEMI/K7MDENG"},
      {R"({"level":"INFO","msg":"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\n-----END RSA PRIVATE KEY-----"})",
       "MIIEpAIBAAKCAQEA7bq"},
      {R"({"level":"INFO","msg":"basic Authorization: Basic dXNlcjpCYXNpY1NlY3JldDk5"})", "dXNlcjpCYXNpY1NlY3JldDk5"},
      {"too long password=LongSecret00ee " + std::string(2 << 20, 'x'), "LongSecret00ee"},
  };
}

// Looks for thousands of secrets in one pass over a text: by their first eight bytes, then whole.
class Found {
 public:
  explicit Found(std::vector<std::string> secrets) : secrets_(std::move(secrets)), maybe_(1 << 22) {
    for (const std::string& secret : secrets_) {
      EXPECT_GE(secret.size(), kHead) << secret;
      by_head_.emplace(head(secret.data()), &secret);
      maybe_[slot(head(secret.data()))] = true;
    }
  }
  void look(const std::string& place, const std::string& text) {
    bytes_ += text.size();
    for (std::size_t at = 0; at + kHead <= text.size(); ++at) {
      const std::uint64_t bytes = head(text.data() + at);
      if (!maybe_[slot(bytes)]) continue;
      const auto [first, last] = by_head_.equal_range(bytes);
      for (auto each = first; each != last; ++each) {
        if (text.compare(at, each->second->size(), *each->second) == 0) places_.insert(*each->second + " in " + place);
      }
    }
  }
  std::size_t hits() const { return places_.size(); }
  void expect_nothing() const {
    std::string text;
    for (const std::string& place : places_) text += "\n  " + place;
    EXPECT_TRUE(places_.empty()) << text.substr(0, 4000);
    std::printf("looked for %zu secrets in %.1f MB\n", secrets_.size(), static_cast<double>(bytes_) / 1e6);
  }

 private:
  static constexpr std::size_t kHead = 8;
  static std::uint64_t head(const char* text) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text, kHead);
    return bytes;
  }
  std::size_t slot(std::uint64_t bytes) const { return (bytes * 0x9E3779B97F4A7C15ull >> 20) % maybe_.size(); }

  const std::vector<std::string> secrets_;
  std::unordered_multimap<std::uint64_t, const std::string*> by_head_;
  std::vector<bool> maybe_;
  std::set<std::string> places_;
  std::size_t bytes_ = 0;
};

void look_at_files(Found& found, const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) found.look("file " + entry.path().filename().string(), read_file(entry.path()));
  }
}

void look_at_answers(Found& found, const AgentProcess& agent) {
  const std::vector<std::vector<std::string>> questions = {{"status"},
                                                           {"runs"},
                                                           {"runs", "--limit", "1000000", "--output", "json"},
                                                           {"runs", "--limit", "1000000", "--output", "csv"},
                                                           {"buffer", "ls"},
                                                           {"buffer", "ls", "--limit", "1000000", "--events"},
                                                           {"buffer", "dead-letters", "--output", "json"}};
  for (const std::vector<std::string>& question : questions) {
    const Finished answer = agent.ask(question);
    EXPECT_EQ(answer.exit_code, 0) << question[0] << ": " << answer.errors;
    found.look("runtail " + question[0] + ' ' + question.back(), answer.output + answer.errors);
  }
}

class NoSecret : public testing::Test {
 protected:
  // Writes everything, returns the number of lines.
  std::uint64_t plant(const std::filesystem::path& path) {
    WorkloadOptions options;
    options.seed = seed();
    options.lines = by_scale<std::uint64_t>(10'000, 200'000);
    options.event_runs = 0.3;
    Workload workload(options);
    write_all(path, workload);
    secrets = workload.secrets();
    LogFile log(path);
    for (const Planted& planted : planted_lines()) {
      log.append_line(planted.line);
      secrets.push_back(planted.secret);
    }
    return options.lines + planted_lines().size();
  }
  std::vector<std::string> secrets;
};

constexpr const char* kAllowNote = "redaction: {allow: [note]}\n";

TEST_F(NoSecret, IsKeptOrShownByAnAgentWithoutDatabase) {
  const TempDir directory;
  AgentSetup setup = tailing(directory, "");
  setup.more = std::string(kAllowNote) + "log: {level: debug}\n";
  AgentProcess agent(setup);
  const std::uint64_t lines = plant(directory / "etl.log");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_until([&] { return agent.lines_read() == static_cast<double>(lines); })) << agent.log();
  Found found(secrets);
  for (const std::string path : {"/metrics", "/healthz", "/readyz"}) found.look(path, agent.get(path).body);
  look_at_answers(found, agent);
  const std::string events = agent.ask({"buffer", "ls", "--limit", "1000000", "--events"}).output;
  EXPECT_NE(events.find("seq=17 "), std::string::npos) << "the dump holds the messages: " << events.substr(0, 500);
  EXPECT_EQ(agent.terminate().exit_code, 0);
  look_at_answers(found, agent);
  look_at_files(found, agent.buffer());
  found.look("the agent's log", agent.log());
  found.expect_nothing();
}

TEST_F(NoSecret, IsInTheDatabase) {
  Scene scene("no_secret");
  AgentSetup setup = tailing(scene.directory, PostgresCluster::shared().conninfo("no_secret"));
  setup.more = std::string(kAllowNote) + "log: {level: debug}\n";
  AgentProcess agent(setup);
  const std::uint64_t lines = plant(scene.log);
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, agent, lines - 1)) << agent.log();  // all but the one too long
  ASSERT_TRUE(wait_until([&] { return scene.sql.number("SELECT count(*) FROM observability.dead_letters") == 1; }));
  Found found(secrets);
  std::string messages;
  for (const std::string& table : scene.sql.rows("SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND "
                                                 "relnamespace = 'observability'::regnamespace")) {
    std::string text;
    for (const std::string& row : scene.sql.rows("SELECT t::text FROM " + table + " AS t")) text += row + '\n';
    found.look("table " + table, text);
    if (table.find("log_events") != std::string::npos) messages += text;
  }
  EXPECT_NE(messages.find("seq=17 "), std::string::npos);
  look_at_answers(found, agent);
  found.look("/metrics", agent.get("/metrics").body);
  EXPECT_EQ(agent.terminate().exit_code, 0);
  look_at_files(found, agent.buffer());
  found.look("the agent's log", agent.log());
  found.look("the server's log", PostgresCluster::shared().log());
  found.expect_nothing();
}

// The search itself would find one.
TEST_F(NoSecret, WouldBeFoundWereItThere) {
  const TempDir directory;
  plant(directory / "etl.log");
  Found found(secrets);
  found.look("the input", read_file(directory / "etl.log"));
  const std::set<std::string> distinct(secrets.begin(), secrets.end());
  EXPECT_GE(found.hits(), distinct.size() - 1);  // one is spelled in escapes
}

}  // namespace
}  // namespace runtail::test
