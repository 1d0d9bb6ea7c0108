// A stored line.
#pragma once

#include "schema/row.h"

namespace runtail {

struct LogEventRow {
  static constexpr std::string_view kTable = "log_events";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = true;

  Uuid event_id;
  TimePoint ts{};
  std::string level;
  std::optional<std::string> message, service, environment, org_id, project_id, user_id, ip, job_id;
  std::optional<Uuid> run_id, task_run_id;
  std::optional<std::int32_t> attempt;
  std::optional<std::string> phase, dataset, table_name;
  std::optional<std::int64_t> duration_ms, records_extracted, records_loaded;
  std::optional<std::string> error_category, error_code, error_type, error_message, error_stack;
  std::optional<std::int32_t> http_status;
  std::optional<std::string> route, method, outcome, source, correlation_id, request_id, trace_id, span_id;
  std::optional<Json> context;
  std::optional<std::string> raw_text;
  bool redacted = false, pii_safe = false;
  std::optional<Json> redaction_counts;
  std::string redaction_state, ruleset, stream, agent_id;
  bool operator==(const LogEventRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("event_id", row.event_id);
    visit("ts", row.ts);
    visit("level", row.level);
    visit("message", row.message);
    visit("service", row.service);
    visit("environment", row.environment);
    visit("org_id", row.org_id);
    visit("project_id", row.project_id);
    visit("user_id", row.user_id);
    visit("ip", row.ip);
    visit("job_id", row.job_id);
    visit("run_id", row.run_id);
    visit("task_run_id", row.task_run_id);
    visit("attempt", row.attempt);
    visit("phase", row.phase);
    visit("dataset", row.dataset);
    visit("table_name", row.table_name);
    visit("duration_ms", row.duration_ms);
    visit("records_extracted", row.records_extracted);
    visit("records_loaded", row.records_loaded);
    visit("error_category", row.error_category);
    visit("error_code", row.error_code);
    visit("error_type", row.error_type);
    visit("error_message", row.error_message);
    visit("error_stack", row.error_stack);
    visit("http_status", row.http_status);
    visit("route", row.route);
    visit("method", row.method);
    visit("outcome", row.outcome);
    visit("source", row.source);
    visit("correlation_id", row.correlation_id);
    visit("request_id", row.request_id);
    visit("trace_id", row.trace_id);
    visit("span_id", row.span_id);
    visit("context", row.context);
    visit("raw_text", row.raw_text);
    visit("redacted", row.redacted);
    visit("pii_safe", row.pii_safe);
    visit("redaction_counts", row.redaction_counts);
    visit("redaction_state", row.redaction_state);
    visit("ruleset", row.ruleset);
    visit("stream", row.stream);
    visit("agent_id", row.agent_id);
  }
};

}  // namespace runtail
