// Two agents with the same key read the same lines but for the values in them that are masked. All that they store is
// the same, but for keyed hashes and the times of their work.
#include <gtest/gtest.h>

#include <map>

#include "core/digest.h"
#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/redaction_values.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

// What was written for each value of `values`; every line has the same length whatever they are.
std::vector<std::string> lines_with(RedactionValues& values, const std::string& hour) {
  const std::string run = "7f3c1b2a-0d4e-4a5b-8c6d-9e0f1a2b3c4d";
  const auto head = [&](int second, const char* level) {
    return "{\"ts\":\"" + hour + ":05:" + std::to_string(second) + ".000Z\",\"level\":\"" + level +
           "\",\"job_id\":\"nightly_orders\",\"run_id\":\"" + run + "\",";
  };
  return {
      head(10, "INFO") + R"("event":"run.started","msg":"begin"})",
      head(11, "INFO") + R"("msg":"rejected row ssn )" + values.make("ssn") + R"(","task":"load"})",
      head(12, "INFO") + R"("msg":"dsn","extra":{"password":")" + values.make("password_plain") + R"(","n":1}})",
      head(13, "ERROR") + R"("msg":"m","error":{"type":"E","message":"Key (ssn)=()" + values.make("ssn") +
          R"() already exists."}})",
      head(14, "WARN") + R"("msg":"m","correlation_id":")" + values.make("ssn") + R"("})",
      head(15, "INFO") + R"("event":"dq","table":"t","msg":"m","null_rates":{"key )" + values.make("aws_key_id") +
          R"(":0.5}})",
      hour + ":05:16Z ERROR X-Api-Key: " + values.make("hex32") + " refused",
      hour + ":05:17Z ERROR too long password=" + values.make("password_plain") + std::string(2 << 20, 'x'),
      head(18, "ERROR") + R"("event":"run.finished","status":"failed","msg":"token=)" + values.make("hex40") +
          R"(","error":{"message":"password=)" + values.make("password_plain") + R"("}})",
  };
}

struct Kept {
  std::map<std::string, std::string> tables;  // all rows, as text, without what times and agents they are of
  std::string files;                          // of the buffer
  std::vector<std::string> keyed;             // hashes of raw bytes
};

// Columns that say when and by whom, and the keyed hashes: compared apart.
constexpr const char* kOwn =
    "ARRAY['first_seen_at','last_advanced_at','agent_id','created_at','updated_at','ingested_at','at','since',"
    "'confirm','body_hmac','stored_in']";

// What an agent tells of itself differs from one to the next.
constexpr const char* kNotItself =
    "coalesce(to_jsonb(t)->>'service', '') <> 'runtail' AND coalesce(to_jsonb(t)->>'stream', '') NOT LIKE "
    "'%/runtail/self'";

// Databases made alike have one identity key.
Kept keep(const std::string& name, const std::vector<std::string>& lines) {
  Scene scene(name);
  AgentSetup setup = tailing(scene.directory, PostgresCluster::shared().conninfo(name));
  setup.more = "redaction: {allow: [extra]}\n";
  AgentProcess agent(setup);
  LogFile log(scene.log);
  for (const std::string& line : lines) log.append_line(line);
  EXPECT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_TRUE(wait_delivered(scene.sql, agent, lines.size() - 1)) << agent.log();
  EXPECT_TRUE(wait_until([&] { return scene.sql.number("SELECT count(*) FROM observability.dead_letters") == 1; }));

  Kept kept;
  for (const std::string& table : scene.sql.rows("SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'p') AND "
                                                 "relnamespace = 'observability'::regnamespace")) {
    if (table.ends_with("identity_key") || table.ends_with("schema_migrations")) continue;
    std::string text;
    for (const std::string& row :
         scene.sql.rows("SELECT r FROM (SELECT (to_jsonb(t) - " + std::string(kOwn) + ")::text AS r FROM " + table +
                        " AS t WHERE " + kNotItself + ") AS x ORDER BY r")) {
      text += row + '\n';
    }
    kept.tables[table] = text;
  }
  for (const char* query :
       {"SELECT encode(confirm, 'hex') FROM observability.source_files WHERE stream NOT LIKE '%/runtail/self'",
        "SELECT encode(body_hmac, 'hex') FROM observability.dead_letters WHERE body_hmac IS NOT NULL"}) {
    for (const std::string& hash : scene.sql.rows(query)) kept.keyed.push_back(hash);
  }
  EXPECT_EQ(agent.terminate().exit_code, 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(agent.buffer())) {
    if (entry.is_regular_file()) kept.files += read_file(entry.path());
  }
  return kept;
}

TEST(BruteForce, WhatIsStoredForTwoValuesDiffersInKeyedHashesOnly) {
  RedactionValues first(seed()), second(seed() + 1);
  // Rows of a time for which there are partitions.
  const std::string hour = to_rfc3339(std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now() -
                                                                                    std::chrono::hours(2)))
                               .substr(0, 13);
  const std::vector<std::string> lines = lines_with(first, hour), others = lines_with(second, hour);
  for (std::size_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i].size(), others[i].size()) << i;
  const Kept one = keep("brute_one", lines), two = keep("brute_two", others);

  ASSERT_EQ(one.tables.size(), two.tables.size());
  for (const auto& [table, rows] : one.tables) EXPECT_EQ(rows, two.tables.at(table)) << table;
  EXPECT_NE(one.tables.at("observability.log_events").find("[REDACTED:"), std::string::npos);
  EXPECT_NE(one.tables.at("observability.job_runs").find("[REDACTED:"), std::string::npos);

  EXPECT_NE(one.keyed, two.keyed);

  // And those hashes are none that can be made without the key.
  ASSERT_FALSE(one.keyed.empty());
  std::vector<std::string> texts = lines;
  std::string all;
  for (const std::string& line : lines) all += line + '\n';
  texts.push_back(all);
  for (const std::size_t tail : {1024u, 64u, 16u}) texts.push_back(all.substr(all.size() - tail));
  for (const std::string& text : texts) {
    for (const std::string& digest : {to_hex(sha256(text)), to_hex(sha1(text)), to_hex(hmac_sha256({}, text))}) {
      for (const std::string& hash : one.keyed) EXPECT_NE(hash.substr(0, 32), digest.substr(0, 32));
      EXPECT_EQ(one.files.find(digest), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace runtail::test
