// The tables as they must be, held against a migrated database: columns, indexes, keys.
#include "tests/unit/schema/tables_fixture.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

TEST_F(TablesTest, ColumnsHaveTheirTypes) {
  // u uuid, t text, i int, n bigint, d double precision, ts timestamptz, b boolean, j jsonb; ! is NOT NULL.
  const char* const kExpected[] = {
      "access_log: id u!, at ts!, subject_hmac bytea, scope t, method t, route t, params_digest bytea, status i, "
      "rows i, duration_ms i, correlation_id t, remote_hmac bytea",
      "alert_channels: id u!, name t!, kind t!, target_ref t!, send_resolved b!, enabled b!, source t!, updated_at "
      "ts!",
      "alert_deliveries: id u!, alert_id u!, channel_id u!, kind t!, seq i!, state t!, attempts i!, next_attempt_at "
      "ts, leased_until ts, sent_at ts, last_error t, created_at ts!",
      "alert_events: id u!, rule_id u!, dedupe_key t!, status t!, severity t!, fired_at ts!, last_seen_at ts!, "
      "resolved_at ts, count i!, job_id t, run_id u, dq_result_id u, dq_result_at ts, labels j!, annotations j!, "
      "correlation_id t, acknowledged_by t, acknowledged_at ts, notify_at ts, notified_at ts",
      "alert_rule_channels: id u!, rule_id u!, channel_id u!, repeat_s i",
      "alert_rules: id u!, name t!, kind t!, job_id t, params j!, window_s i, for_s i, severity t!, labels j!, "
      "annotations j!, enabled b!, source t!, updated_at ts!",
      "alert_silences: id u!, job_pattern t!, rule_name t, starts_at ts!, ends_at ts!, created_by t!, comment t",
      "alert_watch: rule_id u!, job_id t!, due_at ts!",
      "audit_events: id u!, at ts!, actor t!, action t!, object t, before j, after j, correlation_id t",
      "chat_messages: id u!, ts ts!, session_id t!, turn i, role t, content t, sources j, citations j, user_id t, "
      "trace_id t, span_id t, model t, tokens_in n, tokens_out n, cost_usd numeric(10,6), redacted b!, pii_safe b!, "
      "metadata j",
      "dataset_status: id u!, environment t, dataset t!, job_id t, last_success_at ts, record_count n, last_run_id "
      "u, last_status t, last_status_at ts, last_event_at ts!",
      "dead_letters: id u!, at ts!, stream t, file_key bytea, generation i, byte_offset n!, byte_length n!, reason "
      "t!, sqlstate t, target_table t, body t, body_hmac bytea, agent_id t!, resolved_at ts",
      "document_events: id u!, ts ts!, document_id t!, event_type t!, status t, job_id t, run_id u, trace_id t, "
      "user_id t, duration_ms n, page_count i, chunk_count i, tokens n, cost_usd numeric(10,6), bytes n, "
      "error_category t, error_message t, metadata j",
      "dq_check_definitions: check_id u!, job_id t, table_name t!, column_name t, check_type t!, metric t!, "
      "threshold d, absolute_limit d, expected j, severity t!, enabled b!, source t!, updated_at ts!",
      "dq_check_results: id u!, created_at ts!, check_id u!, run_id u, job_id t, attempt_no i, type t!, status t!, "
      "metric t!, value d, baseline d, threshold d, severity t, table_name t, column_name t, details j!, "
      "correlation_id t, request_id t, ruleset t",
      "dq_observations: id u!, observed_at ts!, run_id u, job_id t!, attempt_no i, table_name t!, kind t!, "
      "row_count n, data j, event_id u!, stored_in n!",
      "etl_jobs: id u!, job_id t!, name t, job_type t, owner t, service t, dataset t, schedule t, expected_every "
      "interval, stall_after interval, enabled b!, source t!, metadata j!, created_at ts!, updated_at ts!",
      "evaluation_progress: name t!, stored_before n!, updated_at ts!",
      "fleet_counts: id n!, counter t!, label_1 t!, label_2 t!, amount n!",
      "fleet_totals: counter t!, label_1 t!, label_2 t!, amount n!",
      "identity_key: only_row b!, key bytea!, created_at ts!",
      "job_daily_summary: id u!, job_id t!, environment t!, day date!, runs i, succeeded i, failed i, cancelled i, "
      "skipped i, success_rate d, p95_duration_ms d, duration_buckets bigint[], records_loaded n, dq_warn i, "
      "dq_fail i, computed_at ts!",
      "job_runs: run_id u!, scheduled_at ts!, external_run_id t, parent_run_id u, retry_of u, service t, "
      "environment t, org_id t, project_id t, correlation_id t, request_id t, trace_id t, dataset t, dialect t, "
      "job_type t, job_id t!, job_id_rank smallint!, status t!, end_reason t, verdict_source t!, finished_at ts, "
      "duration_ms n, agent_id t, ts_source t, ruleset t, records_extracted_total n, records_loaded_total n, "
      "state_attempt i!, state_rank smallint!, state_at ts!, state_event u!, error_category t, error_code t, "
      "error_message t, error_attempt i, error_rank smallint, error_at ts, error_event u, exit_code i, exit_signal "
      "i, metrics j, records_extracted_sum n, records_loaded_sum n, tokens_in n, tokens_out n, cost_usd "
      "numeric(10,6), queued_at ts, started_at ts, first_event_at ts!, last_event_at ts!, attempt_count i!, "
      "max_attempts i, retries_exhausted b!, records_extracted n, records_loaded n, dq_status t, dq_findings j",
      "log_events: event_id u!, ts ts!, level t!, message t, service t, environment t, org_id t, project_id t, "
      "user_id t, ip t, job_id t, run_id u, task_run_id u, attempt i, phase t, dataset t, table_name t, duration_ms "
      "n, records_extracted n, records_loaded n, error_category t, error_code t, error_type t, error_message t, "
      "error_stack t, http_status i, route t, method t, outcome t, source t, correlation_id t, request_id t, "
      "trace_id t, span_id t, context j, raw_text t, redacted b!, pii_safe b!, redaction_counts j, redaction_state "
      "t!, ruleset t!, stream t!, agent_id t!",
      "metric_snapshots: id u!, ts ts!, agent_id t!, name t!, value_type t!, labels j!, value d, sum d, count n, "
      "buckets bigint[]",
      "metrics_aggregates: id u!, bucket ts!, bucket_seconds i!, metric t!, dimensions j!, count n!, sum d, buckets "
      "bigint[], error_count n, tokens n, cost_usd numeric(10,6), min d, max d, p50 d, p95 d, p99 d",
      "provider_sync_status: id u!, provider t!, resource t, sync_status t!, started_at ts, finished_at ts, "
      "records_synced n, cursor_digest t, error_category t, error_message t, metadata j, state_at ts!, state_event "
      "u!, last_success_at ts",
      "run_attempts: id u!, run_id u!, attempt_no i!, status t!, end_reason t, verdict_source t!, finished_at ts, "
      "duration_ms n, ts_source t, records_extracted_total n, records_loaded_total n, state_rank smallint!, "
      "state_at ts!, state_event u!, error_category t, error_code t, error_message t, error_rank smallint, error_at "
      "ts, error_event u, started_at ts, exit_code i, exit_signal i, records_extracted_sum n, records_loaded_sum n, "
      "correlation_id t, request_id t, agent_id t, ruleset t",
      "run_ids: run_id u!, scheduled_at ts!, scheduled_stated b!",
      "run_state_changes: id u!, run_id u!, attempt_no i!, field t!, old t, new t, verdict_source t!, event_id u!, "
      "agent_id t!, at ts!, stored_in n!",
      "schema_migrations: version i!, name t!, checksum bytea!, applied_at ts!, applied_by t!",
      "service_heartbeats: id u!, service t!, instance t, environment t, version t, git_sha t, status t!, "
      "started_at ts, uptime_seconds d, agent_id t, config_digest t, lag_bytes n, lag_seconds d, buffer_bytes n, "
      "details j!, last_seen_at ts!, lost_bytes n",
      "source_facts: stream t!, file_key bytea!, generation i!, covered int8multirange!, last_advanced_at ts!, "
      "covers_until ts!",
      "source_files: stream t!, file_key bytea!, generation i!, covered int8multirange!, confirm bytea!, "
      "first_seen_at ts!, last_advanced_at ts!, covers_until ts!, agent_id t!",
      "spans: id u!, ts ts!, span_id t!, trace_id t!, parent_span_id t, name t, span_type t, kind t, service t, "
      "job_id t, run_id u, status t, duration_ms d, user_id t, session_id t, operation_type t, metadata j, "
      "error_category t, error_message t, model t, provider t, tokens_in n, tokens_out n, cost_usd numeric(10,6), "
      "embedding_dims i, batch_size i, top_k i, results_count i, top_score d, document_id t, parser t, page_count "
      "i, chunk_count i, chunk_size i",
      "summary_dirty: job_id t!, environment t!, day date!, since ts!",
      "task_runs: task_run_id u!, run_id u!, external_task_id t, name t, phase t, dataset t, table_name t, "
      "correlation_id t, request_id t, trace_id t, span_id t, ruleset t, attempt_no i!, status t!, end_reason t, "
      "verdict_source t!, finished_at ts, duration_ms n, agent_id t, ts_source t, state_attempt i!, state_rank "
      "smallint!, state_at ts!, state_event u!, error_category t, error_code t, error_message t, error_attempt i, "
      "error_rank smallint, error_at ts, error_event u, queued_at ts, started_at ts, first_event_at ts, "
      "last_event_at ts, records_extracted n, records_loaded n",
      "traces: id u!, bucket ts!, trace_id t!, root_span_id t, name t, service t, environment t, job_id t, run_id "
      "u, user_id t, session_id t, operation_type t, correlation_id t, request_id t, metadata j, status t, "
      "started_at ts, ended_at ts, span_count n, error_count n, tokens_in n, tokens_out n, cost_usd numeric(10,6)",
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
      "access_log (id, at) unique",
      "alert_channels (id) unique",
      "alert_channels (name) unique",
      "alert_deliveries (alert_id, channel_id, kind, seq) unique",
      "alert_deliveries (id) unique",
      "alert_deliveries (next_attempt_at) WHERE (state = 'pending'::text)",
      "alert_events (dedupe_key)",
      "alert_events (dedupe_key) WHERE (status = 'firing'::text) unique",
      "alert_events (dq_result_id, dq_result_at)",
      "alert_events (id) unique",
      "alert_events (run_id)",
      "alert_events (status, fired_at DESC)",
      "alert_events (notify_at) WHERE ((status = 'firing'::text) AND (notified_at IS NULL))",
      "alert_silences (ends_at)",
      "alert_silences (id) unique",
      "alert_watch (due_at)",
      "alert_watch (rule_id, job_id) unique",
      "evaluation_progress (name) unique",
      "fleet_counts (id) unique",
      "fleet_totals (counter, label_1, label_2) unique",
      "dq_observations (stored_in)",
      "run_state_changes (stored_in)",
      "alert_rule_channels (id) unique",
      "alert_rule_channels (rule_id, channel_id) unique",
      "alert_rules (id) unique",
      "alert_rules (name) unique",
      "audit_events (id, at) unique",
      "chat_messages (id, ts) unique",
      "chat_messages (session_id, ts)",
      "chat_messages (trace_id)",
      "chat_messages (user_id, ts DESC)",
      "dataset_status (environment, dataset) unique",
      "dataset_status (id) unique",
      "dead_letters (id) unique",
      "dead_letters (reason, at DESC)",
      "document_events (document_id, ts DESC)",
      "document_events (event_type, ts DESC)",
      "document_events (id, ts) unique",
      "document_events (trace_id)",
      "dq_check_definitions (check_id) unique",
      "dq_check_results (check_id, created_at DESC)",
      "dq_check_results (created_at DESC) WHERE (status = ANY (ARRAY['warn'::text, 'fail'::text]))",
      "dq_check_results (id, created_at) unique",
      "dq_check_results (job_id, created_at DESC)",
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
      "job_daily_summary (day)",
      "job_daily_summary (id) unique",
      "job_daily_summary (job_id, environment, day) unique",
      "job_runs (correlation_id) WHERE (correlation_id IS NOT NULL)",
      "job_runs (environment, scheduled_at DESC, run_id)",
      "job_runs (error_category, finished_at DESC) WHERE (status = 'failed'::text)",
      "job_runs (job_id, scheduled_at DESC) INCLUDE (status, duration_ms, records_loaded, started_at, finished_at, "
      "run_id, parent_run_id)",
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
      "metric_snapshots (id, ts) unique",
      "metric_snapshots (name, ts DESC)",
      "metric_snapshots brin (ts)",
      "metric_snapshots gin (labels jsonb_path_ops)",
      "metrics_aggregates (bucket, bucket_seconds, metric, dimensions) unique",
      "metrics_aggregates (id, bucket) unique",
      "provider_sync_status (id) unique",
      "provider_sync_status (provider, resource) unique",
      "run_attempts (id) unique",
      "run_attempts (run_id, attempt_no) unique",
      "run_ids (run_id) unique",
      "run_ids (run_id, scheduled_at) unique",
      "run_ids (scheduled_at)",
      "run_state_changes (id) unique",
      "run_state_changes (run_id, at)",
      "schema_migrations (version) unique",
      "service_heartbeats (id) unique",
      "service_heartbeats (service, instance) unique",
      "source_facts (last_advanced_at)",
      "source_facts (stream, file_key, generation) unique",
      "source_files (last_advanced_at)",
      "source_files (stream, file_key, generation) unique",
      "spans (id, ts) unique",
      "spans (parent_span_id)",
      "spans (run_id) WHERE (run_id IS NOT NULL)",
      "spans (span_type, ts DESC)",
      "spans (trace_id)",
      "spans brin (ts)",
      "summary_dirty (job_id, environment, day) unique",
      "task_runs (run_id)",
      "task_runs (status)",
      "task_runs (task_run_id) unique",
      "traces (id, bucket) unique",
      "traces (operation_type, bucket DESC)",
      "traces (session_id, bucket DESC)",
      "traces (trace_id)",
      "traces (user_id, bucket DESC)",
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
      WHERE k.contype = 'f' AND k.connamespace = 'observability'::regnamespace AND k.conparentid = 0 AND NOT c.relispartition)sql"),
      UnorderedElementsAre(
          "alert_deliveries (alert_id) alert_events(id) ON DELETE CASCADE",
          "alert_deliveries (channel_id) alert_channels(id)",
          "alert_events (dq_result_id, dq_result_at) dq_check_results(id, created_at) MATCH FULL ON DELETE SET NULL",
          "alert_events (job_id) etl_jobs(job_id)", "alert_events (rule_id) alert_rules(id)",
          "alert_events (run_id) run_ids(run_id) ON DELETE SET NULL",
          "alert_rule_channels (channel_id) alert_channels(id) ON DELETE CASCADE",
          "alert_rule_channels (rule_id) alert_rules(id) ON DELETE CASCADE",
          "alert_watch (rule_id) alert_rules(id) ON DELETE CASCADE", "alert_rules (job_id) etl_jobs(job_id)",
          "job_daily_summary (job_id) etl_jobs(job_id)", "dq_check_definitions (job_id) etl_jobs(job_id)",
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
              ElementsAre("access_log RANGE (at) 0", "audit_events RANGE (at) 0", "chat_messages RANGE (ts) 0",
                          "document_events RANGE (ts) 0", "dq_check_results RANGE (created_at) 0",
                          "dq_observations RANGE (observed_at) 0", "job_runs RANGE (scheduled_at) 0",
                          "log_events RANGE (ts) 0", "metric_snapshots RANGE (ts) 0",
                          "metrics_aggregates RANGE (bucket) 0", "spans RANGE (ts) 0", "traces RANGE (bucket) 0"));
}

