// The SQL of one delivery, built once for the configured schema. All are unnamed statements (safe behind PgBouncer);
// rows come as one JSON array ($1), ordered by key inside the statement, so that two writers cannot deadlock.
#pragma once

#include <string>
#include <string_view>

#include "sinks/postgres_record_statements.h"

namespace runtail {

// Makes, locks and advances rows of a table of positions.
struct PositionStatements {
  std::string insert, lock, advance;
};

struct PostgresStatements {
  explicit PostgresStatements(std::string_view schema);

  // Positions of lines (source_files) and of run facts (source_facts).
  PositionStatements line_positions, fact_positions;
  // Jobs and runs.
  std::string insert_jobs, insert_run_ids, lock_run_ids, move_run_ids, read_runs, upsert_runs;
  std::string upsert_attempts, set_exit, upsert_tasks, lock_correlations, set_retry_of, insert_state_changes, insert_fleet_counts;
  // Quality and datasets.
  std::string insert_checks, insert_results, set_dq_status, insert_observations, upsert_datasets;
  // Lines and what is left over.
  std::string copy_log_events, find_log_events, insert_dead_letters, insert_dirty;
  // Spans, chats, documents, providers, heartbeats.
  PostgresRecordStatements records;
};

}  // namespace runtail
