// Every question of history/, asked of a filled history (tests/support/filled_history.h) with values that are in it:
// what its plan looks like and how long it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "history/history.h"

namespace runtail::test {

struct HistorySample {
  std::string name;  // of the function that makes the query
  std::string what;  // the case: "of a job, second page"
  std::string sql;   // for the schema observability
  PgParams params;
  std::function<Result<std::size_t>(History&)> ask;  // gives the number of rows
};

// At least one for each function that gives a Query. Ranges end at `now` and go back 90 days, for lines 29; pages have
// 50 rows, of lines 200. Throws std::runtime_error when the database holds nothing to ask for.
std::vector<HistorySample> history_samples(PgConnection& connection, TimePoint now);

struct PlanNode {
  std::string type;      // "Index Scan", "Seq Scan", "Limit", ...
  std::string relation;  // "" for what reads no table
  std::string table;     // the partitioned table of it, or itself
  std::string index;
  double estimated_table_rows = 0;  // of the relation, by its last ANALYZE
  std::int64_t loops = 0;           // 0: planned and not needed
  std::int64_t rows = 0;            // given, over all loops
  std::int64_t removed = 0;         // read and thrown away by filters
};
struct QueryPlan {
  std::vector<PlanNode> nodes;
  std::string text;  // as EXPLAIN prints it
};
// Plans and runs it as History does. Throws std::runtime_error.
QueryPlan explain(PgConnection& connection, const std::string& sql, const PgParams& params);

}  // namespace runtail::test
