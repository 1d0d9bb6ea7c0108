// Runs made anew from what was rehearsed (sinks/postgres_rehearsal.h): the facts that stand there are withdrawn, those
// of today's rules take their place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schema/pg.h"

namespace runtail {

struct RebuiltRun {
  std::string run_id;
  std::string before, after;  // status; before "": it was not there
};

struct Rebuild {
  std::vector<RebuiltRun> runs;
  // Differ, and were left as they are: something that is not in these files has told of them too, another stream or a
  // worker's exit.
  std::vector<std::string> left;
};

// Runs, attempts and tasks that differ from the rehearsed ones, one transaction each, recorded in run_state_changes as
// field `rebuild`. `done` says of each what became of it, also of those before an error. Every range of the rehearsed
// files has to be covered, or a later replay would apply them once more: SQLSTATE 55000 otherwise. Needs the right to
// delete from job_runs, run_attempts and task_runs.
PgOutcome<void> rebuild_from_rehearsal(PgConnection& connection, const std::string& schema, const std::string& agent_id,
                                       Rebuild& done);

}  // namespace runtail
