// Closed sets of words and limits of lengths, held against a migrated database.
#include <map>

#include "tests/unit/schema/tables_fixture.h"

namespace runtail::test {
namespace {

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

// Of the tables without a run: a row that may be there, then each word that may and may not.
struct WordCase {
  const char *table, *columns, *values;
  std::map<std::string, std::vector<std::string>> words;  // by column
};

TEST_F(TablesTest, WordsOfTheOtherTablesAreRefusedByNameToo) {
  const std::vector<std::string> categories{"API", "DB", "Data", "System"}, sources{"yaml", "env", "api"};
  run("INSERT INTO alert_rules (id, name, kind, severity, source, updated_at) VALUES "
      "('11111111-1111-5111-8111-111111111111', 'r', 'k', 'warn', 'yaml', now())");
  run("INSERT INTO alert_channels (id, name, kind, target_ref, send_resolved, source, updated_at) VALUES "
      "('22222222-2222-5222-8222-222222222222', 'c', 'slack', 'hook', true, 'yaml', now())");
  run("INSERT INTO alert_events (id, rule_id, dedupe_key, status, severity, fired_at, last_seen_at, count) VALUES "
      "('33333333-3333-5333-8333-333333333333', '11111111-1111-5111-8111-111111111111', 'd', 'firing', 'warn', now(), "
      "now(), 1)");
  const WordCase cases[] = {
      {"alert_rules", "", "", {{"source", sources}}},
      {"alert_channels", "", "", {{"source", sources}, {"kind", {"slack", "email", "alertmanager", "webhook"}}}},
      {"alert_events", "", "", {{"status", {"firing", "resolved", "stale"}}}},
      {"alert_deliveries",
       "id, alert_id, channel_id, kind, seq, state, attempts, created_at",
       "gen_random_uuid(), '33333333-3333-5333-8333-333333333333', '22222222-2222-5222-8222-222222222222', 'firing', "
       "0, "
       "'pending', 0, now()",
       {{"kind", {"firing", "repeat", "resolved"}}, {"state", {"pending", "sent", "failed"}}}},
      {"metric_snapshots",
       "id, ts, agent_id, name, value_type, labels",
       "gen_random_uuid(), now(), 'a', 'm', 'gauge', '{}'",
       {{"value_type", {"counter", "gauge", "histogram"}}}},
      {"service_heartbeats",
       "id, service, instance, status, last_seen_at",
       "gen_random_uuid(), 's', 'i', 'ok', now()",
       {{"status", {"ok", "degraded", "stopping", "down"}}}},
      {"traces",
       "id, bucket, trace_id",
       "gen_random_uuid(), date_trunc('day', now()), repeat('a', 32)",
       {{"status", {"ok", "error"}}}},
      {"spans",
       "id, ts, span_id, trace_id",
       "gen_random_uuid(), now(), repeat('b', 16), repeat('a', 32)",
       {{"span_type", {"llm", "embedding", "retrieval", "parse", "chunk"}},
        {"status", {"ok", "error"}},
        {"error_category", categories}}},
      {"chat_messages",
       "id, ts, session_id, redacted, pii_safe",
       "gen_random_uuid(), now(), 's', true, true",
       {{"role", {"user", "assistant", "system", "tool"}}}},
      {"document_events",
       "id, ts, document_id, event_type",
       "gen_random_uuid(), now(), 'd', 'parse'",
       {{"event_type", {"upload", "parse", "chunk", "embed", "index", "delete", "reprocess"}},
        {"status", {"started", "success", "failed"}},
        {"error_category", categories}}},
      {"provider_sync_status",
       "id, provider, resource, sync_status, state_at, state_event",
       "gen_random_uuid(), 'p', 'r', 'idle', now(), gen_random_uuid()",
       {{"sync_status", {"idle", "running", "success", "error"}}, {"error_category", categories}}},
  };
  for (const WordCase& one : cases) {
    const std::string table = one.table;
    if (*one.columns) run("INSERT INTO " + table + " (" + one.columns + ") VALUES (" + one.values + ")");
    for (const auto& [column, words] : one.words) {
      const std::string update = "UPDATE " + table + " SET " + column + " = ";
      for (const std::string& word : words) EXPECT_EQ(refusal(update + "'" + word + "'"), "") << update << word;
      EXPECT_EQ(refusal(update + "'nonsense'"), table + "_" + column + "_is_known");
      EXPECT_EQ(refusal(update + "''"), table + "_" + column + "_is_known");
    }
  }
  for (const char* table : {"spans", "document_events", "provider_sync_status"}) {
    const std::string update = "UPDATE " + std::string(table) + " SET error_message = ";
    EXPECT_EQ(refusal(update + "repeat('x', 2048)"), "");
    EXPECT_EQ(refusal(update + "repeat('x', 2047) || 'ä'"), std::string(table) + "_error_message_is_short");
  }
  EXPECT_EQ(refusal("UPDATE traces SET trace_id = 'short'"), "traces_trace_id_is_32_hex");
  EXPECT_EQ(refusal("UPDATE spans SET trace_id = 'short'"), "spans_trace_id_is_32_hex");
  EXPECT_EQ(refusal("UPDATE spans SET span_id = 'short'"), "spans_span_id_is_16_hex");
}

TEST_F(TablesTest, KeysOfAlertsAndAggregatesRefuseASecondRow) {
  run("INSERT INTO alert_rules (id, name, kind, severity, source, updated_at) VALUES "
      "('11111111-1111-5111-8111-111111111111', 'r', 'k', 'warn', 'yaml', now())");
  const auto fire = [](const std::string& status) {
    return "INSERT INTO alert_events (id, rule_id, dedupe_key, status, severity, fired_at, last_seen_at, count) VALUES "
           "(gen_random_uuid(), '11111111-1111-5111-8111-111111111111', 'd', '" +
           status + "', 'warn', now(), now(), 1)";
  };
  run(fire("firing"));
  EXPECT_EQ(refusal(fire("firing")), "alert_events_firing_key") << "one alert at a time fires for a key";
  EXPECT_EQ(refusal(fire("resolved")), "");
  // Half a reference to a result is none.
  EXPECT_EQ(refusal("UPDATE alert_events SET dq_result_id = gen_random_uuid()"), "alert_events_dq_result_fkey");
  const auto aggregate = [](const std::string& dimensions) {
    return "INSERT INTO metrics_aggregates (id, bucket, bucket_seconds, metric, dimensions, count) VALUES "
           "(gen_random_uuid(), date_trunc('hour', now()), 3600, 'm', " +
           dimensions + ", 1)";
  };
  run(aggregate(R"('{"a": 1, "b": 2}')"));
  EXPECT_THAT(refusal(aggregate(R"('{"b": 2, "a": 1}')")), testing::HasSubstr("_bucket_bucket_seconds_metric_"));
  EXPECT_EQ(refusal(aggregate("jsonb_build_object('k', repeat('x', 1015))")), "");
  EXPECT_EQ(refusal(aggregate("jsonb_build_object('k', repeat('x', 1020))")),
            "metrics_aggregates_dimensions_are_short");
  run("INSERT INTO provider_sync_status (id, provider, sync_status, state_at, state_event) VALUES "
      "(gen_random_uuid(), 'p', 'idle', now(), gen_random_uuid())");
  EXPECT_EQ(refusal("INSERT INTO provider_sync_status (id, provider, sync_status, state_at, state_event) VALUES "
                    "(gen_random_uuid(), 'p', 'idle', now(), gen_random_uuid())"),
            "provider_sync_status_provider_resource_key");
}

}  // namespace
}  // namespace runtail::test
