// A database with schema and partitions as of now, emptied for each test, with jobs and runs as a writer would store
// them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/time.h"
#include "core/uuid.h"
#include "schema/pg.h"
#include "tests/support/postgres_cluster.h"

namespace runtail::test {

inline Uuid numbered(int number) {
  Uuid id;
  for (int i = 0; i < 4; ++i) id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return id;
}

class AlertsTest : public testing::Test {
 protected:
  static const inline std::string kSchema = "observability";

  void SetUp() override {
    static const std::string database = PostgresCluster::shared().create_migrated_database("alerts");
    conninfo_ = database;
    connection_.emplace(connect());
    run("SET search_path = observability; SET timezone = 'UTC'");
    for (const char* table :
         {"alert_deliveries", "alert_events", "alert_silences", "alert_rules", "alert_channels", "dq_check_results",
          "dq_observations", "dq_check_definitions", "run_ids", "summary_dirty", "evaluation_progress", "etl_jobs"}) {
      run(std::string("DELETE FROM ") + table);
    }
  }
  PgConnection connect() const {
    auto connection = PgConnection::connect(conninfo_);
    if (!connection) throw std::runtime_error(connection.error().message);
    return std::move(*connection);
  }
  static PgResult ask(PgConnection& connection, const std::string& sql) {
    auto answer = connection.exec(sql);
    if (!answer) throw std::runtime_error(sql.substr(0, 1000) + ": " + answer.error().message);
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
        "', 'line', '" + to_rfc3339(now_) + "', '" + to_rfc3339(now_) + "')");
  }
  static std::string run_statement(const std::string& job, const Uuid& id, TimePoint scheduled_at,
                                   std::string_view status, int attempt) {
    const std::string uuid = "'" + to_string(id) + "'", at = "'" + to_rfc3339(scheduled_at) + "'";
    return "INSERT INTO run_ids VALUES (" + uuid + ", " + at +
           ", false); INSERT INTO job_runs (run_id, scheduled_at, job_id, job_id_rank, status, verdict_source, "
           "state_attempt, state_rank, state_at, state_event, first_event_at, last_event_at, attempt_count, "
           "retries_exhausted) VALUES (" +
           uuid + ", " + at + ", '" + job + "', 1, '" + std::string(status) + "', 'log', " + std::to_string(attempt) +
           ", 1, " + at + ", gen_random_uuid(), " + at + ", " + at + ", " + std::to_string(attempt) + ", false);" +
           state_change_statement(id);
  }
  static std::string state_change_statement(const Uuid& id) {
    return "INSERT INTO run_state_changes (id, run_id, attempt_no, field, verdict_source, event_id, agent_id, at) "
           "VALUES (gen_random_uuid(), '" +
           to_string(id) + "', 1, 'status', 'log', gen_random_uuid(), 'a', now());";
  }
  void add_run(const std::string& job, const Uuid& id, TimePoint scheduled_at, std::string_view status, int attempt) {
    run(run_statement(job, id, scheduled_at, status, attempt));
  }
  void add_state_change(const Uuid& id) { run(state_change_statement(id)); }

  const TimePoint now_ = SystemClock().now();
  std::string conninfo_;
  std::optional<PgConnection> connection_;
};

}  // namespace runtail::test
