// Data quality judged over PostgreSQL: what lines observed becomes dq_check_results, and findings on the runs.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"
#include "core/time.h"
#include "schema/pg.h"

namespace runtail {

struct QualityRound {
  std::int64_t runs = 0;     // judged
  std::int64_t written = 0;  // results that are new or changed
  std::int64_t removed = 0;  // results of an observation that a later one of its attempt replaced
  bool taken = false;        // another server is at it: nothing was done
  bool more = false;         // there is more that is new: call again
};

// One transaction. Judges the runs of which there is news since the last round (observations, changed states, another
// place among the runs) and the later ones whose baseline that may be, at the checks that are enabled. What is in the
// tables afterwards depends on observations, runs and definitions, not on how rounds cut their arrival: a round over
// the same rows changes nothing. Checks that workers report themselves are left alone. A definition that changes counts
// for what is judged from then on.
// `news_max`: how many stored rows of news it looks at, give or take those of one writer's transaction.
// Rights: SELECT on runs and definitions, all on dq_check_results and evaluation_progress, UPDATE on job_runs, INSERT
// on summary_dirty. Errors: kUnavailable (connection, lock, time-out: again next round), kInvalidInput.
Result<QualityRound> evaluate_quality(PgConnection& connection, const std::string& schema, TimePoint now,
                                      int news_max = 5000);

}  // namespace runtail
