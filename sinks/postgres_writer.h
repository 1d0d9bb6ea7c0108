// Writes a fold in an open transaction, statement by statement parents before children, keys in order: two
// writers cannot deadlock.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "schema/pg.h"
#include "sinks/postgres_fold.h"
#include "sinks/postgres_statements.h"

namespace runtail {

// Job, environment, day: what a summary is made of.
using DirtyDays = std::set<std::tuple<std::string, std::string, std::string>>;

class PostgresWriter {
 public:
  // All outlive this.
  // `is_live`: verdicts count for the fleet's totals; those of a replay are long past.
  PostgresWriter(PgConnection& connection, const PostgresStatements& sql, const DeriverSettings& settings,
                 TimePoint now, bool is_live)
      : connection_(connection), sql_(sql), settings_(settings), now_(now), is_live_(is_live) {}

  // After an error the transaction can only be rolled back, to a savepoint or whole. `dirty` gets the days whose runs
  // changed, the days runs came from included; after an error it holds too many at most.
  PgOutcome<void> write(const PostgresFold& fold, DirtyDays& dirty);

 private:
  // A run as it was before this transaction wrote it.
  struct OldRun {
    std::string job_id, environment, status, correlation_id, verdict_source, end_reason;
    Stamp stamp;
  };
  using OldRuns = std::map<Uuid, OldRun>;

  PgOutcome<PgResult> run(const std::string& statement, std::string param);
  PgOutcome<void> write_runs(const PostgresFold& fold, OldRuns& old_runs, DirtyDays& dirty);
  // Where the row of a run lies.
  struct Place {
    std::string day_before;
    TimePoint scheduled_at;
  };
  // Moves runs to their scheduled_at.
  PgOutcome<std::map<Uuid, Place>> place_runs(const PostgresFold& fold, const std::string& rows);
  PgOutcome<OldRuns> read_runs(const PostgresFold& fold, const std::map<Uuid, Place>& places);
  PgOutcome<void> write_exits(const PostgresFold& fold);
  PgOutcome<void> write_retries(const PostgresFold& fold, const OldRuns& old_runs);
  PgOutcome<void> write_state_changes(const PostgresFold& fold, const OldRuns& old_runs);
  // Counter and two labels.
  using FleetCounts = std::map<std::tuple<std::string_view, std::string_view, std::string_view>, std::int64_t>;
  PgOutcome<void> write_fleet_counts(const FleetCounts& counts);
  PgOutcome<void> write_quality(const PostgresFold& fold);

  PgConnection& connection_;
  const PostgresStatements& sql_;
  const DeriverSettings& settings_;
  const TimePoint now_;
  const bool is_live_;
};

}  // namespace runtail
