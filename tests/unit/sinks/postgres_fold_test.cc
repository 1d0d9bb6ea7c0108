// The SQL upserts and the fold in core/run_state.h are two spellings of the same rules: random histories, delivered in
// random order and in random batches, give the rows the fold gives for all facts at once.
#include <map>

#include "tests/unit/sinks/fold_scene.h"

namespace runtail::test {
namespace {

std::optional<TimePoint> time_at(const PgResult& rows, int row, int column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return from_micros(rows.integer(row, column));
}
std::optional<std::int64_t> int_at(const PgResult& rows, int row, int column) {
  if (rows.is_null(row, column)) return std::nullopt;
  return rows.integer(row, column);
}

TEST_F(PostgresFoldTest, UpsertsInAnyOrderAndBatchEqualTheFoldOfAllFacts) {
  const int rounds = by_scale(3, 40);
  for (int round = 0; round < rounds; ++round) {
    History history(seed() + static_cast<std::uint64_t>(round), 27);
    SCOPED_TRACE("seed " + std::to_string(seed()) + " round " + std::to_string(round));
    rows(
        "TRUNCATE source_files, source_facts, run_ids, job_runs, run_attempts, task_runs, run_state_changes, "
        "log_events, "
        "dataset_status, dead_letters CASCADE");
    const std::size_t lines = by_scale<std::size_t>(1500, 4000);
    std::vector<LogFile> files = files_of_two_agents();
    for (std::size_t i = 0; i < lines; ++i) {
      const std::string line = history.line();
      files[history.below(files.size())].add(line, history.change());
    }

    // All facts at once.
    const DeriverSettings own = settings();
    PostgresFold all(own);
    const Horizon always{from_micros(0), *parse_rfc3339("2200-01-01T00:00:00Z")};
    all.clear({always, always, always, always});
    std::map<Uuid, std::int32_t> first_attempts;
    for (const LogFile& file : files) {
      fold_file(all, file, [&](const RunFact& fact) {
        auto [at, fresh] = first_attempts.try_emplace(fact.run_id, fact.attempt);
        if (!fresh) at->second = std::min(at->second, fact.attempt);
      });
    }

    std::size_t retries = 0;
    deliver_at_random(files, history);

    ASSERT_EQ(one("SELECT count(*) FROM dead_letters"), "0");
    EXPECT_EQ(one("SELECT count(*) FROM log_events"), std::to_string(lines));
    // Left out: what the fold keeps elsewhere (below), and what other statements compute.
    const std::set<std::string> not_folded = {"exit_code",   "exit_signal",       "retry_of",      "dq_status",
                                              "dq_findings", "records_extracted", "records_loaded"};
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
