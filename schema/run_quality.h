// What the results of checks make of a run: job_runs.dq_status and dq_findings.
#pragma once

#include <string>

namespace runtail {

// A statement with $1, a uuid[] of runs: each gets the worst of the latest results of its checks in the highest attempt
// that has any, and those that did not pass as findings; nothing where it has no results. Gives job_id, environment and
// scheduled_at of the runs that this changed. `schema` as SQL writes it: quoted.
std::string set_run_quality(const std::string& schema);

}  // namespace runtail
