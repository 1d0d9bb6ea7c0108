#include "sinks/postgres_record_fold.h"

#include <cmath>
#include <tuple>

#include "core/digest.h"

namespace runtail {
namespace {

// The one row of `rows` without the brackets of the array.
std::string object_of(JsonRows& rows) {
  const std::string array = rows.take();
  return array.substr(1, array.size() - 2);
}

void put_error(JsonRows& rows, ErrorCategory category, std::string_view message) {
  rows.text("error_category", to_string(category));
  rows.text("error_message", message);
}

void put_amounts(JsonRows& rows, const auto& fact) {
  rows.integer("tokens_in", fact.tokens_in);
  rows.integer("tokens_out", fact.tokens_out);
  rows.decimal_micros("cost_usd", fact.cost_micros);
}

// Keeps `members` if they are newer than what is there.
void keep_newest(NewestRow& row, TimePoint at, const Uuid& event, JsonRows& members) {
  if (!row.members.empty() && std::tie(at, event) <= std::tie(row.at, row.event)) return;
  row.at = at;
  row.event = event;
  row.members = object_of(members);
}

std::string array_of(std::map<Uuid, NewestRow>& newest) {
  if (newest.empty()) return {};
  std::string out = "[";
  for (auto& [id, row] : newest) {
    if (out.size() > 1) out += ',';
    out += row.members;
    if (!row.success_at) continue;
    out.back() = ',';
    out += "\"last_success_at\":\"" + to_rfc3339(*row.success_at) + "\"}";
  }
  newest.clear();
  return out + ']';
}

// A cursor may be long, and says nothing to a reader but whether it moved.
std::string digest_of(std::string_view cursor) {
  const Bytes32 digest = sha256(cursor);
  return to_hex(std::span(digest).first(16));
}

}  // namespace

void PostgresRecordFold::clear() {
  spans_ = {};
  chats_ = {};
  documents_ = {};
  snapshots_ = {};
  span_keys_.clear();
  chat_keys_.clear();
  document_keys_.clear();
  snapshot_keys_.clear();
  providers_.clear();
  heartbeats_.clear();
}

bool PostgresRecordFold::add(const SpanFact& fact) {
  if (!span_keys_.emplace(fact.id, fact.start).second) return false;
  JsonRows& rows = spans_;
  rows.begin_row();
  rows.uuid("id", fact.id);
  rows.time("ts", fact.start);
  rows.text("span_id", to_hex(fact.span_id));
  rows.text("trace_id", to_hex(fact.trace_id.bytes));
  if (fact.parent_span_id) rows.text("parent_span_id", to_hex(*fact.parent_span_id));
  rows.text("name", fact.name);
  rows.text("span_type", fact.type);
  rows.text("kind", fact.kind);
  rows.text("service", fact.service);
  rows.text("job_id", fact.job_id);
  rows.uuid("run_id", fact.run_id);
  rows.text("status", fact.status);
  rows.real("duration_ms", fact.duration_ms);
  rows.text("user_id", fact.user_id);
  rows.text("session_id", fact.session_id);
  rows.text("operation_type", fact.operation_type);
  rows.json("metadata", fact.metadata);
  put_error(rows, fact.error_category, fact.error_message);
  rows.text("model", fact.model);
  rows.text("provider", fact.provider);
  put_amounts(rows, fact);
  rows.integer("embedding_dims", fact.embedding_dims);
  rows.integer("batch_size", fact.batch_size);
  rows.integer("top_k", fact.top_k);
  rows.integer("results_count", fact.results_count);
  rows.real("top_score", fact.top_score);
  rows.text("document_id", fact.document_id);
  rows.text("parser", fact.parser);
  rows.integer("page_count", fact.page_count);
  rows.integer("chunk_count", fact.chunk_count);
  rows.integer("chunk_size", fact.chunk_size);
  // Of the trace alone.
  rows.uuid("trace", fact.trace_id);
  rows.boolean("is_root", fact.is_root);
  rows.text("environment", fact.environment);
  rows.text("correlation_id", fact.correlation_id);
  rows.text("request_id", fact.request_id);
  rows.time("ended_at", fact.start + std::chrono::microseconds(std::llround(fact.duration_ms.value_or(0) * 1000)));
  return true;
}

bool PostgresRecordFold::add(const ChatFact& fact) {
  if (!chat_keys_.emplace(fact.id, fact.at).second) return false;
  JsonRows& rows = chats_;
  rows.begin_row();
  rows.uuid("id", fact.id);
  rows.time("ts", fact.at);
  rows.text("session_id", fact.session_id);
  rows.integer("turn", fact.turn);
  rows.text("role", fact.role);
  rows.text("content", fact.content);
  rows.json("sources", fact.sources);
  rows.json("citations", fact.citations);
  rows.text("user_id", fact.user_id);
  rows.text("trace_id", fact.trace_id);
  rows.text("span_id", fact.span_id);
  rows.text("model", fact.model);
  put_amounts(rows, fact);
  rows.boolean("redacted", fact.redacted);
  rows.boolean("pii_safe", fact.pii_safe);
  rows.json("metadata", fact.metadata);
  return true;
}

bool PostgresRecordFold::add(const DocumentFact& fact) {
  if (!document_keys_.emplace(fact.id, fact.at).second) return false;
  JsonRows& rows = documents_;
  rows.begin_row();
  rows.uuid("id", fact.id);
  rows.time("ts", fact.at);
  rows.text("document_id", fact.document_id);
  rows.text("event_type", fact.event_type);
  rows.text("status", fact.status);
  rows.text("job_id", fact.job_id);
  rows.uuid("run_id", fact.run_id);
  rows.text("trace_id", fact.trace_id);
  rows.text("user_id", fact.user_id);
  rows.integer("duration_ms", fact.duration_ms);
  rows.integer("page_count", fact.page_count);
  rows.integer("chunk_count", fact.chunk_count);
  rows.integer("tokens", fact.tokens);
  rows.decimal_micros("cost_usd", fact.cost_micros);
  rows.integer("bytes", fact.bytes);
  put_error(rows, fact.error_category, fact.error_message);
  rows.json("metadata", fact.metadata);
  return true;
}

bool PostgresRecordFold::add(const SnapshotFact& fact) {
  if (!snapshot_keys_.emplace(fact.id, fact.at).second) return false;
  snapshots_.begin_row();
  snapshots_.uuid("id", fact.id);
  snapshots_.time("ts", fact.at);
  snapshots_.stated_text("agent_id", agent_id_);
  snapshots_.members(fact.members);
  return true;
}

void PostgresRecordFold::add(const ProviderSyncFact& fact) {
  JsonRows row;
  row.begin_row();
  row.uuid("id", fact.id);
  row.text("provider", fact.provider);
  row.text("resource", fact.resource);
  row.text("sync_status", fact.status);
  row.time("started_at", fact.started_at);
  row.time("finished_at", fact.finished_at);
  row.integer("records_synced", fact.records_synced);
  if (!fact.cursor.empty()) row.text("cursor_digest", digest_of(fact.cursor));
  put_error(row, fact.error_category, fact.error_message);
  row.json("metadata", fact.metadata);
  row.time("state_at", fact.state_at);
  row.uuid("state_event", fact.state_event);
  NewestRow& newest = providers_[fact.id];
  keep_newest(newest, fact.state_at, fact.state_event, row);
  if (fact.success_at) newest.success_at = std::max(newest.success_at, fact.success_at);
}

void PostgresRecordFold::add(const HeartbeatFact& fact) {
  JsonRows details;
  details.begin_row();
  details.uuid("event_id", fact.event_id);  // with last_seen_at it says which heartbeat is the newest
  details.real("cpu_seconds", fact.cpu_seconds);
  details.integer("rss_bytes", fact.rss_bytes);
  details.integer("fds", fact.fds);
  details.integer("threads", fact.threads);
  JsonRows row;
  row.begin_row();
  row.uuid("id", fact.id);
  row.text("service", fact.service);
  row.text("instance", fact.instance);
  row.text("environment", fact.environment);
  row.text("version", fact.version);
  row.text("git_sha", fact.git_sha);
  row.text("status", fact.status);
  row.time("started_at", fact.started_at);
  row.real("uptime_seconds", fact.uptime_seconds);
  row.stated_text("agent_id", agent_id_);
  row.json("details", object_of(details));
  row.time("last_seen_at", fact.at);
  row.members(fact.agent_members);
  keep_newest(heartbeats_[fact.id], fact.at, fact.event_id, row);
}

std::string PostgresRecordFold::take_providers() { return array_of(providers_); }

std::string PostgresRecordFold::take_heartbeats() { return array_of(heartbeats_); }

}  // namespace runtail
