// Random histories of runs, and rows of a fold spelled as the database spells its own.
#pragma once

#include <deque>
#include <random>
#include <set>

#include "sinks/postgres_rows.h"
#include "tests/support/scale.h"
#include "tests/unit/sinks/postgres_fixture.h"

namespace runtail::test {

class History {
 public:
  // Of ten runs `moving` have several times they may be scheduled at, so that their rows move between months.
  History(std::uint64_t seed, std::size_t runs, std::size_t moving = 10)
      : random_(seed), runs_(runs), moving_(moving) {}

  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::mt19937_64& random() { return random_; }

  // A line of one of `runs` runs, random as all of them. Few distinct values everywhere, so that facts meet: equal
  // times, two values for a set-once field, late attempts.
  std::string line() { return line_of(below(runs_)); }
  std::string line_of(std::size_t number) {
    std::string out = "\"ts\":\"" + time() + "\",\"level\":\"" + pick({"INFO", "INFO", "WARN", "ERROR"}) + "\"";
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
      if (one_in(2)) {
        out += R"(,"metrics":{"b)" + std::to_string(below(20)) + "\":" + std::to_string(below(100)) + R"(.25,"a)" +
               std::to_string(below(20)) + "\":-" + std::to_string(below(9)) + R"(,"note":"none"})";
      }
    }
    maybe(3, "records_loaded", std::to_string(below(100)));
    maybe(3, "records_extracted", std::to_string(below(100)));
    maybe(5, "tokens_in", std::to_string(below(100)));
    maybe(5, "cost_usd", (one_in(10) ? "6000." : "0.") + std::to_string(100000 + below(900000)));
    if (number % 10 < moving_) {
      maybe(6, "scheduled_at", text("2026-0" + std::to_string(1 + below(3)) + "-01T00:00:00Z"));
    } else {
      maybe(1, "scheduled_at", text("2026-02-01T00:00:00Z"));
    }
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

  // What the agent itself says of a worker that ended or is gone; most lines are the worker's own.
  LogFile::Change change() {
    const std::size_t source = below(8);
    if (source > 1) return {};
    return [source](RedactedEvent& event) {
      if (event.kind != EventKind::kRunFinished && event.kind != EventKind::kAttemptFinished) return;
      event.verdict_source = source == 0 ? VerdictSource::kExit : VerdictSource::kInferred;
    };
  }

 private:
  std::string pick(std::vector<std::string> from) { return from[below(from.size())]; }
  std::string time() { return "2026-03-01T00:0" + std::to_string(below(10)) + ":0" + std::to_string(below(3)) + "Z"; }
  std::mt19937_64 random_;
  const std::size_t runs_, moving_;
};

// Files of two agents, of which one changed its rules: each gives its own agent_id and ruleset to what it says.
inline std::vector<LogFile> files_of_two_agents() {
  const auto of = [](const std::string& agent, const std::string& ruleset) {
    DeriverSettings out = settings();
    out.agent_id = agent;
    out.ruleset = ruleset;
    return out;
  };
  std::vector<LogFile> files;
  files.emplace_back("agent-1/a", std::uint8_t{7}, of("agent-1", "rules-1"));
  files.emplace_back("agent-1/b", std::uint8_t{8}, of("agent-1", "rules-2"));
  files.emplace_back("agent-2/c", std::uint8_t{9}, of("agent-2", "rules-1"));
  return files;
}

// Folds all lines of a file, as if they came in one batch.
inline void fold_file(PostgresFold& fold, const LogFile& file, const std::function<void(const RunFact&)>& visit = {}) {
  const EventIds ids(file.identity());
  file.each_event(0, file.lines(), [&](const RedactedEvent& event, const Derived& derived, std::size_t line) {
    Derived copy = derived;
    fold.add(event, {&ids, file.offset(line), file.identity().stream, 4}, copy);
    if (visit) visit(*derived.run);
  });
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
  // Small chunks of all files, in random order, some delivered twice, cut into random batches; each file has two sinks.
  void deliver_at_random(const std::vector<LogFile>& files, History& history, std::size_t chunk_lines = 40) {
    struct Piece {
      std::size_t file;
      SequencedChunk chunk;
    };
    std::vector<Piece> pieces;
    for (std::size_t file = 0; file < files.size(); ++file) {
      for (std::size_t from = 0; from < files[file].lines();) {
        const std::size_t to = std::min(files[file].lines(), from + 1 + history.below(chunk_lines));
        pieces.push_back({file, files[file].chunk(from, to)});
        if (history.one_in(5)) pieces.push_back(pieces.back());
        from = to;
      }
    }
    std::shuffle(pieces.begin(), pieces.end(), history.random());
    std::deque<DrivenSink> sinks;
    for (std::size_t i = 0; i < files.size() * 2; ++i)
      sinks.emplace_back(config(), files[i / 2].settings(), std::vector<std::string>{"email"}, clock_);
    Sequence sequence = 0;
    for (std::size_t from = 0; from < pieces.size();) {
      const std::size_t to = std::min(pieces.size(), from + 1 + history.below(30));
      for (std::size_t file = 0; file < files.size(); ++file) {
        std::vector<SequencedChunk> batch;
        for (std::size_t i = from; i < to; ++i) {
          if (pieces[i].file != file) continue;
          batch.push_back(pieces[i].chunk);
          batch.back().sequence = ++sequence;
        }
        if (batch.empty()) continue;
        DrivenSink& sink = sinks[file * 2 + history.below(2)];
        sink.apart = history.one_in(2);
        deliver(sink, batch);
      }
      from = to;
    }
  }
};

}  // namespace runtail::test
