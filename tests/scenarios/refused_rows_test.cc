// What PostgreSQL says when it refuses a row quotes the row. None of that is in our log, health, status, metrics or in
// what is kept of the row: a dead letter has the redacted body and a closed word for its reason.
#include <gtest/gtest.h>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

// One that the redactor finds, and one that it cannot know: that must stay away from messages too.
constexpr const char* kSecret = "hunter2-Refused77";
constexpr const char* kUnknown = "Xanthippe Quillfeather";

std::string line_of(const std::string& word) {
  return R"({"level":"INFO","job_id":"j","msg":")" + word + " password=" + kSecret + " " + kUnknown + "\"}";
}

std::string all_it_says(const AgentProcess& agent) {
  std::string text = agent.log();
  for (const std::string path : {"/readyz", "/readyz?strict=true", "/healthz", "/metrics"})
    text += agent.get(path).body;
  for (const std::vector<std::string>& question :
       {std::vector<std::string>{"status"}, {"runs"}, {"buffer", "dead-letters"}}) {
    const Finished answer = agent.ask(question);
    text += answer.output + answer.errors;
  }
  return text;
}

void expect_nothing_of_the_row(const std::string& text) {
  EXPECT_EQ(text.find(kSecret), std::string::npos) << text;
  EXPECT_EQ(text.find(kUnknown), std::string::npos) << text;
}

TEST(RefusedRows, OfAConstraintAreSetAsideWithoutItsDetail) {
  Scene scene("refused_constraint");
  scene.sql.rows("ALTER TABLE observability.log_events ADD CONSTRAINT no_refused CHECK (message NOT LIKE 'refuse%')");
  LogFile log(scene.log);
  log.append_line(line_of("refuse"));
  log.append_line(line_of("keep"));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.sql.number("SELECT count(*) FROM observability.dead_letters") == 1; }))
      << scene.agent.log();
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'keep%'"), 1);
  EXPECT_NE(PostgresCluster::shared().log().find(kUnknown), std::string::npos) << "the server did quote the row";
  EXPECT_EQ(scene.sql.rows("SELECT reason || ' ' || sqlstate FROM observability.dead_letters").at(0),
            "constraint 23514");
  const std::string letter = scene.sql.rows("SELECT t::text FROM observability.dead_letters AS t").at(0);
  EXPECT_EQ(letter.find(kSecret), std::string::npos) << letter;
  EXPECT_NE(letter.find("password=[REDACTED:password]"), std::string::npos) << letter;
  expect_nothing_of_the_row(all_it_says(scene.agent));
}

TEST(RefusedRows, OfATriggerStopDeliveryWithoutItsWords) {
  Scene scene("refused_trigger");
  scene.sql.rows(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "RAISE EXCEPTION 'row refused: %', NEW.message USING DETAIL = NEW.message, HINT = NEW.message; END $$");
  scene.sql.rows(
      "CREATE TRIGGER refuse BEFORE INSERT ON observability.log_events FOR EACH ROW EXECUTE FUNCTION refuse()");
  LogFile log(scene.log);
  log.append_line(line_of("stop"));
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return scene.agent.get("/readyz").body.find("P0001") != std::string::npos; }))
      << scene.agent.log();
  const std::string said = all_it_says(scene.agent);
  EXPECT_NE(said.find("a trigger or function raised an error"), std::string::npos) << said;
  expect_nothing_of_the_row(said);
}

// What is quoted need not come from a row. Before the first connection ever the start waits, later the sink does.
TEST(RefusedRows, AndRefusedConnectionsAreToldRedacted) {
  Scene scene("refused_login");
  const std::string url = PostgresCluster::shared().conninfo("refused_login");
  const auto expect_redacted = [&] {
    AgentProcess refused(tailing(scene.directory, url + " user='jane.roe@example.com'"));
    ASSERT_TRUE(refused.start_healthy()) << refused.log();
    EXPECT_TRUE(wait_until([&] { return refused.get("/readyz").body.find("[REDACTED:email]") != std::string::npos; }))
        << refused.get("/readyz").body << refused.log();
    const std::string said = all_it_says(refused);
    EXPECT_EQ(said.find("jane.roe"), std::string::npos) << said;
    EXPECT_EQ(refused.terminate().exit_code, 0);
  };
  LogFile log(scene.log);
  log.append_line(line_of("keep"));
  expect_redacted();
  AgentProcess accepted(tailing(scene.directory, url));
  ASSERT_TRUE(accepted.start_healthy()) << accepted.log();
  ASSERT_TRUE(wait_delivered(scene.sql, accepted, 1)) << accepted.log();
  EXPECT_EQ(accepted.terminate().exit_code, 0);
  log.append_line(line_of("wait"));
  expect_redacted();
}

}  // namespace
}  // namespace runtail::test
