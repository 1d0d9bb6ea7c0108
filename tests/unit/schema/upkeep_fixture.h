// A database per test with partitions that go further back than they are kept, on a clock that stands still.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "schema/migrate.h"
#include "schema/partitions.h"
#include "schema/pg.h"
#include "tests/support/postgres_cluster.h"

namespace runtail::test {

class UpkeepTest : public testing::Test {
 protected:
  static constexpr char kSchema[] = "observability";
  // Partitions were made on kBefore and on kToday: job_runs from 2024-10, log_events from 2025-12-22.
  static constexpr char kBefore[] = "2025-12-31T00:00:00Z";
  static constexpr char kToday[] = "2026-01-24T12:00:00Z";

  static TimePoint at(const char* text) { return parse_rfc3339(text).value(); }
  static PgConnection connect(const std::string& conninfo) {
    auto connection = PgConnection::connect(conninfo);
    if (!connection) throw std::runtime_error(connection.error().message);
    return std::move(*connection);
  }
  // Without the optional tables, and with few months ahead: hundreds of partitions would only take the tests' time.
  static void SetUpTestSuite() {
    static bool made = false;
    if (std::exchange(made, true)) return;
    PgConnection connection = connect(PostgresCluster::shared().create_database("upkeep"));
    MigrationRequest request;
    for (const std::string_view group : optional_groups()) request.without.emplace_back(group);
    ASSERT_TRUE(migrate_up(connection, kSchema, request));
    RetentionConfig few_days;
    few_days.lines = std::chrono::hours(24 * 9);
    ASSERT_TRUE(maintain_partitions(connection, kSchema, at(kBefore), std::chrono::seconds(5), few_days));
    ASSERT_TRUE(maintain_partitions(connection, kSchema, at(kToday)));
    for (const ExistingPartition& partition : existing_partitions(connection, kSchema).value()) {
      // (One that alerts may refer to is not dropped as simply.)
      if (partition.bounds.from < at("2026-02-28T00:00:00Z") || partition.table == "dq_check_results") continue;
      ask(connection, "DROP TABLE observability." + partition.name);
    }
  }
  void SetUp() override { use_new_database(); }

  void use_new_database() {
    static int count = 0;
    database_ = "upkeep_" + std::to_string(++count);
    conninfo_ = PostgresCluster::shared().create_database(database_, "upkeep");
    open();
  }
  void open() {
    connection_.emplace(connect(conninfo_));
    run("SET search_path = observability; SET timezone = 'UTC'");
  }

  static PgResult ask(PgConnection& connection, const std::string& sql) {
    auto answer = connection.exec(sql);
    if (!answer) throw std::runtime_error(sql + ": " + answer.error().message);
    return std::move(*answer);
  }
  void run(const std::string& sql) { ask(*connection_, sql); }
  // One text per row, columns joined by a space, null as "-".
  std::vector<std::string> rows(const std::string& sql) {
    const PgResult answer = ask(*connection_, sql);
    std::vector<std::string> all;
    for (int row = 0; row < answer.rows(); ++row) {
      std::string& line = all.emplace_back();
      for (int column = 0; column < answer.columns(); ++column) {
        line += column ? " " : "";
        line += answer.is_null(row, column) ? "-" : std::string(answer.text(row, column));
      }
    }
    return all;
  }
  std::string one(const std::string& sql) { return rows(sql).at(0); }

  void add_job(const std::string& job) {
    run("INSERT INTO etl_jobs (id, job_id, source, created_at, updated_at) VALUES (gen_random_uuid(), '" + job +
        "', 'line', now(), now()) ON CONFLICT DO NOTHING");
  }
  // With an attempt, a task and a state change. Gives its id.
  std::string add_run(const std::string& job, const std::string& scheduled_at) {
    add_job(job);
    const std::string id = one("SELECT gen_random_uuid()");
    const std::string run_id = "'" + id + "', ", time = "'" + scheduled_at + "'";
    run("INSERT INTO run_ids VALUES (" + run_id + time + ", true)");
    run("INSERT INTO job_runs (run_id, scheduled_at, job_id, job_id_rank, status, verdict_source, state_attempt, "
        "state_rank, state_at, state_event, first_event_at, last_event_at, attempt_count, retries_exhausted) VALUES (" +
        run_id + time + ", '" + job + "', 1, 'running', 'log', 1, 1, " + time + ", gen_random_uuid(), " + time + ", " +
        time + ", 1, false)");
    run("INSERT INTO run_attempts (id, run_id, attempt_no, status, verdict_source, state_rank, state_at, state_event) "
        "VALUES (gen_random_uuid(), " +
        run_id + "1, 'running', 'log', 1, " + time + ", gen_random_uuid())");
    run("INSERT INTO task_runs (task_run_id, run_id, attempt_no, status, verdict_source, state_attempt, state_rank, "
        "state_at, state_event) VALUES (gen_random_uuid(), " +
        run_id + "1, 'running', 'log', 1, 1, " + time + ", gen_random_uuid())");
    run("INSERT INTO run_state_changes VALUES (gen_random_uuid(), " + run_id +
        "1, 'status', NULL, 'running', 'log', gen_random_uuid(), 'a', " + time + ")");
    return id;
  }
  static std::string log_event(const std::string& ts) {
    return "INSERT INTO observability.log_events (event_id, ts, level, redacted, pii_safe, redaction_state, ruleset, "
           "stream, agent_id) VALUES (gen_random_uuid(), '" +
           ts + "', 'INFO', false, true, 'clean', 'r', 's', 'a')";
  }
  std::string oldest(const std::string& table) {
    return to_rfc3339(read_partition_bounds(*connection_, kSchema)->at(table).from).substr(0, 10);
  }

  std::string database_, conninfo_;
  std::optional<PgConnection> connection_;
};

}  // namespace runtail::test
