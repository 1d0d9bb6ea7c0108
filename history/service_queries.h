// Questions about runtail and its services: what was set aside, who is alive, what fired.
#pragma once

#include <optional>
#include <string>

#include "history/query.h"
#include "schema/rows/alerts.h"
#include "schema/rows/service.h"

namespace runtail {

// A row of dead_letters as readers may see it: without the keyed hash of its body.
struct DeadLetterView {
  Uuid id;
  TimePoint at{};
  std::optional<std::string> stream;
  std::int64_t byte_offset = 0, byte_length = 0;
  std::string reason;
  std::optional<std::string> sqlstate, target_table, body;
  std::string agent_id;
  std::optional<TimePoint> resolved_at;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("at", row.at);
    visit("stream", row.stream);
    visit("byte_offset", row.byte_offset);
    visit("byte_length", row.byte_length);
    visit("reason", row.reason);
    visit("sqlstate", row.sqlstate);
    visit("target_table", row.target_table);
    visit("body", row.body);
    visit("agent_id", row.agent_id);
    visit("resolved_at", row.resolved_at);
  }
};
struct DeadLetterCursor {
  TimePoint at;
  Uuid id;
};
// The latest first; those of one moment by id.
Query<DeadLetterView> dead_letters(const std::string& reason, const TimeRange& range, int limit,
                                   const std::optional<DeadLetterCursor>& after = {});

struct DeadLetterCount {
  std::string reason;
  std::int64_t count = 0;
  TimePoint last_at{};

  static void columns(auto& row, auto&& visit) {
    visit("reason", row.reason);
    visit("count", row.count);
    visit("last_at", row.last_at);
  }
};
// The most frequent reason first.
Query<DeadLetterCount> dead_letter_counts(const TimeRange& range);

// An instance of a service as it last said it is, beside the others of its service and environment.
struct ServiceView {
  std::string service;
  std::optional<std::string> instance, environment, version, git_sha;
  std::string status;
  std::optional<TimePoint> started_at;
  std::optional<double> uptime_seconds;
  TimePoint last_seen_at{};
  std::optional<std::string> config_digest;
  std::optional<std::int64_t> lag_bytes;
  std::optional<double> lag_seconds;
  std::optional<std::int64_t> buffer_bytes, lost_bytes;
  Json details;
  bool version_drift = false, config_drift = false;  // not what most of the others run

  static void columns(auto& row, auto&& visit) {
    visit("service", row.service);
    visit("instance", row.instance);
    visit("environment", row.environment);
    visit("version", row.version);
    visit("git_sha", row.git_sha);
    visit("status", row.status);
    visit("started_at", row.started_at);
    visit("uptime_seconds", row.uptime_seconds);
    visit("last_seen_at", row.last_seen_at);
    visit("config_digest", row.config_digest);
    visit("lag_bytes", row.lag_bytes);
    visit("lag_seconds", row.lag_seconds);
    visit("buffer_bytes", row.buffer_bytes);
    visit("lost_bytes", row.lost_bytes);
    visit("details", row.details);
    visit("version_drift", row.version_drift);
    visit("config_drift", row.config_drift);
  }
};
struct ServiceFilter {
  bool drifting_only = false;
  std::optional<std::string> service = {};
  Projects projects = {};  // instances belong to no project: whoever is bound to projects sees none
};
// By service, instance and id.
Query<ServiceView> services(const ServiceFilter& filter, int limit, int skip = 0);

struct AlertFilter {
  TimeRange fired;
  std::optional<std::string> status;  // firing, resolved, stale
  std::optional<std::string> severity = {}, job_id = {};
  std::optional<Uuid> run_id = {};
  Projects projects = {};
};
// The last alert of a page; the next one begins after it.
struct AlertCursor {
  TimePoint fired_at;
  Uuid id;
};
// The latest first; those of one moment by id.
Query<AlertEventRow> alert_events(const AlertFilter& filter, int limit, const std::optional<AlertCursor>& after = {},
                                  int skip = 0);

}  // namespace runtail
