// A migrated database for all tests of a program; each test's rows are rolled back.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "schema/pg.h"
#include "tests/support/postgres_cluster.h"

namespace runtail::test {

inline std::string months_from_now(int months) {
  return "(date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '" + std::to_string(months) +
         " months 1 hour')";
}

class TablesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (conninfo().empty()) conninfo() = PostgresCluster::shared().create_migrated_database("tables");
  }
  static std::string& conninfo() {
    static std::string text;
    return text;
  }
  void SetUp() override {
    auto connection = PgConnection::connect(conninfo());
    ASSERT_TRUE(connection) << connection.error().message;
    connection_.emplace(std::move(*connection));
    ASSERT_TRUE(connection_->exec("BEGIN; SET LOCAL search_path = observability; SET LOCAL timezone = 'UTC'"));
  }

  // One text per row, columns joined by a space, null as "-".
  std::vector<std::string> rows(const std::string& sql) {
    auto answer = connection_->exec(sql);
    if (!answer) throw std::runtime_error(sql + ": " + answer.error().message);
    std::vector<std::string> all;
    for (int row = 0; row < answer->rows(); ++row) {
      std::string line;
      for (int column = 0; column < answer->columns(); ++column) {
        line += column ? " " : "";
        line += answer->is_null(row, column) ? "-" : std::string(answer->text(row, column));
      }
      all.push_back(line);
    }
    return all;
  }
  void run(const std::string& sql) {
    auto done = connection_->exec(sql);
    if (!done) throw std::runtime_error(sql + ": " + done.error().message);
  }
  // The constraint (else SQLSTATE) that refuses a statement; "" if none does.
  std::string refusal(const std::string& sql) {
    run("SAVEPOINT s");
    auto done = connection_->exec(sql);
    run("ROLLBACK TO s");
    if (done) return "";
    return done.error().constraint_name.empty() ? done.error().sqlstate : done.error().constraint_name;
  }

  static constexpr char kRun[] = "'11111111-1111-5111-8111-111111111111'";
  void insert_job() {
    run("INSERT INTO etl_jobs (id, job_id, source, created_at, updated_at) "
        "VALUES (gen_random_uuid(), 'orders', 'line', now(), now())");
  }
  void insert_run(const std::string& scheduled_at) {
    insert_job();
    run(std::string("INSERT INTO run_ids VALUES (") + kRun + ", " + scheduled_at + ", false)");
    run(std::string(
            "INSERT INTO job_runs (run_id, scheduled_at, job_id, job_id_rank, status, verdict_source, state_attempt, "
            "state_rank, state_at, state_event, first_event_at, last_event_at, attempt_count, retries_exhausted) "
            "VALUES (") +
        kRun + ", " + scheduled_at +
        ", 'orders', 1, 'running', 'log', 1, 1, now(), gen_random_uuid(), now(), now(), 1, "
        "false)");
  }

  std::optional<PgConnection> connection_;
};

}  // namespace runtail::test
