// Holds what came out against what went in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/agent_process.h"
#include "tests/support/scrape.h"
#include "tests/support/workload.h"

namespace runtail::test {

// Asks a database; connects for each question, so it outlives a server's restarts. Throws when it gets no answer.
class Sql {
 public:
  explicit Sql(std::string conninfo) : conninfo_(std::move(conninfo)) {}
  // Rows as "first|second|...", null as "".
  std::vector<std::string> rows(const std::string& query) const;
  std::int64_t number(const std::string& query) const;
  std::int64_t log_events() const { return number("SELECT count(*) FROM observability.log_events"); }

 private:
  const std::string conninfo_;
};

// Waits until the database holds `lines` log events and no record is pending. false: it took too long.
bool wait_delivered(const Sql& sql, const AgentProcess& agent, std::uint64_t lines, Deadline deadline = kPatience);

// Each line of the workload is one row of log_events, by event_id and by the line's own number.
void expect_every_line_once(const Sql& sql, std::uint64_t lines);
// job_runs, run_attempts and task_runs.
void expect_runs(const Sql& sql, const Expected& expected);
// Counters say what the lines say; both ledgers are closed.
void expect_counters(const AgentProcess& agent, const Expected& expected);
// All three.
void expect_delivered(const Sql& sql, const AgentProcess& agent, const Expected& expected);
// `runtail runs` of an agent without Postgres, or of one that is down.
void expect_local_runs(const AgentProcess& agent, const Expected& expected);

}  // namespace runtail::test
