// The SQL upserts and the fold in core/run_state.h are two spellings of the same rules: random histories, delivered in
// random order and in random batches, give the rows the fold gives for all facts at once.
#include <map>
#include <random>
#include <set>

#include "sinks/postgres_rows.h"
#include "tests/support/scale.h"
#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {
namespace {

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::mt19937_64& random() { return random_; }

  // Few distinct values everywhere, so that facts meet: equal times, two values for a set-once field, late attempts.
  std::string line() {
    std::string out = "\"ts\":\"" + time() + "\",\"level\":\"" + pick({"INFO", "INFO", "WARN", "ERROR"}) + "\"";
    const std::size_t number = below(27);
    const std::string run = std::to_string(number);
    const auto maybe = [&](std::size_t n, const std::string& name, const std::string& value) {
      if (one_in(n)) out += ",\"" + name + "\":" + value;
    };
    const auto text = [](const std::string& value) { return '"' + value + '"'; };
    out += ",\"job_id\":\"job" + std::to_string(number % 3) + "\",\"run_id\":\"run" + run + '"';
    const std::string event = pick({"", "", "", "run.queued", "run.started", "run.finished", "attempt.started",
                                    "attempt.finished", "task.started", "task.finished"});
    if (!event.empty()) out += ",\"event\":\"" + event + '"';
    // Runs of a family of nine (three jobs) begin at attempt 1, 2 or 3 and have one or two: retries within and across.
    maybe(1, "attempt", std::to_string(1 + number / 3 % 3 + below(2)));
    if (one_in(3) || event.starts_with("task")) out += ",\"task\":\"t" + std::to_string(below(2)) + '"';
    if (event.ends_with("finished")) {
      out += ",\"status\":\"" + pick({"success", "failed", "cancelled", "skipped", "up for retry"}) + '"';
      maybe(2, "duration_ms", std::to_string(below(5000)));
      maybe(3, "exit_code", std::to_string(below(3)));
      maybe(4, "exit_signal", std::to_string(below(10)));
      maybe(3, "max_attempts", std::to_string(1 + below(3)));
      maybe(5, "retries_exhausted", "true");
    }
    maybe(3, "records_loaded", std::to_string(below(100)));
    maybe(3, "records_extracted", std::to_string(below(100)));
    maybe(5, "tokens_in", std::to_string(below(100)));
    maybe(5, "cost_usd", "0." + std::to_string(100000 + below(900000)));
    maybe(6, "scheduled_at", text("2026-0" + std::to_string(1 + below(3)) + "-01T00:00:00Z"));
    maybe(6, "queued_at", text(time()));
    maybe(6, "started_at", text(time()));
    maybe(3, "correlation_id", text((one_in(30) ? "b" : "c") + std::to_string(number / 9)));
    maybe(5, "trace_id", text(pick({"A", "a", "B", "\xC3\xA4", "z"})));  // byte order is not that of a language
    maybe(5, "dataset", text(pick({"orders", "items"})));
    maybe(5, "service", text(pick({"etl", "api"})));
    maybe(5, "phase", text(pick({"extract", "load", "polish"})));
    maybe(6, "job_type", text(pick({"batch", "streaming", "other"})));
    maybe(8, "parent_run_id", text("parent" + std::to_string(below(2))));
    maybe(3, "error_code", text(pick({"E400", "40001", "ENOSPC"})));
    maybe(3, "error_message", text(pick({"upstream away", "disk full"})));
    return out;
  }

 private:
  std::string pick(std::vector<std::string> from) { return from[below(from.size())]; }
  std::string time() { return "2026-03-01T00:0" + std::to_string(below(10)) + ":0" + std::to_string(below(3)) + "Z"; }
  std::mt19937_64 random_;
};

std::optional<TimePoint> time_at(const PgResult& rows, int row, int column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return from_micros(rows.integer(row, column));
}
std::optional<std::int64_t> int_at(const PgResult& rows, int row, int column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return rows.integer(row, column);
}

class PostgresFoldTest : public PostgresSinkTest {
 protected:
  // Columns of a table as the JSON members of postgres_rows.h; times as they are written there.
  std::vector<std::string> stored(const std::string& table, const std::string& key,
                                  const std::set<std::string>& without) {
    std::string columns;
    for (const std::string& column : rows("SELECT attname FROM pg_attribute WHERE attrelid = '" + table +
                                          "'::regclass AND attnum > 0 ORDER BY 1")) {
      if (without.contains(column)) continue;
      columns += (columns.empty() ? "" : ", ") + ("'" + column + "', ") + column + "::text";
    }
    return rows("SELECT json_strip_nulls(json_build_object(" + columns + "))::text FROM " + table + " ORDER BY " + key);
  }
  // The same of rows that never were in the database: read by it from the JSON, so that both are spelled alike.
  std::vector<std::string> folded(const std::string& json, const std::string& table, const std::string& key,
                                  const std::set<std::string>& without) {
    auto made = look_.exec(
        "SET search_path = observability; DROP TABLE IF EXISTS pg_temp.folded; "
        "CREATE TEMP TABLE folded (LIKE " +
        table + ")");
    if (!made) throw std::runtime_error(made.error().message);
    const std::optional<std::string> params[] = {json};
    for (const std::string& column :
         rows("SELECT attname FROM pg_attribute WHERE attrelid = 'pg_temp.folded'::regclass "
              "AND attnum > 0 AND attnotnull")) {
      rows("ALTER TABLE pg_temp.folded ALTER COLUMN " + column + " DROP NOT NULL");
    }
    auto filled = look_.query(
        "INSERT INTO pg_temp.folded SELECT * FROM json_populate_recordset(NULL::pg_temp.folded, $1)", params);
    if (!filled) throw std::runtime_error(filled.error().message);
    return stored("pg_temp.folded", key, without);
  }
};

