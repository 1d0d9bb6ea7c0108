// What is delivered, what was set aside, which days are to be summed up anew.
#pragma once

#include "schema/row.h"

namespace runtail {

struct SourceFileRow {
  static constexpr std::string_view kTable = "source_files";
  static constexpr int kKeyColumns = 3;
  static constexpr bool kInsertOnly = false;

  std::string stream;
  Bytes file_key;
  std::int32_t generation = 0;
  std::string covered;
  Bytes confirm;
  TimePoint first_seen_at{}, last_advanced_at{}, covers_until{};
  std::string agent_id;
  bool operator==(const SourceFileRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("stream", row.stream);
    visit("file_key", row.file_key);
    visit("generation", row.generation);
    visit("covered", row.covered);
    visit("confirm", row.confirm);
    visit("first_seen_at", row.first_seen_at);
    visit("last_advanced_at", row.last_advanced_at);
    visit("covers_until", row.covers_until);
    visit("agent_id", row.agent_id);
  }
};

struct SourceFactRow {
  static constexpr std::string_view kTable = "source_facts";
  static constexpr int kKeyColumns = 3;
  static constexpr bool kInsertOnly = false;

  std::string stream;
  Bytes file_key;
  std::int32_t generation = 0;
  std::string covered;
  TimePoint last_advanced_at{}, covers_until{};
  bool operator==(const SourceFactRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("stream", row.stream);
    visit("file_key", row.file_key);
    visit("generation", row.generation);
    visit("covered", row.covered);
    visit("last_advanced_at", row.last_advanced_at);
    visit("covers_until", row.covers_until);
  }
};

struct DeadLetterRow {
  static constexpr std::string_view kTable = "dead_letters";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  TimePoint at{};
  std::optional<std::string> stream;
  std::optional<Bytes> file_key;
  std::optional<std::int32_t> generation;
  std::int64_t byte_offset = 0, byte_length = 0;
  std::string reason;
  std::optional<std::string> sqlstate, target_table, body;
  std::optional<Bytes> body_hmac;
  std::string agent_id;
  std::optional<TimePoint> resolved_at;
  bool operator==(const DeadLetterRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("at", row.at);
    visit("stream", row.stream);
    visit("file_key", row.file_key);
    visit("generation", row.generation);
    visit("byte_offset", row.byte_offset);
    visit("byte_length", row.byte_length);
    visit("reason", row.reason);
    visit("sqlstate", row.sqlstate);
    visit("target_table", row.target_table);
    visit("body", row.body);
    visit("body_hmac", row.body_hmac);
    visit("agent_id", row.agent_id);
    visit("resolved_at", row.resolved_at);
  }
};

struct SummaryDirtyRow {
  static constexpr std::string_view kTable = "summary_dirty";
  static constexpr int kKeyColumns = 3;
  static constexpr bool kInsertOnly = false;

  std::string job_id, environment;
  std::chrono::sys_days day{};
  TimePoint since{};
  bool operator==(const SummaryDirtyRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("job_id", row.job_id);
    visit("environment", row.environment);
    visit("day", row.day);
    visit("since", row.since);
  }
};

}  // namespace runtail
