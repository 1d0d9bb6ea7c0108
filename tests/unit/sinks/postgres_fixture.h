// A database per test, a clock that stands still, and files whose lines become chunks the way the pipeline makes them:
// parsed, redacted, derived, packed.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/event_codec.h"
#include "derive/deriver.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "schema/migrate.h"
#include "schema/partitions.h"
#include "schema/pg.h"
#include "sinks/postgres.h"
#include "tests/support/postgres_cluster.h"

namespace runtail::test {

struct FixedClock final : Clock {
  TimePoint at;
  explicit FixedClock(TimePoint time) : at(time) {}
  TimePoint now() const override { return at; }
};

// Partitions are made as of this day, whatever the calendar says: log_events hold 2026-01-31 to 2026-03-05, months
// 2025-01 to 2027-04.
inline const TimePoint kNow = *parse_rfc3339("2026-03-02T12:00:00Z");

inline PgConnection connect(const std::string& conninfo) {
  auto connection = PgConnection::connect(conninfo);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

// A new database with schema and partitions as of kNow.
inline std::string new_database() {
  static int count = 0;
  static const std::string kTemplate = [] {
    PgConnection connection = connect(PostgresCluster::shared().create_database("sink_template"));
    if (auto done = migrate_up(connection, "observability"); !done) throw std::runtime_error(done.error().message);
    if (auto done = maintain_partitions(connection, "observability", kNow); !done) {
      throw std::runtime_error(done.error().message);
    }
    return std::string("sink_template");
  }();
  return PostgresCluster::shared().create_database("sink_" + std::to_string(++count), kTemplate);
}

inline DeriverSettings settings() {
  DeriverSettings out;
  out.agent_id = "agent-1";
  out.ruleset = "rules-1";
  out.environment = "prod";
  out.service = "etl";
  return out;
}

// Lines of one physical log.
class LogFile {
 public:
  // `settings`: of the agent that reads it, with the rules in force there.
  explicit LogFile(std::string stream = "agent-1/etl", std::uint8_t key = 7,
                   DeriverSettings settings = test::settings())
      : settings_(std::move(settings)) {
    file_.stream = std::move(stream);
    file_.file_key.fill(key);
  }

  // Members without the braces: "\"msg\":\"x\"". `change` may spoil what a redactor would never let through.
  using Change = std::function<void(RedactedEvent&)>;
  LogFile& add(const std::string& members, Change change = {}) {
    lines_.push_back({"{" + members + "}\n", std::move(change), bytes_});
    bytes_ += lines_.back().text.size();
    return *this;
  }
  std::size_t lines() const { return lines_.size(); }
  // Of a line's first byte; of lines(): the end of the file.
  std::uint64_t offset(std::size_t line) const { return line < lines_.size() ? lines_[line].offset : bytes_; }
  const DeriverSettings& settings() const { return settings_; }
  const FileIdentity& identity() const { return file_; }

  // Lines [from, to) as the pipeline packs them.
  SequencedChunk chunk(std::size_t from, std::size_t to) const {
    SequencedChunk out;
    Chunk& chunk = out.chunk;
    chunk.file = file_;
    chunk.covers = {offset(from), offset(to)};
    chunk.confirm.fill(static_cast<std::uint8_t>(to));
    chunk.read_at = kNow;
    chunk.default_job_id = file_.stream;
    chunk.lines = static_cast<std::uint32_t>(to - from);
    each_event(from, to, [&](const RedactedEvent& event, const Derived& derived, std::size_t line) {
      for (std::size_t i = 0; i < kTableCount; ++i) chunk.records.by_table[i] += derived.tables >> i & 1;
      chunk.covers_until = std::max(chunk.covers_until, event.ts);
      append_event(chunk.events, event, static_cast<std::int64_t>(offset(line) - chunk.covers.from),
                   lines_[line].text.size());
    });
    return out;
  }

  using Visit = std::function<void(const RedactedEvent&, const Derived&, std::size_t line)>;
  void each_event(std::size_t from, std::size_t to, const Visit& visit) const {
    static Parser parser(built_in_dialects());
    static Redactor redactor = *Redactor::make({});
    const Deriver deriver(settings_);
    const EventIds ids(file_);
    for (std::size_t line = from; line < to; ++line) {
      const std::string& text = lines_[line].text;
      const LogEvent& parsed = parser.parse(std::string_view(text).substr(0, text.size() - 1));
      RedactedEvent event = redactor.redact(parsed);
      if (parsed.ts) event.ts = *parsed.ts;
      if (lines_[line].change) lines_[line].change(event);
      Derived derived;
      deriver.derive(event, {&ids, offset(line), file_.stream, 4}, derived);
      visit(event, derived, line);
    }
  }

 private:
  struct Line {
    std::string text;
    Change change;
    std::uint64_t offset;
  };
  DeriverSettings settings_;
  FileIdentity file_;
  std::uint64_t bytes_ = 0;
  std::vector<Line> lines_;
};

inline std::vector<SequencedChunk> chunks_of(const LogFile& file, const std::vector<std::size_t>& borders) {
  std::vector<SequencedChunk> out;
  for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
    out.push_back(file.chunk(borders[i], borders[i + 1]));
    out.back().sequence = i + 1;
  }
  return out;
}

inline RecordCounts records_of(const std::vector<SequencedChunk>& chunks) {
  RecordCounts sum;
  for (const SequencedChunk& each : chunks) sum += each.chunk.records;
  return sum;
}

// A sink as the agent drives it: together, or with facts going ahead; what was delivered is not delivered again.
class DrivenSink {
 public:
  DrivenSink(const PostgresConfig& config, const DeriverSettings& settings, const std::vector<std::string>& kinds,
             Clock& clock)
      : sink_(config, settings, kinds, clock) {}

