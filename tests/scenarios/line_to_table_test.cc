// From line to table: the lines of tests/testdata/contract, which docs/log-contract.md describes, fill every column
// there is. What no line fills is named here with its reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::IsEmpty;

// "table.column", or "table.*" for all of it.
const std::map<std::string, std::string> kNotFromLines = {
    {"etl_jobs.name", "of a job's configuration"},
    {"etl_jobs.job_type", "of a job's configuration"},
    {"etl_jobs.owner", "of a job's configuration"},
    {"etl_jobs.service", "of a job's configuration"},
    {"etl_jobs.dataset", "of a job's configuration"},
    {"etl_jobs.schedule", "of a job's configuration"},
    {"etl_jobs.expected_every", "of a job's configuration"},
    {"etl_jobs.stall_after", "of a job's configuration"},
    {"dead_letters.sqlstate", "of rows PostgreSQL refuses: tests/unit/sinks/postgres_refused_rows_test.cc"},
    {"dead_letters.target_table", "of rows PostgreSQL refuses: tests/unit/sinks/postgres_refused_rows_test.cc"},
    {"dead_letters.resolved_at", "of a replay"},
    {"dead_letters.body_hmac", "nobody asks for it yet"},
    {"dq_check_definitions.absolute_limit", "of a configured check"},
    {"dq_check_definitions.expected", "of a configured check"},
    {"dq_check_results.baseline", "of an evaluated check"},
    {"dq_check_results.severity", "of an evaluated check"},
    {"alert_channels.*", "of alerts"},
    {"alert_rules.*", "of alerts"},
    {"alert_rule_channels.*", "of alerts"},
    {"alert_events.*", "of alerts"},
    {"alert_deliveries.*", "of alerts"},
    {"alert_silences.*", "of alerts"},
    {"alert_watch.*", "of alerts"},
    {"evaluation_progress.*", "of alerts and data quality"},
    {"access_log.*", "of the history server"},
    {"audit_events.*", "of the history server"},
};

// Columns of the schema's tables; "table.column".
std::set<std::string> columns(const Sql& sql) {
  const auto names = sql.rows(
      "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
      "WHERE c.relnamespace = 'observability'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
      "AND a.attnum > 0 AND NOT a.attisdropped");
  return {names.begin(), names.end()};
}

// Those of them in which some row holds a value.
std::set<std::string> filled(const Sql& sql) {
  std::map<std::string, std::string> questions;  // by table: its columns with a value, as text with blanks between
  for (const std::string& column : columns(sql)) {
    const std::size_t dot = column.find('.');
    questions[column.substr(0, dot)] +=
        ", CASE WHEN count(\"" + column.substr(dot + 1) + "\") > 0 THEN '" + column + "' END";
  }
  std::string all;
  for (const auto& [table, names] : questions) {
    all += (all.empty() ? "" : " UNION ALL ") + ("SELECT concat_ws(' '" + names + ") FROM observability." + table);
  }
  std::set<std::string> found;
  for (const std::string& row : sql.rows(all)) {
    std::istringstream names(row);
    for (std::string name; names >> name;) found.insert(name);
  }
  return found;
}

// The lines with their day moved to yesterday: partitions hold what is recent.
std::string recent(std::string lines) {
  const std::string yesterday = to_rfc3339(SystemClock().now() - std::chrono::hours(24)).substr(0, 10);
  for (std::size_t at = 0; (at = lines.find("2026-03-01", at)) != std::string::npos;) {
    lines.replace(at, yesterday.size(), yesterday);
  }
  return lines;
}

TEST(LineToTable, EveryColumnIsFilledByADocumentedLineOrSaysWhyNot) {
  const std::string database = "line_to_table";
  PostgresCluster& cluster = PostgresCluster::shared();
  const Sql sql(cluster.create_migrated_database(database));
  const auto migrate = [&](std::vector<std::string> more) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "migrate", "--url", cluster.conninfo(database)};
    command.argv.insert(command.argv.end(), more.begin(), more.end());
    const Finished done = run_to_end(command);
    EXPECT_EQ(done.exit_code, 0) << done.errors;
  };
  // As the writer role, whose rights are enough for every kind of record.
  migrate({"--roles", database});
  sql.rows("CREATE ROLE line_to_table_agent LOGIN IN ROLE line_to_table_writer");
  const TempDir directory;
  AgentSetup setup = tailing(directory, cluster.conninfo(database) + " user=line_to_table_agent");
  setup.more = "redaction: {allow: [region]}";
  AgentProcess agent(setup);
  std::uint64_t lines = 0;
  {
    LogFile log(directory / "etl.log");
    const std::filesystem::path contract = std::filesystem::path(RUNTAIL_SOURCE_DIR) / "tests/testdata/contract";
    for (const auto& entry : std::filesystem::directory_iterator(contract)) {
      if (entry.path().extension() != ".jsonl") continue;
      const std::string text = recent(read_file(entry.path()));
      lines += static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
      log.append(text);
    }
    ASSERT_GT(lines, 30u);
    log.append_line("a line that is no JSON");
    // From a clock that is ahead of time: set aside.
    log.append_line(R"({"ts":")" + to_rfc3339(SystemClock().now() + std::chrono::hours(80)) +
                    R"(","level":"INFO","msg":"too early","job_id":"orders","run_id":"orders-0301"})");
  }
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  ASSERT_TRUE(wait_delivered(sql, agent, lines + 1)) << agent.log();

  EXPECT_EQ(agent.metric("runtail_ledger_imbalance"), 0);
  // What its metrics were, an agent tells at its end at the latest.
  EXPECT_EQ(agent.terminate().exit_code, 0);
  std::set<std::string> found = filled(sql);
  migrate({"--maintain"});
  found.merge(filled(sql));  // summaries

  std::set<std::string> no_line, no_longer_true, named;
  for (const std::string& column : columns(sql)) {
    const std::string whole = column.substr(0, column.find('.')) + ".*";
    const bool has_reason = kNotFromLines.contains(column) || kNotFromLines.contains(whole);
    if (has_reason) named.insert(column);
    if (!has_reason && !found.contains(column)) no_line.insert(column);
    if (has_reason && found.contains(column)) no_longer_true.insert(column);
  }
  EXPECT_THAT(no_line, IsEmpty());
  EXPECT_THAT(no_longer_true, IsEmpty());
  for (const auto& [name, reason] : kNotFromLines) {
    const std::string prefix = name.ends_with(".*") ? name.substr(0, name.size() - 1) : name;
    EXPECT_TRUE(std::any_of(named.begin(), named.end(), [&](const auto& each) { return each.starts_with(prefix); }))
        << name << " is no column";
  }
  // Nothing but the line from the future was set aside.
  EXPECT_THAT(sql.rows("SELECT reason FROM observability.dead_letters WHERE reason <> 'future_time'"), IsEmpty());
}

}  // namespace
}  // namespace runtail::test
