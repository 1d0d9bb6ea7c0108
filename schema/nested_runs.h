// Which runs count as runs of their job.
#pragma once

#include <string_view>

namespace runtail {

// SQL, true or false for a row `r` of job_runs. A tool inside a tool, as dbt in a task of Airflow, has a run of its
// own: where both are of one job, the one around tells how the job did, and the one inside counts in no number of runs,
// rate or duration. What it loaded and found counts as ever, since each line states its own amounts. A parent that
// nobody knows, or of another job, takes nothing away; nor do two runs that each name the other. A scalar subquery, so
// that each is an index lookup in one month and never a join over all of them.
inline constexpr std::string_view kCountsAsRun = R"sql(CASE WHEN r.parent_run_id IS NULL THEN true ELSE coalesce((
  SELECT false FROM {{schema}}.run_ids i JOIN {{schema}}.job_runs p USING (run_id, scheduled_at)
  WHERE i.run_id = r.parent_run_id AND p.job_id = r.job_id AND p.run_id <> r.run_id
    AND p.parent_run_id IS DISTINCT FROM r.run_id LIMIT 1), true) END)sql";

}  // namespace runtail
