// Many runs of a few lines each: one history, one order. Whatever the order its lines came in, the files and agents
// they came from and the transactions they were written in, the row of a run is what the fold makes of its lines.
#include "tests/unit/sinks/fold_scene.h"

namespace runtail::test {
namespace {

using PostgresOrderTest = PostgresFoldTest;

TEST_F(PostgresOrderTest, EachOfManyRunsIsTheFoldOfItsLinesInWhateverOrderTheyCame) {
  const std::size_t runs = by_scale<std::size_t>(400, 5'000);
  const int rounds = by_scale(1, 20);
  std::size_t seen = 0;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed()) + " round " + std::to_string(round));
    History history(seed() + 1000 + static_cast<std::uint64_t>(round), runs, 2);
    rows(
        "TRUNCATE source_files, source_facts, run_ids, job_runs, run_attempts, task_runs, run_state_changes, "
        "log_events, dataset_status, summary_dirty CASCADE");
    std::vector<LogFile> files = files_of_two_agents();
    std::vector<std::size_t> lines;  // by their runs
    for (std::size_t run = 0; run < runs; ++run) lines.insert(lines.end(), 2 + history.below(5), run);
    std::shuffle(lines.begin(), lines.end(), history.random());
    for (const std::size_t run : lines) {
      const std::string line = history.line_of(run);
      // Without their log_events rows: it is about what becomes of the facts.
      files[history.below(files.size())].add(line, [change = history.change()](RedactedEvent& event) {
        if (change) change(event);
        event.stored = false;
      });
    }

    const DeriverSettings own = settings();
    PostgresFold all(own);
    const Horizon always{from_micros(0), *parse_rfc3339("2200-01-01T00:00:00Z")};
    all.clear({always, always, always, always});
    for (const LogFile& file : files) fold_file(all, file);
    deliver_at_random(files, history, 1'000);

    ASSERT_EQ(one("SELECT count(*) FROM dead_letters"), "0");
    const std::set<std::string> not_folded = {"exit_code", "exit_signal", "retry_of",          "metrics",
                                              "dq_status", "dq_findings", "records_extracted", "records_loaded"};
    ASSERT_EQ(stored("job_runs", "run_id", not_folded), folded(run_rows(all), "job_runs", "run_id", not_folded));
    ASSERT_EQ(stored("run_attempts", "id", {}), folded(attempt_rows(all), "run_attempts", "id", {}));
    ASSERT_EQ(stored("task_runs", "task_run_id", {}), folded(task_rows(all), "task_runs", "task_run_id", {}));
    std::vector<std::string> counts;
    for (const auto& [run_id, entry] : all.runs) {
      const RunState& run = entry.state;
      const auto text = [](const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : "-"; };
      counts.push_back(to_string(run_id) + '|' + text(run.exit_code) + '|' + text(run.exit_signal) + '|' +
                       text(run.records_extracted()) + '|' + text(run.records_loaded()) + '|' +
                       text(run.duration_ms()));
    }
    ASSERT_EQ(rows("SELECT run_id, exit_code, exit_signal, records_extracted, records_loaded, duration_ms FROM runs "
                   "ORDER BY run_id"),
              counts);
    seen += all.runs.size();
  }
  EXPECT_EQ(seen, by_scale<std::size_t>(400, 100'000));
}

}  // namespace
}  // namespace runtail::test