TEST_F(TablesTest, TextIdentitiesCompareByByte) {
  EXPECT_THAT(rows("SELECT attrelid::regclass, attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid "
                   "JOIN pg_collation l ON l.oid = attcollation WHERE relnamespace = 'observability'::regnamespace "
                   "AND relkind IN ('r', 'p') AND collname <> 'C' AND (attname ~ '_id$' OR attname IN ('stream', "
                   "'environment', 'dataset', 'service', 'status', 'instance', 'provider', 'resource', 'metric', "
                   "'dedupe_key'))"),
              IsEmpty());
}

// PostgreSQL's own names for keys, so that a statement or another tool can say them.
TEST_F(TablesTest, EveryKeyAndIndexHasANameOfItsTable) {
  EXPECT_THAT(
      rows("SELECT conname FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid WHERE contype IN ('p', 'u', "
           "'f') AND connamespace = 'observability'::regnamespace AND NOT relispartition AND conparentid = 0 AND "
           "conname !~ ('^' || relname || CASE contype WHEN 'p' THEN '_pkey$' WHEN 'u' THEN '_.*_key$' ELSE "
           "'_.*_fkey$' END)"),
      IsEmpty());
  EXPECT_THAT(rows("SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = indexrelid JOIN pg_class c ON c.oid = "
                   "indrelid WHERE c.relnamespace = 'observability'::regnamespace AND NOT c.relispartition AND "
                   "i.relname !~ ('^' || c.relname || '_.*(pkey|key|idx|brin)$') AND "
                   "i.relname <> c.relname || '_pkey'"),
              IsEmpty());
}

TEST_F(TablesTest, EveryCheckHasANameOfItsTable) {
  EXPECT_THAT(rows("SELECT conname FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid WHERE contype = 'c' AND "
                   "connamespace = 'observability'::regnamespace AND NOT relispartition AND "
                   "conname !~ ('^' || relname || '_.*_(is|are)_')"),
              IsEmpty());
}

}  // namespace
}  // namespace runtail::test
