#include "sinks/postgres_record_statements.h"

#include <span>

#include "schema/pg.h"

namespace runtail {
namespace {

struct Column {
  std::string_view name, type;
};

constexpr Column kSpanColumns[] = {{"id", "uuid"},
                                   {"ts", "timestamptz"},
                                   {"span_id", "text"},
                                   {"trace_id", "text"},
                                   {"parent_span_id", "text"},
                                   {"name", "text"},
                                   {"span_type", "text"},
                                   {"kind", "text"},
                                   {"service", "text"},
                                   {"job_id", "text"},
                                   {"run_id", "uuid"},
                                   {"status", "text"},
                                   {"duration_ms", "double precision"},
                                   {"user_id", "text"},
                                   {"session_id", "text"},
                                   {"operation_type", "text"},
                                   {"metadata", "jsonb"},
                                   {"error_category", "text"},
                                   {"error_message", "text"},
                                   {"model", "text"},
                                   {"provider", "text"},
                                   {"tokens_in", "bigint"},
                                   {"tokens_out", "bigint"},
                                   {"cost_usd", "numeric"},
                                   {"embedding_dims", "integer"},
                                   {"batch_size", "integer"},
                                   {"top_k", "integer"},
                                   {"results_count", "integer"},
                                   {"top_score", "double precision"},
                                   {"document_id", "text"},
                                   {"parser", "text"},
                                   {"page_count", "integer"},
                                   {"chunk_count", "integer"},
                                   {"chunk_size", "integer"}};
constexpr Column kChatColumns[] = {{"id", "uuid"},          {"ts", "timestamptz"},    {"session_id", "text"},
                                   {"turn", "integer"},     {"role", "text"},         {"content", "text"},
                                   {"sources", "jsonb"},    {"citations", "jsonb"},   {"user_id", "text"},
                                   {"trace_id", "text"},    {"span_id", "text"},      {"model", "text"},
                                   {"tokens_in", "bigint"}, {"tokens_out", "bigint"}, {"cost_usd", "numeric"},
                                   {"redacted", "boolean"}, {"pii_safe", "boolean"},  {"metadata", "jsonb"}};
constexpr Column kDocumentColumns[] = {{"id", "uuid"},
                                       {"ts", "timestamptz"},
                                       {"document_id", "text"},
                                       {"event_type", "text"},
                                       {"status", "text"},
                                       {"job_id", "text"},
                                       {"run_id", "uuid"},
                                       {"trace_id", "text"},
                                       {"user_id", "text"},
                                       {"duration_ms", "bigint"},
                                       {"page_count", "integer"},
                                       {"chunk_count", "integer"},
                                       {"tokens", "bigint"},
                                       {"cost_usd", "numeric"},
                                       {"bytes", "bigint"},
                                       {"error_category", "text"},
                                       {"error_message", "text"},
                                       {"metadata", "jsonb"}};
constexpr Column kProviderColumns[] = {{"id", "uuid"},
                                       {"provider", "text"},
                                       {"resource", "text"},
                                       {"sync_status", "text"},
                                       {"started_at", "timestamptz"},
                                       {"finished_at", "timestamptz"},
                                       {"records_synced", "bigint"},
                                       {"cursor_digest", "text"},
                                       {"error_category", "text"},
                                       {"error_message", "text"},
                                       {"metadata", "jsonb"},
                                       {"state_at", "timestamptz"},
                                       {"state_event", "uuid"},
                                       {"last_success_at", "timestamptz"}};
constexpr Column kHeartbeatColumns[] = {{"id", "uuid"},
                                        {"service", "text"},
                                        {"instance", "text"},
                                        {"environment", "text"},
                                        {"version", "text"},
                                        {"git_sha", "text"},
                                        {"status", "text"},
                                        {"started_at", "timestamptz"},
                                        {"uptime_seconds", "double precision"},
                                        {"agent_id", "text"},
                                        {"config_digest", "text"},
                                        {"lag_bytes", "bigint"},
                                        {"lag_seconds", "double precision"},
                                        {"buffer_bytes", "bigint"},
                                        {"lost_bytes", "bigint"},
                                        {"details", "jsonb"},
                                        {"last_seen_at", "timestamptz"}};
constexpr Column kSnapshotColumns[] = {
    {"id", "uuid"},         {"ts", "timestamptz"},  {"agent_id", "text"},          {"name", "text"},
    {"value_type", "text"}, {"labels", "jsonb"},    {"value", "double precision"}, {"sum", "double precision"},
    {"count", "bigint"},    {"buckets", "bigint[]"}};

std::string names_of(std::span<const Column> columns) {
  std::string out;
  for (const Column& column : columns) (out += out.empty() ? "" : ", ") += column.name;
  return out;
}

// The rows of $1, with `more` columns behind those of the table.
std::string rows_of(std::span<const Column> columns, std::string_view more = {}) {
  std::string types;
  for (const Column& column : columns) {
    types += (types.empty() ? "" : ", ") + std::string(column.name) + ' ' + std::string(column.type);
  }
  return "json_to_recordset($1::json) AS f(" + types + std::string(more) + ')';
}

// `key` is also the order of rows: two writers cannot deadlock.
std::string insert_sql(const std::string& table, std::span<const Column> columns, const std::string& key,
                       const std::string& from) {
  const std::string names = names_of(columns);
  return "INSERT INTO " + table + " (" + names + ") SELECT " + names + " FROM " + from + " ORDER BY " + key +
         " ON CONFLICT DO NOTHING";
}

// The row of a newer stamp replaces the one that is there, but for the columns of the key and for `own` changes.
std::string newest_sql(const std::string& table, std::span<const Column> columns, std::string_view newer,
                       std::string_view key, std::string_view own_column, std::string_view own_change) {
  std::string changes(own_change);
  const std::string keys = "," + std::string(key) + ",";
  for (const Column& column : columns) {
    const std::string name(column.name);
    if (column.name == own_column || keys.find("," + name + ",") != std::string::npos) continue;
    changes += (changes.empty() ? "" : ", ") + name + " = CASE WHEN " + std::string(newer) + " THEN excluded." + name +
               " ELSE t." + name + " END";
  }
  const std::string names = names_of(columns);
  return "INSERT INTO " + table + " AS t (" + names + ") SELECT " + names + " FROM " + rows_of(columns) +
         " ORDER BY id ON CONFLICT (id) DO UPDATE SET " + changes;
}

// What the spans say of their trace: of two values the smaller one stays, "error" before "ok"; the root names it.
constexpr std::string_view kTraceParts = R"(
  SELECT f.trace AS id, date_trunc('day', f.ts, 'UTC') AS bucket, min(f.trace_id COLLATE "C") AS trace_id,
    min(f.span_id COLLATE "C") FILTER (WHERE f.is_root) AS root_span_id,
    min(f.name COLLATE "C") FILTER (WHERE f.is_root) AS name,
    min(f.service COLLATE "C") AS service, min(f.environment COLLATE "C") AS environment,
    min(f.job_id COLLATE "C") AS job_id, min(f.run_id::text COLLATE "C")::uuid AS run_id,
    min(f.user_id COLLATE "C") AS user_id, min(f.session_id COLLATE "C") AS session_id,
    min(f.operation_type COLLATE "C") AS operation_type, min(f.correlation_id COLLATE "C") AS correlation_id,
    min(f.request_id COLLATE "C") AS request_id,
    (min(f.metadata::text COLLATE "C") FILTER (WHERE f.is_root))::jsonb AS metadata,
    min(f.status COLLATE "C") AS status, min(f.ts) AS started_at, max(f.ended_at) AS ended_at,
    count(*) AS span_count, count(*) FILTER (WHERE f.status = 'error') AS error_count,
    sum(f.tokens_in)::bigint AS tokens_in, sum(f.tokens_out)::bigint AS tokens_out,
    CASE WHEN sum(f.cost_usd) > 9999.999999 THEN 9999.999999 ELSE sum(f.cost_usd) END AS cost_usd
  FROM f JOIN fresh USING (id, ts)
  GROUP BY 1, 2 ORDER BY 1, 2)";

// numeric(10,6) holds no more than 9999.999999: a larger sum stays there. Not least(), which takes null for more.
constexpr std::string_view kTraceChanges = R"(
  root_span_id = least(t.root_span_id, excluded.root_span_id), name = least(t.name, excluded.name),
  service = least(t.service, excluded.service), environment = least(t.environment, excluded.environment),
  job_id = least(t.job_id, excluded.job_id), run_id = least(t.run_id, excluded.run_id),
  user_id = least(t.user_id, excluded.user_id), session_id = least(t.session_id, excluded.session_id),
  operation_type = least(t.operation_type, excluded.operation_type),
  correlation_id = least(t.correlation_id, excluded.correlation_id),
  request_id = least(t.request_id, excluded.request_id),
  metadata = least(t.metadata::text COLLATE "C", excluded.metadata::text COLLATE "C")::jsonb,
  status = least(t.status, excluded.status), started_at = least(t.started_at, excluded.started_at),
  ended_at = greatest(t.ended_at, excluded.ended_at), span_count = t.span_count + excluded.span_count,
  error_count = t.error_count + excluded.error_count,
  tokens_in = coalesce(t.tokens_in + excluded.tokens_in, t.tokens_in, excluded.tokens_in),
  tokens_out = coalesce(t.tokens_out + excluded.tokens_out, t.tokens_out, excluded.tokens_out),
  cost_usd = CASE WHEN t.cost_usd + excluded.cost_usd > 9999.999999 THEN 9999.999999
    ELSE coalesce(t.cost_usd + excluded.cost_usd, t.cost_usd, excluded.cost_usd) END)";

}  // namespace

