// The tables as they must be, held against a migrated database: columns, indexes, keys, refused words, views.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schema/pg.h"
#include "tests/support/postgres_cluster.h"

namespace runtail {
namespace {

using test::PostgresCluster;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

std::string months_from_now(int months) {
  return "(date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '" + std::to_string(months) +
         " months 1 hour')";
}

// One migrated database for all of them; each test's rows are rolled back.
class TablesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { conninfo() = PostgresCluster::shared().create_migrated_database("tables"); }
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

TEST_F(TablesTest, ColumnsHaveTheirTypes) {
  // u uuid, t text, i int, n bigint, d double precision, ts timestamptz, b boolean, j jsonb; ! is NOT NULL.
  const char* const kExpected[] = {
      "dataset_status: id u!, environment t, dataset t!, job_id t, last_success_at ts, record_count n, last_run_id u, "
      "last_status t, last_status_at ts, last_event_at ts!",
      "dead_letters: id u!, at ts!, stream t, file_key bytea, generation i, byte_offset n!, byte_length n!, reason t!, "
      "sqlstate t, target_table t, body t, body_hmac bytea, agent_id t!, resolved_at ts",
      "dq_check_definitions: check_id u!, job_id t, table_name t!, column_name t, check_type t!, metric t!, threshold "
      "d, "
      "absolute_limit d, expected j, severity t!, enabled b!, source t!, updated_at ts!",
      "dq_check_results: id u!, created_at ts!, check_id u!, run_id u, job_id t, attempt_no i, type t!, status t!, "
      "metric t!, value d, baseline d, threshold d, severity t, table_name t, column_name t, details j!, "
      "correlation_id t, request_id t, ruleset t",
      "dq_observations: id u!, observed_at ts!, run_id u, job_id t!, attempt_no i, table_name t!, kind t!, row_count "
      "n, "
      "data j, event_id u!",
      "etl_jobs: id u!, job_id t!, name t, job_type t, owner t, service t, dataset t, schedule t, "
      "expected_every interval, stall_after interval, enabled b!, source t!, metadata j!, created_at ts!, updated_at "
      "ts!",
      "identity_key: only_row b!, key bytea!, created_at ts!",
      "job_runs: run_id u!, scheduled_at ts!, external_run_id t, parent_run_id u, retry_of u, service t, environment "
      "t, "
      "org_id t, project_id t, correlation_id t, request_id t, trace_id t, dataset t, dialect t, job_type t, job_id "
      "t!, "
      "job_id_rank smallint!, status t!, end_reason t, verdict_source t!, finished_at ts, duration_ms n, agent_id t, "
      "ts_source t, ruleset t, records_extracted_total n, records_loaded_total n, state_attempt i!, "
      "state_rank smallint!, state_at ts!, state_event u!, error_category t, error_code t, error_message t, "
      "error_attempt i, error_rank smallint, error_at ts, error_event u, exit_code i, exit_signal i, metrics j, "
      "records_extracted_sum n, records_loaded_sum n, tokens_in n, tokens_out n, cost_usd numeric(10,6), queued_at ts, "
      "started_at ts, first_event_at ts!, last_event_at ts!, attempt_count i!, max_attempts i, retries_exhausted b!, "
      "records_extracted n, records_loaded n, dq_status t, dq_findings j",
      "log_events: event_id u!, ts ts!, level t!, message t, service t, environment t, org_id t, project_id t, "
      "user_id t, ip t, job_id t, run_id u, task_run_id u, attempt i, phase t, dataset t, table_name t, duration_ms n, "
      "records_extracted n, records_loaded n, error_category t, error_code t, error_type t, error_message t, "
      "error_stack t, http_status i, route t, method t, outcome t, source t, correlation_id t, request_id t, "
      "trace_id t, span_id t, context j, raw_text t, redacted b!, pii_safe b!, redaction_counts j, redaction_state t!, "
      "ruleset t!, stream t!, agent_id t!",
      "run_attempts: id u!, run_id u!, attempt_no i!, status t!, end_reason t, verdict_source t!, finished_at ts, "
      "duration_ms n, ts_source t, records_extracted_total n, records_loaded_total n, state_rank smallint!, "
      "state_at ts!, state_event u!, error_category t, error_code t, error_message t, error_rank smallint, error_at "
      "ts, "
      "error_event u, started_at ts, exit_code i, exit_signal i, records_extracted_sum n, records_loaded_sum n, "
      "correlation_id t, request_id t, agent_id t, ruleset t",
      "run_ids: run_id u!, scheduled_at ts!, scheduled_stated b!",
      "run_state_changes: id u!, run_id u!, attempt_no i!, field t!, old t, new t, verdict_source t!, event_id u!, "
      "agent_id t!, at ts!",
      "schema_migrations: version i!, name t!, checksum bytea!, applied_at ts!, applied_by t!",
      "source_files: stream t!, file_key bytea!, generation i!, covered int8multirange!, confirm bytea!, "
      "first_seen_at ts!, last_advanced_at ts!, covers_until ts!, agent_id t!",
      "summary_dirty: job_id t!, environment t!, day date!, since ts!",
      "task_runs: task_run_id u!, run_id u!, external_task_id t, name t, phase t, dataset t, table_name t, "
      "correlation_id t, request_id t, trace_id t, span_id t, ruleset t, attempt_no i!, status t!, end_reason t, "
      "verdict_source t!, finished_at ts, duration_ms n, agent_id t, ts_source t, state_attempt i!, "
      "state_rank smallint!, state_at ts!, state_event u!, error_category t, error_code t, error_message t, "
      "error_attempt i, error_rank smallint, error_at ts, error_event u, queued_at ts, started_at ts, "
      "first_event_at ts, last_event_at ts, records_extracted n, records_loaded n",
  };
  EXPECT_THAT(rows(R"sql(
      SELECT c.relname || ': ' || string_agg(a.attname || ' ' ||
               CASE format_type(a.atttypid, a.atttypmod)
                 WHEN 'uuid' THEN 'u' WHEN 'text' THEN 't' WHEN 'integer' THEN 'i' WHEN 'bigint' THEN 'n'
                 WHEN 'double precision' THEN 'd' WHEN 'timestamp with time zone' THEN 'ts' WHEN 'boolean' THEN 'b'
                 WHEN 'jsonb' THEN 'j' ELSE format_type(a.atttypid, a.atttypmod)
               END || CASE WHEN a.attnotnull THEN '!' ELSE '' END, ', ' ORDER BY a.attnum)
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relnamespace = 'observability'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      GROUP BY c.relname ORDER BY c.relname COLLATE "C")sql"),
              ElementsAreArray(kExpected));
}

TEST_F(TablesTest, IndexesAreThere) {
  const char* const kExpected[] = {
      "dataset_status (environment, dataset) unique",
      "dataset_status (id) unique",
      "dead_letters (id) unique",
      "dead_letters (reason, at DESC)",
      "dq_check_definitions (check_id) unique",
      "dq_check_results (check_id, created_at DESC)",
      "dq_check_results (id, created_at) unique",
      "dq_check_results (job_id, created_at DESC) WHERE (status = ANY (ARRAY['warn'::text, 'fail'::text]))",
      "dq_check_results (run_id)",
      "dq_check_results brin (created_at)",
      "dq_check_results gin (details jsonb_path_ops)",
      "dq_observations (id, observed_at) unique",
      "dq_observations (job_id, table_name, kind, observed_at DESC)",
      "dq_observations (run_id)",
      "etl_jobs (id) unique",
      "etl_jobs (job_id) unique",
      "identity_key (only_row) unique",
      "job_runs (correlation_id) WHERE (correlation_id IS NOT NULL)",
      "job_runs (error_category, finished_at DESC) WHERE (status = 'failed'::text)",
      "job_runs (job_id, scheduled_at DESC) INCLUDE (status, duration_ms, records_loaded)",
      "job_runs (job_id, started_at DESC)",
      "job_runs (last_event_at) WHERE (status = ANY (ARRAY['queued'::text, 'running'::text]))",
      "job_runs (run_id, scheduled_at) unique",
      "job_runs (scheduled_at DESC, run_id)",
      "job_runs (status, finished_at DESC)",
      "job_runs (trace_id) WHERE (trace_id IS NOT NULL)",
      "log_events (correlation_id) WHERE (correlation_id IS NOT NULL)",
      "log_events (event_id, ts) unique",
      "log_events (run_id, ts) WHERE (run_id IS NOT NULL)",
      "log_events (task_run_id) WHERE (task_run_id IS NOT NULL)",
      "log_events (trace_id) WHERE (trace_id IS NOT NULL)",
      "log_events (ts DESC) WHERE (level = ANY (ARRAY['ERROR'::text, 'FATAL'::text]))",
      "log_events brin (ts)",
      "log_events gin (context jsonb_path_ops)",
      "run_attempts (id) unique",
      "run_attempts (run_id, attempt_no) unique",
      "run_ids (run_id) unique",
      "run_ids (run_id, scheduled_at) unique",
      "run_ids (scheduled_at)",
      "run_state_changes (id) unique",
      "run_state_changes (run_id, at)",
      "schema_migrations (version) unique",
      "source_files (last_advanced_at)",
      "source_files (stream, file_key, generation) unique",
      "summary_dirty (job_id, environment, day) unique",
      "task_runs (run_id)",
      "task_runs (status)",
      "task_runs (task_run_id) unique",
  };
  EXPECT_THAT(rows(R"sql(
      SELECT c.relname || replace(replace(regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING', ''), ' btree', ''),
                                  ' NULLS NOT DISTINCT', '') || CASE WHEN i.indisunique THEN ' unique' ELSE '' END
      FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
      WHERE c.relnamespace = 'observability'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition)sql"),
              UnorderedElementsAreArray(kExpected));
}

TEST_F(TablesTest, ForeignKeysAreThereAndLogLinesHaveNone) {
  EXPECT_THAT(
      rows(R"sql(
      SELECT c.relname, regexp_replace(pg_get_constraintdef(k.oid), 'FOREIGN KEY |REFERENCES ', '', 'g')
      FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
      WHERE k.contype = 'f' AND k.connamespace = 'observability'::regnamespace AND NOT c.relispartition)sql"),
      UnorderedElementsAre(
          "dq_check_definitions (job_id) etl_jobs(job_id)",
          "dq_check_results (check_id) dq_check_definitions(check_id)", "dq_check_results (job_id) etl_jobs(job_id)",
          "dq_check_results (run_id) run_ids(run_id) ON DELETE SET NULL",
          "dq_observations (run_id) run_ids(run_id) ON DELETE SET NULL", "job_runs (job_id) etl_jobs(job_id)",
          "job_runs (run_id, scheduled_at) run_ids(run_id, scheduled_at) ON UPDATE CASCADE ON DELETE CASCADE",
          "run_attempts (run_id) run_ids(run_id) ON DELETE CASCADE",
          "run_state_changes (run_id) run_ids(run_id) ON DELETE CASCADE",
          "task_runs (run_id) run_ids(run_id) ON DELETE CASCADE"));
}

TEST_F(TablesTest, PartitionedByTimeWithoutADefault) {
  EXPECT_THAT(rows("SELECT partrelid::regclass, pg_get_partkeydef(partrelid), partdefid FROM pg_partitioned_table "
                   "ORDER BY partrelid::regclass::text"),
              ElementsAre("dq_check_results RANGE (created_at) 0", "dq_observations RANGE (observed_at) 0",
                          "job_runs RANGE (scheduled_at) 0", "log_events RANGE (ts) 0"));
}

TEST_F(TablesTest, TextIdentitiesCompareByByte) {
  EXPECT_THAT(rows("SELECT attrelid::regclass, attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid "
                   "JOIN pg_collation l ON l.oid = attcollation WHERE relnamespace = 'observability'::regnamespace "
                   "AND relkind IN ('r', 'p') AND collname <> 'C' AND (attname ~ '_id$' OR attname IN ('stream', "
                   "'environment', 'dataset', 'service', 'status'))"),
              IsEmpty());
}

TEST_F(TablesTest, EveryCheckHasANameOfItsTable) {
  EXPECT_THAT(rows("SELECT conname FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid WHERE contype = 'c' AND "
                   "connamespace = 'observability'::regnamespace AND NOT relispartition AND "
                   "conname !~ ('^' || relname || '_.*_(is|are)_')"),
              IsEmpty());
}

TEST_F(TablesTest, WordsOutsideTheClosedSetsAreRefusedByName) {
  insert_run("now()");
  run(std::string("INSERT INTO run_attempts (id, run_id, attempt_no, status, verdict_source, state_rank, state_at, "
                  "state_event) VALUES (gen_random_uuid(), ") +
      kRun + ", 1, 'running', 'log', 1, now(), gen_random_uuid())");
  run(std::string("INSERT INTO task_runs (task_run_id, run_id, attempt_no, status, verdict_source, state_attempt, "
                  "state_rank, state_at, state_event) VALUES (gen_random_uuid(), ") +
      kRun + ", 1, 'running', 'log', 1, 1, now(), gen_random_uuid())");
  run("INSERT INTO log_events (event_id, ts, level, redacted, pii_safe, redaction_state, ruleset, stream, agent_id) "
      "VALUES (gen_random_uuid(), now(), 'INFO', false, true, 'clean', 'r1', 's', 'a')");
  run("INSERT INTO dq_check_definitions (check_id, table_name, check_type, metric, severity, source, updated_at) "
      "VALUES (gen_random_uuid(), 't', 'reported', 'm', 'warn', 'line', now())");
  run("INSERT INTO dq_check_results (id, created_at, check_id, type, status, metric) "
      "SELECT gen_random_uuid(), now(), check_id, 'reported', 'pass', 'm' FROM dq_check_definitions");
  run("INSERT INTO dq_observations (id, observed_at, job_id, table_name, kind, event_id) "
      "VALUES (gen_random_uuid(), now(), 'orders', 't', 'row_count', gen_random_uuid())");
  struct Case {
    std::string table, column;
    std::vector<std::string> words;
  };
  const std::vector<std::string> statuses{"queued", "running", "success", "failed", "cancelled", "skipped"};
  const std::vector<std::string> reasons{"completed", "exit_code", "signal", "oom", "lost", "timeout"};
  const std::vector<std::string> categories{"API", "DB", "Data", "System"};
  std::vector<Case> cases{
      {"etl_jobs", "job_type", {"batch", "streaming"}},
      {"etl_jobs", "source", {"line", "config"}},
      {"job_runs", "job_type", {"batch", "streaming"}},
      {"job_runs", "dq_status", {"pass", "warn", "fail"}},
      {"task_runs", "phase", {"extract", "transform", "load", "dq"}},
      {"log_events", "level", {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}},
      {"log_events", "outcome", {"success", "error", "retry"}},
      {"log_events", "source", {"api", "job", "frontend", "worker"}},
      {"log_events", "redaction_state", {"clean", "masked", "pseudonymised", "partial", "failed_closed"}},
      {"log_events", "error_category", categories},
      {"dq_check_definitions", "check_type", {"row_count_delta", "null_rate", "schema_drift", "reported"}},
      {"dq_check_definitions", "severity", {"warn", "fail"}},
      {"dq_check_definitions", "source", {"yaml", "env", "api", "line"}},
      {"dq_check_results", "status", {"pass", "warn", "fail"}},
      {"dq_observations", "kind", {"row_count", "null_rates", "columns"}},
  };
  for (const char* table : {"job_runs", "run_attempts", "task_runs"}) {
    cases.push_back({table, "status", statuses});
    cases.push_back({table, "end_reason", reasons});
    cases.push_back({table, "verdict_source", {"log", "exit", "inferred"}});
    cases.push_back({table, "ts_source", {"line", "envelope", "previous", "next", "seen"}});
    cases.push_back({table, "error_category", categories});
  }
  for (const Case& one : cases) {
    const std::string update = "UPDATE " + one.table + " SET " + one.column + " = ";
    for (const std::string& word : one.words) EXPECT_EQ(refusal(update + "'" + word + "'"), "") << update << word;
    EXPECT_EQ(refusal(update + "'nonsense'"), one.table + "_" + one.column + "_is_known");
    EXPECT_EQ(refusal(update + "''"), one.table + "_" + one.column + "_is_known");
  }
  for (const char* table : {"job_runs", "run_attempts", "task_runs", "log_events"}) {
    const std::string update = "UPDATE " + std::string(table) + " SET error_message = ";
    EXPECT_EQ(refusal(update + "repeat('x', 2048)"), "");
    EXPECT_EQ(refusal(update + "repeat('x', 2047) || 'ä'"), std::string(table) + "_error_message_is_short");
  }
  EXPECT_EQ(refusal("UPDATE run_attempts SET attempt_no = 0"), "run_attempts_attempt_no_is_positive");
}

TEST_F(TablesTest, AnEarlierScheduleMovesTheRunToItsMonth) {
  insert_run(months_from_now(0));
  EXPECT_THAT(rows("SELECT tableoid::regclass::text = 'job_runs_' || to_char(now(), 'YYYY_MM') FROM job_runs"),
              ElementsAre("t"));
  run("UPDATE run_ids SET scheduled_at = " + months_from_now(-1) + ", scheduled_stated = true");
  EXPECT_THAT(
      rows("SELECT tableoid::regclass::text = 'job_runs_' || to_char(scheduled_at, 'YYYY_MM'), scheduled_at = " +
           months_from_now(-1) + ", status FROM job_runs"),
      ElementsAre("t t running"));
  EXPECT_EQ(refusal("UPDATE run_ids SET scheduled_at = now() - interval '3 years'"), "23514");
  run("DELETE FROM run_ids");
  EXPECT_THAT(rows("SELECT 1 FROM job_runs"), IsEmpty());
}

TEST_F(TablesTest, ATotalWinsOverTheSum) {
  insert_run("now()");
  run("UPDATE job_runs SET records_loaded_sum = 600, records_extracted_sum = 5");
  EXPECT_THAT(rows("SELECT records_loaded, records_extracted FROM job_runs"), ElementsAre("600 5"));
  run("UPDATE job_runs SET records_loaded_total = 1500");
  EXPECT_THAT(rows("SELECT records_loaded, records_extracted FROM job_runs"), ElementsAre("1500 5"));
}

TEST_F(TablesTest, ARunIsStalledAfterItsJobsSilence) {
  insert_run("now()");
  const auto stalled = [&] { return rows("SELECT stalled FROM runs").at(0); };
  EXPECT_EQ(stalled(), "f");
  run("UPDATE job_runs SET last_event_at = now() - interval '15 minutes 1 second'");
  EXPECT_EQ(stalled(), "t");
  run("UPDATE etl_jobs SET stall_after = interval '1 hour'");
  EXPECT_EQ(stalled(), "f");
  run("UPDATE etl_jobs SET stall_after = null; UPDATE job_runs SET status = 'success'");
  EXPECT_EQ(stalled(), "f");
}

TEST_F(TablesTest, ARunShowsItsErrorOnlyWhileItIsFailed) {
  insert_run("now()");
  run("UPDATE job_runs SET status = 'failed', error_category = 'DB', error_code = '40001', error_message = 'm', "
      "started_at = now() - interval '2 seconds', finished_at = now()");
  const std::string select = "SELECT status, error_category, error_code, error_message, duration_ms FROM runs";
  EXPECT_THAT(rows(select), ElementsAre("failed DB 40001 m 2000"));
  run("UPDATE job_runs SET status = 'success', duration_ms = 7");
  EXPECT_THAT(rows(select), ElementsAre("success - - - 7"));
}

TEST_F(TablesTest, MonitoringTellsRunsInItsOwnWords) {
  insert_run("now()");
  run("UPDATE job_runs SET environment = 'prod', dataset = 'sales', records_loaded_sum = 9, error_message = 'm'");
  const std::string select =
      "SELECT job_name, job_type, dataset, status, records_processed, error_message, environment FROM "
      "monitoring.job_runs";
  EXPECT_THAT(rows(select), ElementsAre("orders - sales STARTED 9 - prod"));
  run("UPDATE etl_jobs SET name = 'Orders', job_type = 'batch'");
  struct Case {
    const char *status, *shown;
  };
  for (const Case& one : {Case{"queued", "STARTED - "}, Case{"success", "SUCCESS - "}, Case{"failed", "FAILED m "},
                          Case{"cancelled", "FAILED - "}}) {
    run("UPDATE job_runs SET status = '" + std::string(one.status) + "'");
    const std::string shown = one.shown;
    const std::string word = shown.substr(0, shown.find(' '));
    EXPECT_THAT(rows(select),
                ElementsAre("Orders batch sales " + word + " 9 " + shown.substr(word.size() + 1) + "prod"));
  }
  run("UPDATE job_runs SET status = 'skipped'");
  EXPECT_THAT(rows(select), IsEmpty());
}

TEST_F(TablesTest, MonitoringTellsHowFreshADatasetIs) {
  run("INSERT INTO dataset_status (id, environment, dataset, last_success_at, record_count, last_status, "
      "last_event_at) "
      "VALUES (gen_random_uuid(), 'prod', 'sales', now() - interval '90 seconds', 5, 'success', now()), "
      "(gen_random_uuid(), null, 'new', null, null, null, now())");
  EXPECT_THAT(rows("SELECT dataset, environment, record_count, freshness_minutes, last_status "
                   "FROM monitoring.dataset_status ORDER BY dataset"),
              ElementsAre("new - - - -", "sales prod 5 1 success"));
  EXPECT_EQ(refusal("INSERT INTO dataset_status (id, dataset, last_event_at) VALUES (gen_random_uuid(), 'new', now())"),
            "dataset_status_environment_dataset_key");
}

TEST_F(TablesTest, OnlyTheOwnerReadsTheIdentityKey) {
  EXPECT_THAT(rows("SELECT count(*) FROM identity_key"), ElementsAre("1"));
  run("CREATE ROLE somebody; GRANT USAGE ON SCHEMA observability TO somebody; SET LOCAL ROLE somebody");
  EXPECT_EQ(refusal("SELECT * FROM identity_key"), "42501");
}

}  // namespace
}  // namespace runtail