TEST_F(PostgresFoldTest, UpsertsInAnyOrderAndBatchEqualTheFoldOfAllFacts) {
  const int rounds = by_scale(3, 40);
  for (int round = 0; round < rounds; ++round) {
    History history(seed() + static_cast<std::uint64_t>(round));
    SCOPED_TRACE("seed " + std::to_string(seed()) + " round " + std::to_string(round));
    rows(
        "TRUNCATE source_files, source_facts, run_ids, job_runs, run_attempts, task_runs, run_state_changes, "
        "log_events, "
        "dataset_status, dead_letters CASCADE");
    const std::size_t lines = by_scale<std::size_t>(1500, 4000);
    LogFile files[2] = {LogFile("agent-1/a"), LogFile("agent-1/b", 8)};
    for (std::size_t i = 0; i < lines; ++i) files[history.below(2)].add(history.line());

    // All facts at once.
    const DeriverSettings own = settings();
    PostgresFold all(own);
    const Horizon always{from_micros(0), *parse_rfc3339("2200-01-01T00:00:00Z")};
    all.clear({always, always, always, always});
    std::map<Uuid, std::int32_t> first_attempts;
    for (const LogFile& file : files) {
      const EventIds ids(file.identity());
      file.each_event(0, file.lines(), [&](const RedactedEvent& event, const Derived& derived, std::size_t line) {
        Derived copy = derived;
        all.add(event, {&ids, file.offset(line), file.identity().stream, 4}, copy);
        auto [at, fresh] = first_attempts.try_emplace(derived.run->run_id, derived.run->attempt);
        if (!fresh) at->second = std::min(at->second, derived.run->attempt);
      });
    }

    // Small chunks of both files, in random order, some delivered twice, cut into random batches by two sinks.
    std::vector<SequencedChunk> chunks;
    for (const LogFile& file : files) {
      for (std::size_t from = 0; from < file.lines();) {
        const std::size_t to = std::min(file.lines(), from + 1 + history.below(40));
        chunks.push_back(file.chunk(from, to));
        if (history.one_in(5)) chunks.push_back(chunks.back());
        from = to;
      }
    }
    std::shuffle(chunks.begin(), chunks.end(), history.random());
    std::size_t retries = 0;
    DrivenSink sinks[2] = {make_sink(config()), make_sink(config())};
    for (std::size_t from = 0; from < chunks.size();) {
      const std::size_t to = std::min(chunks.size(), from + 1 + history.below(12));
      DrivenSink& sink = sinks[history.below(2)];
      sink.apart = history.one_in(2);
      deliver(sink,
              {chunks.begin() + static_cast<std::ptrdiff_t>(from), chunks.begin() + static_cast<std::ptrdiff_t>(to)});
      from = to;
    }

    ASSERT_EQ(one("SELECT count(*) FROM dead_letters"), "0");
    EXPECT_EQ(one("SELECT count(*) FROM log_events"), std::to_string(lines));
    // Left out: what the fold keeps elsewhere (below), and what other statements compute.
    const std::set<std::string> not_folded = {"exit_code", "exit_signal", "retry_of",          "metrics",
                                              "dq_status", "dq_findings", "records_extracted", "records_loaded"};
    EXPECT_EQ(stored("job_runs", "run_id", not_folded), folded(run_rows(all), "job_runs", "run_id", not_folded));
    EXPECT_EQ(stored("run_attempts", "id", {}), folded(attempt_rows(all), "run_attempts", "id", {}));
    EXPECT_EQ(stored("task_runs", "task_run_id", {}), folded(task_rows(all), "task_runs", "task_run_id", {}));

    for (const auto& [run_id, entry] : all.runs) {
      const RunState& run = entry.state;
      const auto found = look_.exec(
          "SELECT exit_code, exit_signal, records_extracted, records_loaded, "
          "(extract(epoch FROM j.scheduled_at) * 1000000)::bigint, r.scheduled_stated, retry_of "
          "FROM observability.job_runs j JOIN observability.run_ids r USING (run_id) "
          "WHERE run_id = '" +
          to_string(run_id) + "'");
      ASSERT_TRUE(found);
      ASSERT_EQ(found->rows(), 1);
      EXPECT_EQ(int_at(*found, 0, 0), run.exit_code);
      EXPECT_EQ(int_at(*found, 0, 1), run.exit_signal);
      EXPECT_EQ(int_at(*found, 0, 2), run.records_extracted());
      EXPECT_EQ(int_at(*found, 0, 3), run.records_loaded());
      EXPECT_EQ(time_at(*found, 0, 4), run.scheduled_at());
      EXPECT_EQ(found->boolean(0, 5), run.scheduled_stated.has_value());
      // The predecessor: same correlation id and job, the nearest attempt below the first of this run.
      std::optional<Uuid> previous;
      std::int32_t nearest = 0;
      for (const auto& [other_id, other] : all.runs) {
        if (other_id == run_id || other.state.attempt_count >= first_attempts.at(run_id)) continue;
        if (run.text(RunText::kCorrelationId).empty() || other.state.job_id != run.job_id) continue;
        if (other.state.text(RunText::kCorrelationId) != run.text(RunText::kCorrelationId)) continue;
        if (other.state.attempt_count > nearest) {  // in order of id: the smaller one stays
          nearest = other.state.attempt_count;
          previous = other_id;
        }
      }
      retries += previous.has_value();
      EXPECT_EQ(parse_uuid(found->text(0, 6)), previous) << to_string(run_id);
    }
    EXPECT_GT(retries, 0u) << "the histories hold no retry";
  }
}

}  // namespace
}  // namespace runtail::test
