// A hash key is rotated: rows of the old key keep its id and correlate among themselves in whatever format the value
// was written, new rows carry the id of the new one.
#include <gtest/gtest.h>

#include <set>

#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

constexpr std::size_t kIdAt = std::string_view("[REDACTED:email#").size();

TEST(HashKeyRotation, OldRowsKeepTheirKeysIdAndNewOnesHaveTheNew) {
  Scene scene("hash_key_rotation");
  AgentSetup setup = tailing(scene.directory, PostgresCluster::shared().conninfo("hash_key_rotation"));
  setup.more = "redaction: {actions: {email: hash}}\n";
  LogFile log(scene.log);
  std::uint64_t lines = 0;
  // The rows of one key: "Anna@Example.com", %40 and "anna@example.com" are one person, bob@example.com another.
  const auto rows_of = [&](const std::string& key) {
    setup.environment["RUNTAIL_REDACTION_HASH_KEY"] = key;
    for (const char* mail : {"Anna@Example.com", "anna%40example.com", "anna@example.com", "bob@example.com"}) {
      log.append_line(R"({"level":"INFO","job_id":")" + key.substr(0, 1) + R"(","msg":")" + mail + "\"}");
      ++lines;
    }
    AgentProcess agent(setup);
    EXPECT_TRUE(agent.start_healthy()) << agent.log();
    EXPECT_TRUE(wait_delivered(scene.sql, agent, lines)) << agent.log();
    EXPECT_EQ(agent.log().find(key), std::string::npos);
    EXPECT_EQ(agent.terminate().exit_code, 0);
  };
  const auto messages = [&](const std::string& job) {
    return scene.sql.rows("SELECT message FROM observability.log_events WHERE job_id = '" + job +
                          "' AND redaction_state = 'pseudonymised' AND NOT pii_safe ORDER BY event_id");
  };
  rows_of(std::string(64, 'a'));
  const std::vector<std::string> before = messages("a");
  rows_of(std::string(64, 'b'));
  const std::vector<std::string> old_rows = messages("a"), new_rows = messages("b");
  EXPECT_EQ(old_rows, before);
  ASSERT_EQ(old_rows.size(), 4u);
  ASSERT_EQ(new_rows.size(), 4u);
  std::set<std::string> old_ids, new_ids;
  for (const std::string& message : old_rows) old_ids.insert(message.substr(kIdAt, 8));
  for (const std::string& message : new_rows) new_ids.insert(message.substr(kIdAt, 8));
  EXPECT_EQ(old_ids.size(), 1u);
  EXPECT_EQ(new_ids.size(), 1u);
  EXPECT_NE(old_ids, new_ids);
  EXPECT_EQ(std::set(old_rows.begin(), old_rows.end()).size(), 2u) << "anna in three formats, and bob";
  EXPECT_EQ(std::set(new_rows.begin(), new_rows.end()).size(), 2u);
  for (const std::string& message : new_rows) {
    EXPECT_EQ(std::count(old_rows.begin(), old_rows.end(), message), 0) << message;
  }
}

}  // namespace
}  // namespace runtail::test