PostgresRecordStatements::PostgresRecordStatements(std::string_view schema_name) {
  const std::string schema = quote_identifier(schema_name) + '.';
  // In one statement, from the spans that were really inserted: sums stay exact even when a position was lost and the
  // spans were not.
  insert_spans =
      "WITH f AS (SELECT * FROM " +
      rows_of(kSpanColumns,
              ", trace uuid, is_root boolean, environment text, correlation_id text, request_id text, "
              "ended_at timestamptz") +
      "), fresh AS (" + insert_sql(schema + "spans", kSpanColumns, "id, ts", "f") +
      " RETURNING id, ts), added AS (INSERT INTO " + schema +
      "traces AS t (id, bucket, trace_id, root_span_id, name, service, environment, job_id, run_id, user_id, "
      "session_id, operation_type, correlation_id, request_id, metadata, status, started_at, ended_at, "
      "span_count, error_count, tokens_in, tokens_out, cost_usd)" +
      std::string(kTraceParts) + " ON CONFLICT (id, bucket) DO UPDATE SET" + std::string(kTraceChanges) +
      ") SELECT count(*) FROM fresh";
  insert_chats = insert_sql(schema + "chat_messages", kChatColumns, "id, ts", rows_of(kChatColumns));
  insert_documents = insert_sql(schema + "document_events", kDocumentColumns, "id, ts", rows_of(kDocumentColumns));
  insert_snapshots = insert_sql(schema + "metric_snapshots", kSnapshotColumns, "id, ts", rows_of(kSnapshotColumns));
  upsert_providers =
      newest_sql(schema + "provider_sync_status", kProviderColumns,
                 "(excluded.state_at, excluded.state_event) > (t.state_at, t.state_event)", "id,provider,resource",
                 "last_success_at", "last_success_at = greatest(t.last_success_at, excluded.last_success_at)");
  upsert_heartbeats = newest_sql(schema + "service_heartbeats", kHeartbeatColumns,
                                 "(excluded.last_seen_at, (excluded.details->>'event_id') COLLATE \"C\") > "
                                 "(t.last_seen_at, coalesce(t.details->>'event_id', '') COLLATE \"C\")",
                                 "id,service,instance", "", "");
  // A sum of microseconds in seconds: rounded back to a whole number of them, it does not depend on the order of
  // adding.
  merge_aggregates = "INSERT INTO " + schema + R"(metrics_aggregates AS t
  (id, bucket, bucket_seconds, metric, dimensions, count, sum, buckets, error_count, tokens, cost_usd, min, max)
SELECT id, bucket, bucket_seconds, metric, dimensions, count, sum, buckets, error_count, tokens, cost_usd, min, max
FROM json_to_recordset($1::json) AS f(id uuid, bucket timestamptz, bucket_seconds integer, metric text,
  dimensions jsonb, count bigint, sum double precision, buckets bigint[], error_count bigint, tokens bigint,
  cost_usd numeric, min double precision, max double precision)
ORDER BY id, bucket
ON CONFLICT (id, bucket) DO UPDATE SET
  count = t.count + excluded.count,
  sum = round((t.sum + excluded.sum) * 1000000) / 1000000,
  buckets = (SELECT array_agg(coalesce(u.a, 0) + coalesce(u.b, 0) ORDER BY u.i)
             FROM unnest(t.buckets, excluded.buckets) WITH ORDINALITY AS u(a, b, i)),
  error_count = t.error_count + excluded.error_count,
  tokens = coalesce(t.tokens + excluded.tokens, t.tokens, excluded.tokens),
  cost_usd = CASE WHEN t.cost_usd + excluded.cost_usd > 9999.999999 THEN 9999.999999
    ELSE coalesce(t.cost_usd + excluded.cost_usd, t.cost_usd, excluded.cost_usd) END,
  min = least(t.min, excluded.min),
  max = greatest(t.max, excluded.max)
RETURNING id, (extract(epoch FROM bucket) * 1000000)::bigint, metric, buckets, round(min * 1000000)::bigint,
  round(max * 1000000)::bigint)";
  set_quantiles = "UPDATE " + schema + R"(metrics_aggregates t SET p50 = f.p50, p95 = f.p95, p99 = f.p99
FROM json_to_recordset($1::json) AS f(id uuid, bucket timestamptz, p50 double precision, p95 double precision,
  p99 double precision)
WHERE t.id = f.id AND t.bucket = f.bucket)";
}

}  // namespace runtail
