// Bodies that hold data (records, states, configurations, statements) leave nothing behind: not in the buffer, the
// database, the metrics, the dead letters or any log, whole or cut, in whatever envelope. What they count stays.
#include <gtest/gtest.h>

#include "tests/support/child_process.h"
#include "tests/support/container_lines.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

constexpr char kCanary[] = "canary-7F31";

// Each names the canary.
std::vector<std::string> bodies() {
  return {
      R"({"type":"RECORD","record":{"stream":"users","namespace":"shop","data":{"mail":"canary-7F31"},"emitted_at":1767323045000}})",
      R"({"record":{"data":{"mail":"canary-7F31"},"stream":"users","namespace":"shop"},"type":"RECORD"})",
      R"({"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":"shop"},"stream_state":{"c":"canary-7F31"}},"destinationStats":{"recordCount":5.0}}})",
      R"({"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","connectorConfig":{"config":{"token":"canary-7F31"}}}})",
      R"({"type":"SPEC","spec":{"connectionSpecification":{"default":"canary-7F31"}}})",
      R"({"type":"CATALOG","catalog":{"streams":[{"name":"canary-7F31"}]}})",
      R"({"type":"DEBUG","message":"canary-7F31","data":{"body":"canary-7F31"}})",
      R"({"type":"RECORD","rec":"canary-7F31"})",
      R"({"type":"RECORD","stream":"users","record":{"mail":"canary-7F31"}})",
      R"({"type":"RECORD","stream":"users","record":{"mail":"canary-7F31","x":NaN}})",
      R"({"type":"STATE","value":{"bookmarks":{"users":"canary-7F31"}}})",
      R"({"type":"BATCH","stream":"users","manifest":["s3://b/canary-7F31"]})",
      R"({"data":{"conn_name":"c","sql":"select 'canary-7F31'"},"info":{"invocation_id":"i1","name":"SQLQuery","level":"debug","msg":"On c: select 'canary-7F31'"}})",
      // Cut, in a logger's message, in a text.
      R"({"type":"RECORD","record":{"stream":"users","data":{"mail":"canary-7F31)",
      R"({"data":{"conn_name":"c","sql":"select 'canary-7F31')",
      R"({"level":"INFO","msg":"{\"type\":\"RECORD\",\"record\":{\"stream\":\"users\",\"data\":{\"m\":\"canary-7F31\"}}}"})",
      R"({"level":"INFO","msg":"{\"type\":\"RECORD\",\"record\":{\"stream\":\"users\",\"data\":{\"m\":\"canary-7F31"})",
      R"(2026-01-02 INFO - {"type":"STATE","value":{"bookmarks":{"users":"canary-7F31"}}})",
      R"(2026-01-02 INFO - {"type":"RECORD","stream":"users","record":{"mail":"canary-7F31)",
  };
}

void expect_none(const std::string& place, const std::string& text) {
  const std::size_t at = text.find(kCanary);
  EXPECT_EQ(at, std::string::npos) << place << ": " << text.substr(at < 80 ? 0 : at - 80, 200);
}

TEST(ToolBodies, LeaveNothingBehindInAnyEnvelope) {
  Scene scene("tool_bodies");
  AgentSetup setup = tailing(scene.directory, PostgresCluster::shared().conninfo("tool_bodies"));
  setup.more = "log: {level: debug}\nredaction: {allow: [data, record, state, value, sql, rec, message]}\n";
  AgentProcess agent(setup);
  std::size_t dropped = 0;
  {
    LogFile log(scene.log);
    log.append_line(R"({"ts":")" + container_time() + R"(","level":"INFO","msg":"seen","job_id":"j","run_id":"r"})");
    for (const std::string& body : bodies()) {
      // A long one comes in pieces.
      std::string long_body = body;
      long_body.insert(1, body[0] == '{' ? "\"pad\":\"" + std::string(20'000, 'x') + "\"," : "");
      log.append_line(body);
      for (const std::string& piece : docker_pieces(long_body)) log.append(piece);
      for (const std::string& piece : cri_pieces(long_body)) log.append(piece);
      dropped += 3;
    }
  }
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_delivered(scene.sql, agent, 1)) << agent.log();
  const auto scrape = agent.scrape();
  ASSERT_TRUE(scrape);
  double counted = 0;
  for (const char* rule :
       {"airbyte_record", "airbyte_state", "airbyte_control", "airbyte_spec", "airbyte_catalog", "airbyte_debug",
        "data_line", "singer_record", "singer_state", "singer_batch", "dbt_sql", "unparsable_body"}) {
    const double of_rule = scrape->sum("runtail_lines_dropped_total", {{"rule", rule}});
    EXPECT_GT(of_rule, 0) << rule;
    counted += of_rule;
  }
  EXPECT_GE(counted, static_cast<double>(dropped));  // a long one has several lines

  for (const std::string& table : scene.sql.rows("SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND "
                                                 "relnamespace = 'observability'::regnamespace")) {
    for (const std::string& row : scene.sql.rows("SELECT t::text FROM " + table + " AS t")) {
      expect_none("table " + table, row);
    }
  }
  // What the lines count is there: 5 rows in each of three presentations.
  EXPECT_EQ(scene.sql.number("SELECT sum(records_loaded) FROM observability.task_runs WHERE name = 'shop.users'"), 15);
  EXPECT_EQ(scene.sql.log_events(), 1);
  for (const std::string page : {"/metrics", "/healthz", "/readyz"}) expect_none(page, agent.get(page).body);
  for (const std::vector<std::string>& question : {std::vector<std::string>{"runs", "--output", "json"},
                                                   {"buffer", "ls", "--limit", "1000000", "--events"},
                                                   {"buffer", "dead-letters", "--output", "json"}}) {
    expect_none("runtail " + question[0], agent.ask(question).output);
  }
  EXPECT_EQ(agent.terminate().exit_code, 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(agent.buffer())) {
    if (entry.is_regular_file()) expect_none(entry.path().string(), read_file(entry.path()));
  }
  expect_none("the agent's log", agent.log());
  expect_none("the server's log", PostgresCluster::shared().log());
  for (const std::string way :
       {" explain --output json <", " explain <", " explain --summary --output json ", " redact <"}) {
    Command command;
    command.argv = {"sh", "-c", RUNTAIL_BINARY + way + scene.log.string()};
    const Finished shown = run_to_end(command);
    EXPECT_EQ(shown.exit_code, 0) << shown.errors;
    EXPECT_NE(shown.output, "");
    expect_none(way, shown.output + shown.errors);
  }
}

}  // namespace
}  // namespace runtail::test