  bool apart = false;

  Delivery deliver(std::span<const SequencedChunk> chunks, bool maybe_delivered) {
    if (!apart && !ahead_) return sink_.deliver(chunks, maybe_delivered, kAllTables);
    if (!ahead_) {
      const Delivery delivery = sink_.deliver(chunks, maybe_delivered, sink_.ahead_tables());
      if (delivery.status != Delivery::Status::kDelivered) return delivery;
      ahead_ = delivery;
    }
    Delivery delivery = sink_.deliver(chunks, maybe_delivered, kAllTables & ~sink_.ahead_tables());
    if (delivery.status != Delivery::Status::kDelivered) return delivery;
    delivery.outcomes += ahead_->outcomes;
    for (const auto& [reason, count] : ahead_->set_aside) delivery.set_aside[reason] += count;
    ahead_.reset();
    return delivery;
  }
  PostgresSink& operator*() { return sink_; }
  PostgresSink* operator->() { return &sink_; }

 private:
  PostgresSink sink_;
  std::optional<Delivery> ahead_;
};

class PostgresSinkTest : public testing::Test {
 protected:
  PostgresSinkTest() : url_(new_database()), look_(connect(url_)) {}

  PostgresConfig config() const {
    PostgresConfig out;
    out.url = url_;
    return out;
  }
  DrivenSink make_sink(const PostgresConfig& config, const DeriverSettings& of = settings()) {
    return DrivenSink(config, of, {"email"}, clock_);
  }

  // Delivered, and each record has exactly one outcome.
  RecordOutcomes deliver(DrivenSink& sink, const std::vector<SequencedChunk>& chunks, bool maybe_delivered = false) {
    const Delivery delivery = sink.deliver(chunks, maybe_delivered);
    EXPECT_EQ(delivery.status, Delivery::Status::kDelivered) << delivery.reason;
    RecordCounts sum = delivery.outcomes.applied;
    sum += delivery.outcomes.duplicate;
    sum += delivery.outcomes.expired;
    sum += delivery.outcomes.dead_lettered;
    EXPECT_EQ(sum.by_table, records_of(chunks).by_table);
    return delivery.outcomes;
  }

  // Each row as "a|b|c"; null is "-".
  std::vector<std::string> rows(const std::string& sql) {
    auto result = look_.exec("SET search_path = observability; SET TimeZone = 'UTC'; " + sql);
    if (!result) throw std::runtime_error(sql + ": " + result.error().message);
    std::vector<std::string> out;
    for (int row = 0; row < result->rows(); ++row) {
      std::string& line = out.emplace_back();
      for (int column = 0; column < result->columns(); ++column) {
        if (column > 0) line += '|';
        line += result->is_null(row, column) ? "-" : std::string(result->text(row, column));
      }
    }
    return out;
  }
  std::string one(const std::string& sql) {
    const auto all = rows(sql);
    return all.size() == 1 ? all[0] : std::to_string(all.size()) + " rows";
  }
  // All that is stored, but for bookkeeping times.
  std::vector<std::string> everything() {
    std::vector<std::string> all;
    for (const char* sql :
         {"SELECT to_jsonb(s) - 'last_advanced_at' - 'first_seen_at' - 'confirm' FROM source_files s",
          "SELECT to_jsonb(s) - 'last_advanced_at' FROM source_facts s", "SELECT to_jsonb(r) FROM run_ids r",
          "SELECT to_jsonb(r) FROM job_runs r", "SELECT to_jsonb(r) FROM run_attempts r",
          "SELECT to_jsonb(r) FROM task_runs r", "SELECT to_jsonb(r) - 'stored_in' FROM run_state_changes r",
          "SELECT to_jsonb(r) - 'stored_in' FROM dq_observations r", "SELECT to_jsonb(r) FROM dq_check_results r",
          "SELECT to_jsonb(r) FROM dataset_status r", "SELECT to_jsonb(r) FROM log_events r",
          "SELECT to_jsonb(r) FROM dead_letters r", "SELECT job_id, environment, day FROM summary_dirty",
          "SELECT id, job_id, source FROM etl_jobs"}) {
      auto some = rows(std::string(sql) + " ORDER BY 1");
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }

  const std::string url_;
  PgConnection look_;
  FixedClock clock_{kNow};
};

// A line of the job "orders", run "r1".
inline std::string run_line(const std::string& time, const std::string& members) {
  return "\"ts\":\"" + time + "\",\"level\":\"INFO\",\"job_id\":\"orders\",\"run_id\":\"r1\"," + members;
}

}  // namespace runtail::test
